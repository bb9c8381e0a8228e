/**
 * Attacks on what a host sees inside a model and gets out of it.
 * @module
 */
import type { Attack } from "../attack.ts";
import { embeddingInversion, embeddingInversionWithPairs } from "./embedding-inversion.ts";
import { hiddenStateNeighbours, hiddenStateSearch } from "./hidden-states.ts";

/** In the order in which they are reported. */
export const onActivations: readonly Attack[] = [
  hiddenStateNeighbours(),
  hiddenStateSearch(),
  embeddingInversion(),
  embeddingInversionWithPairs(),
];
