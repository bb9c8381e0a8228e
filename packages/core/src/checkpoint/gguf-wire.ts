/**
 * GGUF's basic encodings: numbered value types and tensor types, a reader that never runs past the file, a writer.
 *
 * Everything is little-endian (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, version 3).
 * @module
 */
import { malformed, tooLarge, truncated } from "./checks.ts";
import type { OpenFile } from "./open-file.ts";
import type { Format } from "./tensor.ts";

/** Bytes of everything before the data (CWE-770); a vocabulary of 262,144 entries takes about 20 MB. */
export const MAXIMUM_HEADER_BYTES = 128 * 2 ** 20;
/** Bytes of one string (CWE-770). */
export const MAXIMUM_STRING_BYTES = 16 * 2 ** 20;
const WINDOW_BYTES = 2 ** 20;

/** Metadata types whose values are JavaScript numbers. */
export type GgufNumberType = "u8" | "i8" | "u16" | "i16" | "u32" | "i32" | "f32" | "f64";
export type GgufScalarType = GgufNumberType | "u64" | "i64" | "bool" | "string";

/** Types by their number in a file. */
export const VALUE_TYPES: readonly (GgufScalarType | "array")[] = [
  "u8",
  "i8",
  "u16",
  "i16",
  "u32",
  "i32",
  "f32",
  "bool",
  "string",
  "array",
  "u64",
  "i64",
  "f64",
];

/** `ggml_type` by number; a hole is a type that was removed or never stored. */
export const TENSOR_TYPES: ReadonlyMap<number, Format> = new Map<number, Format>([
  [0, "F32"],
  [1, "F16"],
  [2, "GGML_Q4_0"],
  [3, "GGML_Q4_1"],
  [6, "GGML_Q5_0"],
  [7, "GGML_Q5_1"],
  [8, "Q8_0"],
  [10, "GGML_Q2_K"],
  [11, "GGML_Q3_K"],
  [12, "GGML_Q4_K"],
  [13, "GGML_Q5_K"],
  [14, "GGML_Q6_K"],
  [16, "GGML_IQ2_XXS"],
  [17, "GGML_IQ2_XS"],
  [18, "GGML_IQ3_XXS"],
  [19, "GGML_IQ1_S"],
  [20, "GGML_IQ4_NL"],
  [21, "GGML_IQ3_S"],
  [22, "GGML_IQ2_S"],
  [23, "GGML_IQ4_XS"],
  [24, "I8"],
  [25, "I16"],
  [26, "I32"],
  [27, "I64"],
  [28, "F64"],
  [29, "GGML_IQ1_M"],
  [30, "BF16"],
  [34, "GGML_TQ1_0"],
  [35, "GGML_TQ2_0"],
  [39, "GGML_MXFP4"],
  [40, "GGML_NVFP4"],
  [41, "GGML_Q1_0"],
]);

/** How a number lies in bytes. */
interface NumberCodec {
  readonly bytes: number;
  read(view: DataView, at: number): number;
  write(view: DataView, at: number, value: number): void;
  /** Whether the value is one of the type; floats of the narrow type get rounded. */
  holds(value: number): boolean;
}

const integer =
  (least: number, most: number) =>
  (value: number): boolean =>
    Number.isInteger(value) && value >= least && value <= most;

export const NUMBERS: Readonly<Record<GgufNumberType, NumberCodec>> = {
  u8: { bytes: 1, read: (view, at) => view.getUint8(at), write: (view, at, value) => view.setUint8(at, value), holds: integer(0, 0xff) },
  i8: { bytes: 1, read: (view, at) => view.getInt8(at), write: (view, at, value) => view.setInt8(at, value), holds: integer(-0x80, 0x7f) },
  u16: {
    bytes: 2,
    read: (view, at) => view.getUint16(at, true),
    write: (view, at, value) => view.setUint16(at, value, true),
    holds: integer(0, 0xffff),
  },
  i16: {
    bytes: 2,
    read: (view, at) => view.getInt16(at, true),
    write: (view, at, value) => view.setInt16(at, value, true),
    holds: integer(-0x8000, 0x7fff),
  },
  u32: {
    bytes: 4,
    read: (view, at) => view.getUint32(at, true),
    write: (view, at, value) => view.setUint32(at, value, true),
    holds: integer(0, 0xffffffff),
  },
  i32: {
    bytes: 4,
    read: (view, at) => view.getInt32(at, true),
    write: (view, at, value) => view.setInt32(at, value, true),
    holds: integer(-0x80000000, 0x7fffffff),
  },
  f32: {
    bytes: 4,
    read: (view, at) => view.getFloat32(at, true),
    write: (view, at, value) => view.setFloat32(at, value, true),
    holds: () => true,
  },
  f64: {
    bytes: 8,
    read: (view, at) => view.getFloat64(at, true),
    write: (view, at, value) => view.setFloat64(at, value, true),
    holds: () => true,
  },
};

/** Reads forward through a header in windows of bounded size. */
export class WireReader {
  readonly #file: OpenFile;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  /** Bytes `[#start, #start + #window.length)` of the file. */
  #window = new Uint8Array(0);
  #start = 0;
  /** The next byte's place in the file. */
  position = 0;

  constructor(file: OpenFile) {
    this.#file = file;
  }

  get remaining(): number {
    return this.#file.bytes - this.position;
  }

  /** The next bytes, valid until the next call. Throws `CHECKPOINT_TRUNCATED`, `CHECKPOINT_TOO_LARGE`. */
  take(count: number): DataView {
    if (count > this.remaining) throw truncated(`${this.#file.name} ends inside its header.`);
    if (this.position + count > MAXIMUM_HEADER_BYTES)
      throw tooLarge(`${this.#file.name}: its header exceeds the limit of ${MAXIMUM_HEADER_BYTES} bytes.`);
    if (this.position + count > this.#start + this.#window.length) {
      this.#window = new Uint8Array(Math.min(Math.max(count, WINDOW_BYTES), this.remaining));
      this.#start = this.position;
      this.#file.read(this.#start, this.#window);
    }
    const view = new DataView(this.#window.buffer, this.position - this.#start, count);
    this.position += count;
    return view;
  }

  u32(): number {
    return this.take(4).getUint32(0, true);
  }

  u64(): bigint {
    return this.take(8).getBigUint64(0, true);
  }

  i64(): bigint {
    return this.take(8).getBigInt64(0, true);
  }

  /** A count of things that take at least `minimumBytes` each: never more than the file can hold (CWE-789). */
  count(what: string, minimumBytes: number, limit: number): number {
    const count = this.u64();
    if (count > BigInt(limit)) throw tooLarge(`${this.#file.name}: ${count} ${what} exceed the limit of ${limit}.`);
    if (Number(count) * minimumBytes > this.remaining)
      throw truncated(`${this.#file.name} promises ${count} ${what}, but has ${this.remaining} bytes left.`);
    return Number(count);
  }

  /** Throws `CHECKPOINT_MALFORMED` where the bytes are not UTF-8. */
  string(what: string, limit = MAXIMUM_STRING_BYTES): string {
    const view = this.take(this.count(`bytes of ${what}`, 1, limit));
    try {
      return this.#decoder.decode(view);
    } catch {
      throw malformed(`${this.#file.name}: ${what} is not UTF-8 text.`);
    }
  }
}

/** Collects bytes in a buffer that grows. */
export class WireWriter {
  #bytes = new Uint8Array(4096);
  #length = 0;

  /** Room for the next `count` bytes, zeroed. */
  grow(count: number): DataView {
    if (this.#length + count > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + count));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    const view = new DataView(this.#bytes.buffer, this.#length, count);
    this.#length += count;
    return view;
  }

  u32(value: number): void {
    this.grow(4).setUint32(0, value, true);
  }

  u64(value: number | bigint): void {
    this.grow(8).setBigUint64(0, BigInt(value), true);
  }

  string(text: string): void {
    const bytes = Buffer.from(text);
    this.u64(bytes.length);
    const view = this.grow(bytes.length);
    new Uint8Array(view.buffer, view.byteOffset, bytes.length).set(bytes);
  }

  /** Pads with zeros to a multiple of `alignment`. */
  align(alignment: number): void {
    this.grow((alignment - (this.#length % alignment)) % alignment);
  }

  get length(): number {
    return this.#length;
  }

  /** A copy of what was written. */
  bytes(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }
}
