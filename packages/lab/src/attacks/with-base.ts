/**
 * The attacks of a host that has the public model too, the quickest first.
 * @module
 */
import type { Attack } from "../attack.ts";
import { attentionInvariants } from "./attention-invariants.ts";
import { functionalFingerprint } from "./functional-fingerprint.ts";
import { gramAlignment } from "./gram-alignment.ts";
import { knownRidge } from "./known-ridge.ts";
import { leverage } from "./leverage.ts";
import { matchingRefined } from "./matching-refined.ts";
import { rowNormsAttack } from "./row-norms.ts";
import { sortedRows } from "./sorted-rows.ts";
import { vocabularyMatching } from "./vocabulary-matching.ts";

export const withBase: readonly Attack[] = [
  rowNormsAttack,
  sortedRows,
  leverage,
  gramAlignment,
  vocabularyMatching,
  matchingRefined,
  knownRidge,
  attentionInvariants,
  functionalFingerprint,
];
