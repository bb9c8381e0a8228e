/**
 * Two servers: exactness, what each of them gets, lies, round trips, deaths, hostile frames.
 * @module
 */
import { exactFindings } from "./shares-exact.ts";
import { integrityFindings } from "./shares-integrity.ts";
import { resilienceFindings } from "./shares-resilience.ts";
import { speedFindings } from "./shares-speed.ts";
import { uniformFindings } from "./shares-uniform.ts";
import type { Finding, Proof } from "./proof.ts";

const parts: Readonly<Record<string, (note: (line: string) => void) => AsyncGenerator<Finding>>> = {
  exact: exactFindings,
  uniform: uniformFindings,
  integrity: integrityFindings,
  speed: speedFindings,
  resilience: resilienceFindings,
};

export const shares: Proof = {
  name: "shares",
  title: "Two servers that each see only uniform randomness",
  async *run(note, part) {
    if (part !== undefined && !Object.hasOwn(parts, part)) throw new RangeError(`shares has the parts ${Object.keys(parts).join(", ")}.`);
    for (const [name, findings] of Object.entries(parts)) if (part === undefined || part === name) yield* findings(note);
  },
};
