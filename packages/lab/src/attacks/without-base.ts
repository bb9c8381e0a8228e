/**
 * Attacks of somebody who has recorded ids and no model: what they read follows from language alone.
 * @module
 */
import type { Attack } from "../attack.ts";
import { bruteForce } from "./brute-force.ts";
import { genetic } from "./genetic.ts";
import { hillClimbing } from "./hill-climbing.ts";
import { knownPairs } from "./known-pairs.ts";
import { linguistic } from "./linguistic.ts";
import { randomSampling } from "./random-sampling.ts";
import { substitution } from "./substitution.ts";
import { tokenFrequency } from "./token-frequency.ts";

/** {@link judgeAttack} is not among them: it needs an address, and sends text there. */
export const withoutBase: readonly Attack[] = [
  bruteForce,
  randomSampling,
  genetic,
  hillClimbing,
  linguistic,
  tokenFrequency,
  substitution,
  knownPairs,
];
