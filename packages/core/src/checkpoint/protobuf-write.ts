/**
 * Builds Protocol Buffers messages out of new bytes, unchanged ranges of a source, and places that are filled later.
 * @module
 */
import { Slice, Wire } from "./protobuf.ts";

/** A place for bytes that come later: the data of a tensor. */
export interface Hole {
  readonly name: string;
  readonly length: number;
}

export type Part = Uint8Array | Slice | Hole;

/** Parts one after another. */
export class Rope {
  readonly parts: Part[] = [];
  length = 0;

  add(part: Part): this {
    if (part.length === 0 && !("name" in part)) return this;
    this.length += part.length;
    const last = this.parts.at(-1);
    // Neighbours in the source stay one range, so that copying them is one copy.
    if (last instanceof Slice && part instanceof Slice && last.source === part.source && last.end === part.begin)
      this.parts[this.parts.length - 1] = new Slice(part.source, last.begin, part.end);
    else this.parts.push(part);
    return this;
  }

  append(parts: Rope | Slice): this {
    for (const part of parts instanceof Rope ? parts.parts : [parts]) this.add(part);
    return this;
  }

  /** A number of a scalar field. */
  varint(field: number, value: number | bigint): this {
    return this.add(encodeVarints([BigInt(field * 8 + Wire.varint), BigInt(value)]));
  }

  float32(field: number, value: number): this {
    const bytes = new Uint8Array(5 + 5);
    const tag = encodeVarints([BigInt(field * 8 + Wire.fixed32)]);
    bytes.set(tag);
    new DataView(bytes.buffer).setFloat32(tag.length, value, true);
    return this.add(bytes.subarray(0, tag.length + 4));
  }

  /** Text, bytes, a message or a hole, with its length. */
  bytes(field: number, value: string | Part | Rope): this {
    const content = typeof value === "string" ? Buffer.from(value) : value;
    this.add(encodeVarints([BigInt(field * 8 + Wire.bytes), BigInt(content.length)]));
    return content instanceof Rope ? this.append(content) : this.add(content);
  }
}

/** The bytes of parts, one after another; those of holes stay zero. */
export function joinParts(parts: readonly Part[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  const sources = new Set(parts.flatMap((part) => (part instanceof Slice ? [part.source] : [])));
  let copy = (): void => {
    let at = 0;
    for (const part of parts) {
      if (part instanceof Uint8Array) whole.set(part, at);
      else if (part instanceof Slice) part.source.copyInto(part.begin, whole.subarray(at, at + part.length));
      at += part.length;
    }
  };
  for (const source of sources) {
    const inner = copy;
    copy = () => source.holding(inner);
  }
  copy();
  return whole;
}

/** Numbers in base 128, the negative ones as 64-bit two's complement. */
export function encodeVarints(values: readonly bigint[]): Uint8Array {
  const bytes: number[] = [];
  for (const value of values) {
    let rest = BigInt.asUintN(64, value);
    for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
    bytes.push(Number(rest));
  }
  return Uint8Array.from(bytes);
}
