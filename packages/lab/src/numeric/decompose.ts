/**
 * Decompositions of small dense matrices, by ml-matrix, in float64.
 * @module
 */
import { CholeskyDecomposition, EigenvalueDecomposition, Matrix as MlMatrix, SingularValueDecomposition } from "ml-matrix";
import { matrix, type Matrix } from "./matrix.ts";
import { multiplyFirstTransposed } from "./multiply.ts";

const toMl = ({ rows, columns, values }: Matrix): MlMatrix => MlMatrix.from1DArray(rows, columns, values);

function fromMl(from: MlMatrix): Matrix {
  return matrix(from.rows, from.columns, Float64Array.from(from.to1DArray()));
}

/** Eigenvalues in descending order and their vectors as columns of `(n, n)`, of a symmetric matrix. */
export function symmetricEigen(of: Matrix): { readonly values: Float64Array; readonly vectors: Matrix } {
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(toMl(of), { assumeSymmetric: true });
  const order = realEigenvalues
    .map((_, index) => index)
    .toSorted((a, b) => (realEigenvalues[b] as number) - (realEigenvalues[a] as number));
  const vectors = matrix(of.rows, of.rows);
  order.forEach((from, to) => {
    for (let i = 0; i < of.rows; i += 1) vectors.values[i * of.rows + to] = eigenvectorMatrix.get(i, from);
  });
  return { values: Float64Array.from(order, (index) => realEigenvalues[index] as number), vectors };
}

/** Singular values in descending order. */
export function singularValues(of: Matrix): Float64Array {
  return Float64Array.from(new SingularValueDecomposition(toMl(of), { autoTranspose: true, computeLeftSingularVectors: false, computeRightSingularVectors: false }).diagonal).sort().reverse(); // prettier-ignore
}

/**
 * The orthogonal R that brings X closest to Y: min ‖X R - Y‖, `(n, d)` each -> `(d, d)`.
 *
 * Source: Schönemann, "A generalized solution of the orthogonal Procrustes problem", Psychometrika 31 (1966).
 */
export function procrustes(x: Matrix, y: Matrix): Matrix {
  const { leftSingularVectors, rightSingularVectors } = new SingularValueDecomposition(toMl(multiplyFirstTransposed(x, y)), {
    autoTranspose: true,
  });
  return fromMl(leftSingularVectors.mmul(rightSingularVectors.transpose()));
}

/** The linear map M of least squares with a ridge: min ‖X M - Y‖² + λ n ‖M‖² · mean square of X, `(n, k)`, `(n, m)` -> `(k, m)`. */
export function ridge(x: Matrix, y: Matrix, lambda: number): Matrix {
  const gram = multiplyFirstTransposed(x, x);
  let trace = 0;
  for (let k = 0; k < gram.rows; k += 1) trace += gram.values[k * gram.rows + k] as number;
  const shift = (lambda * trace) / gram.rows + 1e-300;
  for (let k = 0; k < gram.rows; k += 1) gram.values[k * gram.rows + k]! += shift;
  const right = toMl(multiplyFirstTransposed(x, y));
  const cholesky = new CholeskyDecomposition(toMl(gram));
  if (!cholesky.isPositiveDefinite()) throw new RangeError("ridge: the matrix is singular; choose a larger lambda.");
  return fromMl(cholesky.solve(right));
}
