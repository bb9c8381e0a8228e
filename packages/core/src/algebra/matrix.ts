/**
 * The two ends of a rewriting: a stored matrix to read, and a place for the rewritten one.
 * @module
 */
import type { FloatFormat } from "../checkpoint/tensor.ts";
import type { PlainFormat } from "./stored.ts";

/** A matrix to read; a vector is `(1, n)`. */
export interface MatrixSource {
  readonly rows: number;
  readonly columns: number;
  readonly format: FloatFormat;
  /** The tensor's name, for errors. */
  readonly name: string;
  /** Fills `into` with `count` packed rows from row `row` on. Synchronous. */
  read(row: number, count: number, into: Uint8Array): void;
}

/** Where the rewritten matrix goes: packed rows, ascending, each once. `bytes` is reused after the call returns. */
export interface RewriteTarget {
  readonly format: FloatFormat;
  write(row: number, count: number, bytes: Uint8Array): void;
}

/** A source whose numbers stand alone. */
export interface PlainSource extends MatrixSource {
  readonly format: PlainFormat;
}

/** A target whose numbers stand alone. */
export interface PlainTarget extends RewriteTarget {
  readonly format: PlainFormat;
}

/** Rows of the result: `from` included, `to` excluded; both multiples of the row element's block. */
export interface RowRange {
  readonly from: number;
  readonly to: number;
}
