/**
 * Views of a vocabulary: products of two weight matrices in which the keys between them cancel. What a key does to the columns of
 * such a product can be undone, so a token's row, sorted, is the same in the encrypted and the public model.
 *
 * Source: AloePri, arXiv 2603.01499, table 8; docs/reference/groups.md for what happens to columns.
 * @module
 */
import { decoderOf } from "@unseen/core/blueprint/families/index.ts";
import { matrix, meanRow, rowOf, transpose, type Matrix } from "../numeric/matrix.ts";
import { multiply, multiplyFirstTransposed, multiplyTransposed } from "../numeric/multiply.ts";
import { rowsOf } from "../weights/batched.ts";
import type { LayerMatrices, Weights } from "../weights/weights.ts";
import { joinRows } from "./features.ts";
import { sortedSketch } from "./sorted-sketch.ts";

/** Rows of a product that are held at a time. */
const SLAB = 512;
/** Largest vocabulary whose square is looked at: time grows with it. */
const MAXIMUM_SQUARE = 8192;

/** A product with a table on the left. */
export interface View {
  readonly table: Matrix; // (V, d)
  /** Rows give the columns of the product. */
  readonly readers: Matrix; // (n, d)
}

/** What can be told from a model's vocabulary alone, without its blocks. */
export function tableViews({ embedding, head }: Tables): View[] {
  return head && embedding.rows <= MAXIMUM_SQUARE ? [{ table: embedding, readers: head }] : [];
}

/** The views of one block: one for the neurons' gates, one for what they read, one for what they write. */
export function layerViews({ embedding, head }: Tables, { gate, up, down }: LayerMatrices): View[] {
  // A gated neuron's `up` may be scaled by any number, if `down` is scaled back. Others have at most a positive scale.
  const form = (table: Matrix, readers: Matrix): Matrix =>
    gate ? oriented(table, normalised(table, readers)) : normalised(table, readers);
  const views: View[] = [];
  if (gate) views.push({ table: embedding, readers: normalised(embedding, gate) });
  if (up) views.push({ table: embedding, readers: form(embedding, up) });
  if (down) views.push({ table: head ?? embedding, readers: form(head ?? embedding, transpose(down)) });
  return views;
}

/** The tables on the left of views. */
export interface Tables {
  readonly embedding: Matrix;
  readonly head: Matrix | null;
}

/** The tables of a model. */
export function tablesOfModel(weights: Weights): Tables {
  return { embedding: weights.embedding(), head: weights.head() };
}

/** Whether a model has blocks with a known order of neurons, rather than mixtures of experts. */
export function hasNeurons({ kind, model }: Weights): boolean {
  return (
    kind === "encoder" ||
    (kind === "decoder" && model !== null && decoderOf(model.config).architecture.layers.every(({ experts }) => !experts))
  );
}

/** Whether a view of a model's tables alone exists. */
export function hasTableView({ kind, vocabulary }: Weights): boolean {
  return kind === "decoder" && vocabulary <= MAXIMUM_SQUARE;
}

/** Each token's row of a product, sorted and in few numbers: `(V, at most 64)`. */
export function sketchOf({ table, readers }: View): Matrix {
  const parts: Matrix[] = [];
  for (let start = 0; start < table.rows; start += SLAB) {
    parts.push(sortedSketch(multiplyTransposed(rowsOf(table, start, start + SLAB), readers)));
  }
  return joinRows(parts);
}

/** Readers scaled so that each column of the product with the table has mean square 1. */
function normalised(table: Matrix, readers: Matrix): Matrix {
  // Column norms without the product: w (EᵀE) wᵀ.
  const seen = multiply(readers, multiplyFirstTransposed(table, table));
  return scaleRows(readers, (row) => {
    const square = inner(rowOf(readers, row), rowOf(seen, row)) / table.rows;
    return square > 0 ? 1 / Math.sqrt(square) : 0;
  });
}

/** Readers with signs such that each column of the product has a positive mean. */
function oriented(table: Matrix, readers: Matrix): Matrix {
  const mean = meanRow(table);
  return scaleRows(readers, (row) => (inner(rowOf(readers, row), mean) < 0 ? -1 : 1));
}

function scaleRows(of: Matrix, scale: (row: number) => number): Matrix {
  const out = matrix(of.rows, of.columns, of.values.slice());
  for (let i = 0; i < of.rows; i += 1) {
    const by = scale(i);
    const row = rowOf(out, i);
    for (let k = 0; k < row.length; k += 1) row[k]! *= by;
  }
  return out;
}

function inner(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < a.length; k += 1) sum += (a[k] as number) * (b[k] as number);
  return sum;
}
