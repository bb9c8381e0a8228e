/**
 * Random numbers that a seed and a purpose determine: the same seed gives the same result twice.
 * @module
 */
import { createHash } from "node:crypto";
import { RandomStream } from "@unseen/core/algebra/random.ts";

/** A stream for one purpose. */
export function seeded(seed: number, purpose: string): RandomStream {
  return new RandomStream(createHash("sha256").update(`unseen/lab/${seed}/${purpose}`).digest());
}

/** A 32-byte key for experiments. It protects nothing. */
export function seededSecret(seed: number, purpose: string): Uint8Array {
  return Uint8Array.from(createHash("sha256").update(`unseen/lab/${seed}/secret/${purpose}`).digest());
}
