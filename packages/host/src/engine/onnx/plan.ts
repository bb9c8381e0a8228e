/**
 * What may share a run with what. First read off the shapes; then tried out on the loaded model ({@link probe}), because only then is
 * it known whether a row's result depends on its neighbours or on its padding.
 * @module
 */
import type { PublicInput, PublicInterface } from "@unseen/core/blueprint/interface.ts";

export interface BatchPlan {
  /** The first axis of every input and of the output counts rows. Where it does not, a request is one run, as it came. */
  readonly hasRows: boolean;
  /** Rows that every run must have; null = any number. */
  readonly fixedRows: number | null;
  /** Rows may share a run: none changes another's result. */
  readonly mixesRows: boolean;
  /** Tokens that every row must have, padding included; null = any number, or a model without tokens. */
  readonly fixedLength: number | null;
  /** Rows may be padded: the mask keeps padding from changing anything. */
  readonly pads: boolean;
  /** Axis of the output, rows being axis 0, that has one entry per token. */
  readonly lengthAxis: number | null;
  /** Numbers in the output of a row, or, where there is a length axis, of one token; 0 = not known. */
  readonly outputValues: number;
}

/** What the shapes promise. `idsAreCausal`: padding behind a row of ids cannot matter but through the mask. */
export function planBatches({ inputs, outputs }: PublicInterface, idsAreCausal: boolean): BatchPlan {
  const firsts = inputs.map(({ shape }) => shape[0]);
  const [first] = firsts;
  const output = outputs[0]!.shape;
  const isDynamic = firsts.length > 0 && firsts.every((size) => typeof size === "string");
  const isFixed = typeof first === "number" && first > 0 && firsts.every((size) => size === first);
  const outputFits = output.length === 0 || typeof output[0] === "string" || (isFixed && output[0] === first);
  const hasRows = (isDynamic || isFixed) && outputFits;
  const tokens = inputs.filter(isPerToken);
  const fixedLength = tokens.map(({ shape }) => shape[1]).find((size) => typeof size === "number") ?? null;
  return {
    hasRows,
    fixedRows: hasRows && isFixed ? first : null,
    // Whole numbers of unknown meaning could be places in the flattened batch: a row must not reach into another client's (CWE-125).
    mixesRows: hasRows && !inputs.some(({ kind, type }) => kind === "tensor" && !type.startsWith("float")),
    fixedLength,
    pads: hasRows && idsAreCausal && tokens.some(({ kind }) => kind === "mask"),
    lengthAxis: tokens.length > 0 && output.length >= 3 && (typeof output[1] === "string" || output[1] === fixedLength) ? 1 : null,
    outputValues: 0,
  };
}

/** Inputs with one number per token: (rows, length). */
export function isPerToken({ kind, shape }: PublicInput): boolean {
  return kind !== "tensor" && kind !== "peaks" && shape.length === 2;
}

/** Inputs with one number per row: (rows) or (rows, 1). */
export function isPerRow({ kind, shape }: PublicInput): boolean {
  return kind === "peaks" && (shape.length === 1 || (shape.length === 2 && shape[1] === 1));
}
