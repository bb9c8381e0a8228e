/**
 * The private X-ray: decisions on ciphertext, speed, what each party could have seen, hostile input, killed parties, evidence.
 * @module
 */
import { attestationFindings } from "./xray-attestation.ts";
import { exactFindings } from "./xray-exact.ts";
import { hostileFindings } from "./xray-hostile.ts";
import { leakFindings } from "./xray-leak.ts";
import { blindFindings, endToEndFindings, killFindings } from "./xray-parties.ts";
import { slowdownFindings } from "./xray-slowdown.ts";
import type { Finding, Proof } from "./proof.ts";

const parts: Readonly<Record<string, (note: (line: string) => void) => AsyncGenerator<Finding>>> = {
  exact: exactFindings,
  "end-to-end": endToEndFindings,
  slowdown: slowdownFindings,
  blind: blindFindings,
  leak: leakFindings,
  hostile: hostileFindings,
  kills: killFindings,
  attestation: attestationFindings,
};

export const xray: Proof = {
  name: "xray",
  title: "The private X-ray",
  async *run(note, part) {
    if (part !== undefined && !Object.hasOwn(parts, part)) throw new RangeError(`xray has the parts ${Object.keys(parts).join(", ")}.`);
    for (const [name, findings] of Object.entries(parts)) if (part === undefined || part === name) yield* findings(note);
  },
};
