/**
 * Decompositions of small dense matrices, by ml-matrix, in float64.
 * @module
 */
import { CholeskyDecomposition, EigenvalueDecomposition, Matrix as MlMatrix, QrDecomposition, SingularValueDecomposition } from "ml-matrix";
import { seeded } from "../seed.ts";
import { matrix, type Matrix } from "./matrix.ts";
import { multiply, multiplyFirstTransposed } from "./multiply.ts";

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

/** Passes over the rows, and directions beyond those asked for: enough for a good approximation of what varies most. */
const PASSES = 3;
const SPARE = 8;

/**
 * Orthonormal directions in which the rows vary most, as columns of `(columns, count)`; approximate. Rows are taken as they are,
 * so centre them first.
 *
 * Source: Halko, Martinsson, Tropp, "Finding structure with randomness", SIAM Review 53 (2011), subspace iteration.
 */
export function principalDirections(of: Matrix, count: number): Matrix {
  const width = Math.min(of.columns, of.rows, count + SPARE);
  const random = seeded(1, "principal directions");
  let directions = matrix(
    of.columns,
    width,
    Float64Array.from({ length: of.columns * width }, () => random.gaussian()),
  );
  for (let pass = 0; pass < PASSES; pass += 1) directions = multiplyFirstTransposed(of, multiply(of, orthonormal(directions)));
  const basis = orthonormal(directions);
  const projected = multiply(of, basis);
  const { vectors } = symmetricEigen(multiplyFirstTransposed(projected, projected));
  const kept = matrix(width, Math.min(count, width));
  for (let i = 0; i < width; i += 1)
    for (let k = 0; k < kept.columns; k += 1) kept.values[i * kept.columns + k] = vectors.values[i * width + k] as number;
  return multiply(basis, kept);
}

/** The same column space with orthonormal columns. */
function orthonormal(of: Matrix): Matrix {
  return fromMl(new QrDecomposition(toMl(of)).orthogonalMatrix);
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
