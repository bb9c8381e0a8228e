/**
 * Which bytes of a file an object was read from, so that writing it again loses nothing that the reader does not know.
 * @module
 */
import type { Slice } from "./protobuf.ts";

const origins = new WeakMap<object, Slice>();

/** Notes where an object of a model comes from: the message, without its tag and length. */
export function remember<T extends object>(object: T, slice: Slice): T {
  origins.set(object, slice);
  return object;
}

/** The message that an object was read from; null for one made by hand. */
export function recall(object: object): Slice | null {
  return origins.get(object) ?? null;
}
