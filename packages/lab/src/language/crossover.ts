/**
 * How two permutations have a child that is a permutation.
 * @module
 */
import type { RandomStream } from "@unseen/core/algebra/random.ts";

/** A permutation with every place as in one of two permutations: each of their cycles comes whole from either, by chance. */
export function cycleCrossover(first: Uint32Array, second: Uint32Array, random: RandomStream): Uint32Array {
  const placeInFirst = new Uint32Array(first.length);
  for (const [place, value] of first.entries()) placeInFirst[value] = place;
  const child = first.slice();
  const visited = new Uint8Array(first.length);
  for (let start = 0; start < first.length; start += 1) {
    if (visited[start] === 1) continue;
    const fromSecond = random.sign() > 0;
    for (let place = start; visited[place] === 0; place = placeInFirst[second[place] as number] as number) {
      visited[place] = 1;
      if (fromSecond) child[place] = second[place] as number;
    }
  }
  return child;
}
