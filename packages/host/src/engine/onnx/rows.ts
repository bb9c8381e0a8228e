/**
 * Rows of requests, made into the inputs of one run, and the output of a run taken apart into rows again.
 * @module
 */
import type { Pooling, PublicInterface } from "@unseen/core/blueprint/interface.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { numbersOf, wholeNumbers, type FeedType } from "./numbers.ts";
import type { BatchPlan } from "./plan.ts";
import type { Feed, Output } from "./protocol.ts";

/** One sequence of token ids. */
export interface SequenceRow {
  readonly kind: "sequence";
  readonly ids: Uint32Array;
  /** 0 or 1 for each id, not all 0: rows that their client has filled up itself; null = all 1. */
  readonly mask: Uint8Array<ArrayBuffer> | null;
  /** Token types; null = all 0. */
  readonly segments: Uint32Array | null;
  /** null = 0, 1, 2, ... */
  readonly positions: Uint32Array | null;
  /** Where in the row the highest plain id stands, for models that ask; below the row's length. */
  readonly peak: number | null;
  readonly pool: Pooling | null;
}

/** One row of each tensor input, or, for models without rows, everything that the request gave. */
export interface TensorRow {
  readonly kind: "tensors";
  /** Packed little-endian bytes by input; the shape has no row axis, except for models without rows. */
  readonly tensors: ReadonlyMap<string, { readonly shape: readonly number[]; readonly bytes: Uint8Array<ArrayBuffer> }>;
  /** Equal for rows of equal shapes. */
  readonly shapes: string;
  readonly pool: Pooling | null;
}

export type Row = SequenceRow | TensorRow;

/** The inputs of one run, and what is needed to take its output apart. */
export interface Batch {
  readonly feeds: readonly Feed[];
  /** Ids of each row of the run; empty for tensors. */
  readonly lengths: readonly number[];
  /** The mask that each row came with; null = all its tokens. */
  readonly masks: readonly (Uint8Array | null)[];
  /** Rows of the run, fillers included. */
  readonly rows: number;
  /** Tokens per row, padding included; 0 for tensors. */
  readonly length: number;
}

/** Puts rows of one group into one run. */
export function assemble(rows: readonly Row[], described: PublicInterface, plan: BatchPlan): Batch {
  // A fixed number of rows is filled up with the last one: copies cannot tell it anything new.
  const count = Math.max(plan.fixedRows ?? rows.length, rows.length);
  const filled = Array.from({ length: count }, (_, index) => rows[Math.min(index, rows.length - 1)]!);
  return rows[0]!.kind === "sequence"
    ? assembleSequences(filled as SequenceRow[], described, plan)
    : assembleTensors(filled as TensorRow[], described, plan);
}

function assembleSequences(rows: readonly SequenceRow[], { inputs }: PublicInterface, plan: BatchPlan): Batch {
  const lengths = rows.map(({ ids }) => ids.length);
  const length = plan.fixedLength ?? Math.max(...lengths);
  const feeds = inputs.map(({ name, kind, type, shape }): Feed => {
    if (kind === "peaks") {
      const { numbers, set } = wholeNumbers(type as FeedType, rows.length);
      rows.forEach(({ peak }, index) => set(index, peak ?? 0));
      return { name, type: type as FeedType, shape: shape.length === 1 ? [rows.length] : [rows.length, 1], data: numbers };
    }
    const { numbers, set } = wholeNumbers(type as FeedType, rows.length * length);
    rows.forEach((row, index) => {
      const start = index * length;
      const own = row.ids.length;
      if (kind === "ids") {
        for (let token = 0; token < own; token++) set(start + token, row.ids[token]!);
        // Any valid id will do, so one that occurs anyway.
        for (let token = own; token < length; token++) set(start + token, row.ids[0]!);
      } else if (kind === "mask") {
        for (let token = 0; token < own; token++) set(start + token, row.mask?.[token] ?? 1);
      } else if (kind === "segments") {
        row.segments?.forEach((segment, token) => set(start + token, segment));
      } else {
        for (let token = 0; token < own; token++) set(start + token, row.positions?.[token] ?? token);
      }
    });
    return { name, type: type as FeedType, shape: [rows.length, length], data: numbers };
  });
  return { feeds, lengths, masks: rows.map(({ mask }) => mask), rows: rows.length, length };
}

function assembleTensors(rows: readonly TensorRow[], { inputs }: PublicInterface, { hasRows }: BatchPlan): Batch {
  const feeds = inputs.map(({ name, type }): Feed => {
    const parts = rows.map(({ tensors }) => tensors.get(name)!);
    const { shape } = parts[0]!;
    const bytes = joined(parts.map((part) => part.bytes));
    return { name, type: type as FeedType, shape: hasRows ? [rows.length, ...shape] : shape, data: numbersOf(type as FeedType, bytes) };
  });
  return { feeds, lengths: [], masks: [], rows: rows.length, length: 0 };
}

/** The bytes one behind the other; rows that came together lie so already and are not copied. */
function joined(parts: readonly Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  const [first] = parts as [Uint8Array<ArrayBuffer>];
  const total = parts.reduce((sum, part) => sum + part.byteLength, 0);
  const adjoin = parts.every(
    (part, index) => part.buffer === first.buffer && part.byteOffset === first.byteOffset + index * first.byteLength,
  );
  if (adjoin) return new Uint8Array(first.buffer, first.byteOffset, total);
  const whole = new Uint8Array(total);
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.byteLength;
  }
  return whole;
}

/** The first `count` rows of a run's output, each without row axis and without padding. */
export function takeApart(output: Output, count: number, batch: Batch, plan: BatchPlan): Output[] {
  if (!plan.hasRows) return [output];
  const { shape, data } = output;
  const [rows, ...inner] = shape;
  if (rows !== batch.rows) throw new UnseenError("INTERNAL", "the engine's output has another number of rows than its input.");
  const size = inner.reduce((product, dimension) => product * dimension, 1);
  const isPadded = batch.length > 0 && plan.lengthAxis === 1 && inner.length >= 2 && inner[0] === batch.length;
  return Array.from({ length: count }, (_, index) => {
    const own = data.subarray(index * size, (index + 1) * size);
    const length = batch.lengths[index]!;
    if (!isPadded || length === batch.length) return { shape: inner, data: own };
    return { shape: [length, ...inner.slice(1)], data: own.subarray(0, (size / batch.length) * length) };
  });
}

/** Numbers of a row, as rows count for memory. */
export function byteLengthOf(row: Row): number {
  if (row.kind === "tensors") return row.tensors.values().reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
  return 4 * row.ids.length * (1 + Number(row.segments !== null) + Number(row.positions !== null)) + (row.mask?.byteLength ?? 0);
}

/** Tokens of a row that are no padding, whoever filled it up; 0 for tensors. */
export function tokensOf(row: Row): number {
  if (row.kind === "tensors") return 0;
  return row.mask?.reduce((sum, bit) => sum + bit, 0) ?? row.ids.length;
}
