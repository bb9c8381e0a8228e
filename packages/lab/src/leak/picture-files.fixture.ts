/**
 * Files of pictures for tests.
 * @module
 */
import { zipSync } from "fflate";

/** A NumPy array file of version 1. */
export function npy(type: string, shape: readonly number[], numbers: Uint8Array, header?: string): Uint8Array {
  const list = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const text = header ?? `{'descr': '${type}', 'fortran_order': False, 'shape': (${list}), }`;
  const start = Buffer.alloc(10);
  start.write("\x93NUMPY\x01\x00", "latin1");
  start.writeUInt16LE(text.length, 8);
  return Buffer.concat([start, Buffer.from(text, "latin1"), numbers]);
}

/** A `.npz` of arrays. */
export function npz(arrays: Readonly<Record<string, Uint8Array>>): Uint8Array {
  return zipSync(Object.fromEntries(Object.entries(arrays).map(([name, bytes]) => [`${name}.npy`, bytes])));
}

/** An IDX file: 0x0803 for pictures, 0x0801 for labels. */
export function idx(kind: number, sizes: readonly number[], bytes: Uint8Array): Uint8Array {
  const start = Buffer.alloc(4 + 4 * sizes.length);
  start.writeUInt32BE(kind, 0);
  sizes.forEach((size, axis) => start.writeUInt32BE(size, 4 + 4 * axis));
  return Buffer.concat([start, bytes]);
}
