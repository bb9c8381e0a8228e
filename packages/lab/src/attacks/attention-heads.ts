/**
 * Attention heads as what they compute: products of weights in which the keys inside a head cancel.
 *
 * Shapes: hidden (d), heads (H), key-value heads (K), head size (h).
 * @module
 */
import { decoderOf } from "@unseen/core/blueprint/families/index.ts";
import { symmetricEigen } from "../numeric/decompose.ts";
import { matrix, rowOf, takeRows, transpose, type Matrix } from "../numeric/matrix.ts";
import { multiply, multiplyTransposed } from "../numeric/multiply.ts";
import { nearest } from "../numeric/nearest.ts";
import type { HeadLayout, LayerMatrices, Weights } from "../weights/weights.ts";
import { mutualMatches, type Match } from "./pairing.ts";

/** One query head and the key-value head that it uses. */
export interface AttentionHead {
  readonly queries: Matrix; // (h, d)
  readonly keys: Matrix; // (h, d)
  readonly values: Matrix; // (h, d)
  readonly output: Matrix; // (h, d)
  /** Pairs of rows that positions rotate together, by falling frequency; empty without rotary positions. */
  readonly pairs: readonly (readonly [number, number])[];
  /** Rows that no position rotates. */
  readonly still: readonly number[];
}

/** The heads of one layer, in the order of their queries. */
export function headsOf(weights: Weights, layer: number): AttentionHead[] {
  const layout = weights.layout as HeadLayout;
  const { queries, keys, values, output } = weights.layer(layer) as LayerMatrices;
  const written = transpose(output); // (H·h, d)
  const { pairs, still } = rotaryRows(layout, rotatedDimensions(weights, layer));
  return Array.from({ length: layout.heads }, (_, head) => {
    const kvHead = Math.floor((head * layout.kvHeads) / layout.heads);
    const rows = (of: Matrix, index: number) =>
      takeRows(
        of,
        Uint32Array.from({ length: layout.headSize }, (_, i) => index * layout.headSize + i),
      );
    return {
      queries: rows(queries, head),
      keys: rows(keys, kvHead),
      values: rows(values, kvHead),
      output: rows(written, head),
      pairs,
      still,
    };
  });
}

/** Some families leave positions out of some layers. */
function rotatedDimensions({ kind, model, layout }: Weights, layer: number): number {
  if (kind !== "decoder" || !model) return layout?.rotaryDimensions ?? 0;
  return decoderOf(model.config).architecture.layers[layer]?.rope?.dimensions ?? 0;
}

function rotaryRows({ headSize, rotaryLayout }: HeadLayout, rotated: number): Pick<AttentionHead, "pairs" | "still"> {
  const half = rotated / 2;
  return {
    pairs: Array.from({ length: half }, (_, i) => (rotaryLayout === "half" ? [i, i + half] : [2 * i, 2 * i + 1])),
    still: Array.from({ length: headSize - rotated }, (_, i) => rotated + i),
  };
}

/** Pairs of heads of two models by their spectra: `plain` is a head of the public layer, `cipher` one of the encrypted. */
export function pairHeads(encrypted: readonly AttentionHead[], base: readonly AttentionHead[]): { matches: Match[]; error: number } {
  const [from, among] = [encrypted, base].map((heads) => spectra(heads)) as [Matrix, Matrix];
  const neighbours = nearest(from, among, Math.min(2, among.rows));
  const matches = mutualMatches(neighbours);
  const squares = matches.map(({ cipher }) => (neighbours.squares[cipher * neighbours.count] as number) / from.columns);
  return { matches, error: Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / Math.max(1, squares.length)) };
}

/** Logarithms of the singular values of W_qᵀW_k and of W_vᵀW_o of each head: `(H, 2 h)`. No key changes them. */
function spectra(heads: readonly AttentionHead[]): Matrix {
  const rows = heads.map(({ queries, keys, values, output }) => [...spectrum(queries, keys), ...spectrum(values, output)]);
  return matrix(rows.length, rows[0]?.length ?? 0, Float64Array.from(rows.flat()));
}

/** Half the logarithms of the eigenvalues of XXᵀYYᵀ, which are those of the singular values of XᵀY. */
function spectrum(x: Matrix, y: Matrix): Float64Array {
  const root = squareRoot(multiplyTransposed(x, x));
  const { values } = symmetricEigen(multiply(multiply(root, multiplyTransposed(y, y)), root));
  // Far below the largest there is only rounding.
  return values.map((value) => Math.log(Math.max(value, 1e-8 * (values[0] as number), 1e-300)) / 2);
}

/** The symmetric root of a positive semidefinite matrix. */
export function squareRoot(of: Matrix): Matrix {
  const { values, vectors } = symmetricEigen(of);
  const scaled = matrix(of.rows, of.rows, vectors.values.slice());
  for (let i = 0; i < of.rows; i += 1) {
    const row = rowOf(scaled, i);
    for (let k = 0; k < row.length; k += 1) row[k]! *= Math.sqrt(Math.max(values[k] as number, 0));
  }
  return multiplyTransposed(scaled, vectors);
}
