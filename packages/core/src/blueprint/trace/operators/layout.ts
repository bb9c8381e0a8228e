/**
 * Operators that move, cut, join or repeat coordinates without computing anything.
 * @module
 */
import type { Operator } from "../operator.ts";
import { extending } from "./extend.ts";
import { reshaping } from "./reshape.ts";
import { joining } from "./join-and-cut.ts";

export const layout: Readonly<Record<string, Operator>> = { ...reshaping, ...joining, ...extending };
