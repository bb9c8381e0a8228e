/**
 * Whole assignments of plain ids to symbols.
 * @module
 */
import { permutation, type RandomStream } from "@unseen/core/algebra/random.ts";

/** Gives symbols without a plain id those that are left, in the order given: `(vocabulary)` a permutation of `order`. */
export function completed(plain: Int32Array, order: Uint32Array): Uint32Array {
  const taken = new Uint8Array(plain.length);
  for (const id of plain) if (id >= 0) taken[id] = 1;
  let next = 0;
  return Uint32Array.from(plain, (id) => {
    if (id >= 0) return id;
    while (taken[order[next] as number] === 1) next += 1;
    return order[next++] as number;
  });
}

/** The first `count` of an order in random order, then the others as they are. */
export function shuffledHead(order: Uint32Array, count: number, random: RandomStream): Uint32Array {
  const shuffled = order.slice();
  for (const [to, from] of permutation(random, count).entries()) shuffled[to] = order[from] as number;
  return shuffled;
}
