/**
 * Serialised ciphertexts and keys that lie: what a hostile client sends.
 * @module
 */
import { Draws } from "../compile/random-head.fixture.ts";

/** Bytes of header that most mutations aim at: there SEAL is most easily led astray. */
const HEADERS = 256;

type Mutation = (bytes: Uint8Array, below: (limit: number) => number) => Uint8Array;

const mutate: readonly Mutation[] = [
  // one byte of the header
  (bytes, below) => flip(bytes, below(Math.min(HEADERS, bytes.length)), 1 + below(255)),
  // one byte near the end, where the seed is
  (bytes, below) => flip(bytes, bytes.length - 1 - below(Math.min(HEADERS, bytes.length)), 1 + below(255)),
  // one byte anywhere
  (bytes, below) => flip(bytes, below(bytes.length), 1 + below(255)),
  // too short, too long
  (bytes, below) => bytes.slice(0, below(bytes.length)),
  (bytes, below) => Buffer.concat([bytes, new Uint8Array(1 + below(64))]),
  // a run of zeros or ones
  (bytes, below) => bytes.slice().fill(below(2) * 255, below(bytes.length), below(bytes.length)),
  // eight bytes of the header become a large number
  (bytes, below) => bytes.slice().fill(255, below(HEADERS), HEADERS),
  // a part of it at another place
  (bytes, below) => bytes.slice().copyWithin(below(bytes.length), below(bytes.length), below(bytes.length)),
  // the length says less or more
  (bytes, below) => flip(bytes, 8 + below(8), 1 + below(255)),
  // compressed, as the header says
  (bytes, below) => flip(bytes, 5, 1 + below(2)),
  // other numbers in the body, perhaps all of them allowed
  (bytes, below) => flip(bytes, Math.min(bytes.length - 1, HEADERS + 8 * below(4096)), 1 + below(255)),
];

function flip(bytes: Uint8Array, at: number, by: number): Uint8Array {
  const changed = bytes.slice();
  changed[at] = (changed[at] ?? 0) ^ by;
  return changed;
}

/** So many changed copies, the same for the same seed. */
export function* mutations(bytes: Uint8Array, count: number, seed: number): Generator<Uint8Array> {
  const random = new Draws(seed).uniform;
  const below = (limit: number): number => Math.floor(random() * limit);
  for (let index = 0; index < count; index += 1) yield mutate[index % mutate.length]?.(bytes, below) ?? bytes;
}
