/**
 * A small network on numbers: two hidden layers of rectified units beside a linear path, trained with Adam on squared errors.
 *
 * Source: Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015; He et al., "Delving deep into rectifiers", ICCV 2015.
 * @module
 */
import type { RandomStream } from "@unseen/core/algebra/random.ts";
import { matrix, type Matrix } from "../../numeric/matrix.ts";
import { multiply, multiplyFirstTransposed, multiplyTransposed } from "../../numeric/multiply.ts";

const BETA1 = 0.9;
const BETA2 = 0.999;
const EPSILON = 1e-8;

/** Numbers that are learnt, with what Adam keeps for each. */
interface Parameter {
  /** (out, in); biases are (1, out). */
  readonly value: Matrix;
  readonly first: Float64Array;
  readonly second: Float64Array;
}

/** `(n, inputs)` -> `(n, outputs)`. */
export class Network {
  readonly #weights: readonly [Parameter, Parameter, Parameter, Parameter];
  readonly #biases: readonly [Parameter, Parameter, Parameter];
  #steps = 0;

  /** @param linear the linear path to begin with, (outputs, inputs), and what it adds, (outputs); the units beside it begin at zero */
  constructor(inputs: number, hidden: readonly [number, number], linear: Matrix, summand: Float64Array, random: RandomStream) {
    const drawn = (rows: number, columns: number, scale: number): Parameter =>
      parameter(
        matrix(
          rows,
          columns,
          Float64Array.from({ length: rows * columns }, () => random.gaussian() * scale),
        ),
      );
    const [one, two] = hidden;
    const outputs = linear.rows;
    this.#weights = [
      drawn(one, inputs, Math.sqrt(2 / inputs)),
      drawn(two, one, Math.sqrt(2 / one)),
      parameter(matrix(outputs, two)),
      parameter(matrix(outputs, inputs, linear.values.slice())),
    ];
    this.#biases = [parameter(matrix(1, one)), parameter(matrix(1, two)), parameter(matrix(1, outputs, summand.slice()))];
  }

  /** All numbers that are learnt, as they lie in memory. */
  get parameters(): readonly Matrix[] {
    return [...this.#weights, ...this.#biases].map(({ value }) => value);
  }

  forward(inputs: Matrix): Matrix {
    return this.#forward(inputs).outputs;
  }

  /** One step of learning; returns the mean squared error before it. */
  learn(inputs: Matrix, targets: Matrix, rate: number): number {
    const { error, gradients } = this.gradients(inputs, targets);
    this.#steps += 1;
    [...this.#weights, ...this.#biases].forEach((parameter, index) => adam(parameter, gradients[index] as Matrix, rate, this.#steps));
    return error;
  }

  /** The mean squared error and its gradient for each of `parameters`. Targets of NaN do not count. */
  gradients(inputs: Matrix, targets: Matrix): { readonly error: number; readonly gradients: readonly Matrix[] } {
    const { one, two, outputs } = this.#forward(inputs);
    const [, w2, w3] = this.#weights;
    const difference = matrix(outputs.rows, outputs.columns);
    let [square, counted] = [0, 0];
    for (let at = 0; at < outputs.values.length; at += 1) {
      const target = targets.values[at] as number;
      if (Number.isNaN(target)) continue;
      difference.values[at] = (outputs.values[at] as number) - target;
      square += (difference.values[at] as number) ** 2;
      counted += 1;
    }
    const scale = 2 / Math.max(1, counted);
    for (let at = 0; at < difference.values.length; at += 1) difference.values[at]! *= scale;
    const deltaTwo = rectifiedGradient(multiply(difference, w3.value), two);
    const deltaOne = rectifiedGradient(multiply(deltaTwo, w2.value), one);
    const gradients = [
      multiplyFirstTransposed(deltaOne, inputs),
      multiplyFirstTransposed(deltaTwo, one),
      multiplyFirstTransposed(difference, two),
      multiplyFirstTransposed(difference, inputs),
      columnSums(deltaOne),
      columnSums(deltaTwo),
      columnSums(difference),
    ];
    return { error: square / Math.max(1, counted), gradients };
  }

  #forward(inputs: Matrix): { readonly one: Matrix; readonly two: Matrix; readonly outputs: Matrix } {
    const [w1, w2, w3, linear] = this.#weights;
    const [b1, b2, b3] = this.#biases;
    const one = rectify(addRow(multiplyTransposed(inputs, w1.value), b1.value));
    const two = rectify(addRow(multiplyTransposed(one, w2.value), b2.value));
    const outputs = addRow(multiplyTransposed(two, w3.value), b3.value);
    const straight = multiplyTransposed(inputs, linear.value);
    for (let at = 0; at < outputs.values.length; at += 1) outputs.values[at]! += straight.values[at] as number;
    return { one, two, outputs };
  }
}

function parameter(value: Matrix): Parameter {
  return { value, first: new Float64Array(value.values.length), second: new Float64Array(value.values.length) };
}

function adam({ value, first, second }: Parameter, gradient: Matrix, rate: number, step: number): void {
  const [values, slopes] = [value.values, gradient.values];
  const size = (rate * Math.sqrt(1 - BETA2 ** step)) / (1 - BETA1 ** step);
  for (let at = 0; at < values.length; at += 1) {
    const slope = slopes[at] as number;
    const mean = BETA1 * (first[at] as number) + (1 - BETA1) * slope;
    const square = BETA2 * (second[at] as number) + (1 - BETA2) * slope * slope;
    first[at] = mean;
    second[at] = square;
    values[at]! -= (size * mean) / (Math.sqrt(square) + EPSILON);
  }
}

function addRow(to: Matrix, row: Matrix): Matrix {
  for (let at = 0; at < to.values.length; at += 1) to.values[at]! += row.values[at % to.columns] as number;
  return to;
}

function rectify(of: Matrix): Matrix {
  for (let at = 0; at < of.values.length; at += 1) if ((of.values[at] as number) < 0) of.values[at] = 0;
  return of;
}

/** Lets the gradient through where the unit was on. */
function rectifiedGradient(gradient: Matrix, outputs: Matrix): Matrix {
  for (let at = 0; at < gradient.values.length; at += 1) if (outputs.values[at] === 0) gradient.values[at] = 0;
  return gradient;
}

function columnSums(of: Matrix): Matrix {
  const sums = new Float64Array(of.columns);
  for (let at = 0; at < of.values.length; at += 1) sums[at % of.columns]! += of.values[at] as number;
  return matrix(1, of.columns, sums);
}
