/**
 * Where a tensor lies: the common ground of the safetensors and GGUF readers and writers.
 * @module
 */

/** Number formats that Unseen transforms. Names as in safetensors; `Q8_0` as in GGUF (32 weights: one f16 scale, 32 int8). */
export type FloatFormat = "F32" | "F16" | "BF16" | "Q8_0";

/** Every number format that a header may name; only {@link FloatFormat} can be transformed. */
export type Format =
  | FloatFormat
  | "F64"
  | "I64"
  | "I32"
  | "I16"
  | "I8"
  | "U64"
  | "U32"
  | "U16"
  | "U8"
  | "BOOL"
  | "F8_E4M3"
  | "F8_E5M2"
  | `GGML_${string}`;

/** A tensor and the bytes that hold it. */
export interface TensorLocation {
  readonly name: string;
  readonly format: Format;
  /** Outermost dimension first, row-major, as in safetensors (GGUF's `ne` reversed). */
  readonly shape: readonly number[];
  /** Absolute path of the file. */
  readonly file: string;
  /** First byte of the data, from the start of the file. */
  readonly offset: number;
  /** Bytes of the data. */
  readonly bytes: number;
}
