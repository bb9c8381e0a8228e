/**
 * Every attack that needs nobody else, those with the least knowledge first.
 * @module
 */
import type { Attack } from "../attack.ts";
import { onActivations } from "./activation-attacks.ts";
import { withBase } from "./with-base.ts";
import { withoutBase } from "./without-base.ts";

export const allAttacks: readonly Attack[] = [...withoutBase, ...withBase, ...onActivations];
