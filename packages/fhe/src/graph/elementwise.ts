/**
 * Operators that work on each value by itself: sums and products with constants and of polynomials of one value.
 * @module
 */
import { broadcastData, broadcastShapes, type Known } from "@unseen/core/blueprint/trace/known-tensor.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { Beyond } from "./beyond.ts";
import { add, MAXIMUM_DEGREE, multiply, uniform, type Coefficients } from "./coefficients.ts";
import { dimensions, firstInput, type Operation, type Operator, type Tracked } from "./tracked.ts";

/** An operator of two inputs, one of which at least depends on the picture. */
function binary(combine: (left: Coefficients, right: Coefficients) => Coefficients): Operator {
  return (operation) => {
    const { the, budget } = operation;
    const [left, right] = [operation.tracked(0), operation.tracked(1)];
    const value = left ?? right;
    if (!value) throw the.malformed(`expected two inputs, got ${operation.node.inputs.length}.`);
    if (left && right && (left.stage !== right.stage || left.flat !== right.flat))
      throw new Beyond(`${the.operator} of what leaves two different layers is not done on ciphertext`);
    budget.take((MAXIMUM_DEGREE + 1) * value.stage.shape.channels);
    const sides = [left, right].map((side, index) => side?.coefficients ?? constantSide(operation, index, value));
    return { ...value, coefficients: combine(sides[0]!, sides[1]!) };
  };
}

function constantSide(operation: Operation, index: number, value: Tracked): Coefficients {
  const known = operation.constant(index);
  if (!known) throw new Beyond(`${operation.the.operator} with a number that is not stored is not done on ciphertext`);
  return [perChannel(operation, known, value)];
}

/** A constant as one number per channel. */
function perChannel({ the, budget }: Operation, known: Known, value: Tracked): Float64Array {
  const { channels, height, width } = value.stage.shape;
  const shape = dimensions(value);
  const count = channels * height * width;
  if (known.data.length === 1 && known.shape.length <= shape.length) return new Float64Array(channels).fill(known.data[0]!);
  let all: number[];
  try {
    all = broadcastShapes(known.shape, shape);
  } catch (error) {
    if (!UnseenError.isInstance(error)) throw error;
    throw the.malformed(`shapes [${known.shape.join()}] and [${shape.join()}] cannot be broadcast together.`);
  }
  if (all.join() !== shape.join()) throw new Beyond(`${the.operator} that makes several pictures of one is not done on ciphertext`);
  budget.take(count);
  const numbers = broadcastData(known, shape);
  return Float64Array.from({ length: channels }, (_, channel) => {
    const own = uniform(numbers.subarray(channel * height * width, (channel + 1) * height * width));
    if (own === null) throw new Beyond(`${the.operator} with another number at every pixel is not done on ciphertext`);
    return own;
  });
}

const negate = (coefficients: Coefficients): Coefficients => coefficients.map((row) => row.map((each) => -each));

const divide: Operator = (operation) => {
  if (operation.tracked(1)) throw new Beyond("Div by an encrypted number is not done on ciphertext");
  return binary((left, [divisor]) => multiply(left, [divisor!.map((each) => 1 / each)]))(operation);
};

const negation: Operator = (operation) => {
  const value = firstInput(operation);
  return { ...value, coefficients: negate(value.coefficients) };
};

const power: Operator = (operation) => {
  const value = firstInput(operation);
  const exponent = operation.constant(1);
  const whole = exponent?.data.length === 1 ? exponent.data[0]! : NaN;
  if (!Number.isInteger(whole) || whole < 1 || whole > MAXIMUM_DEGREE || exponent!.shape.length > dimensions(value).length)
    throw new Beyond(`Pow with an exponent other than 1 to ${MAXIMUM_DEGREE} is not done on ciphertext`);
  operation.budget.take((MAXIMUM_DEGREE + 1) * value.stage.shape.channels);
  let coefficients = value.coefficients;
  for (let i = 1; i < whole; i++) coefficients = multiply(coefficients, value.coefficients);
  return { ...value, coefficients };
};

const batchNormalisation: Operator = (operation) => {
  const { node, the, budget } = operation;
  const value = firstInput(operation);
  if (the.integer("training_mode", 0) !== 0) throw new Beyond("BatchNormalization in training divides by an encrypted number");
  if (the.integer("spatial", 1) === 0) throw new Beyond("BatchNormalization with other numbers at every pixel is not done on ciphertext");
  const axis = dimensions(value)[1]!;
  const [gain, shift, average, variance] = [1, 2, 3, 4].map((index) => {
    const known = operation.constant(index);
    if (!known) throw new Beyond("BatchNormalization with numbers that are not stored is not done on ciphertext");
    if (known.shape.length !== 1 || known.data.length !== axis)
      throw the.malformed(`expected input ${index} of shape [${axis}], got [${known.shape.join()}].`);
    return perChannel(operation, value.flat ? known : { ...known, shape: [axis, 1, 1] }, value);
  }) as [Float64Array, Float64Array, Float64Array, Float64Array];
  const epsilon = the.float("epsilon", 1e-5);
  const factor = gain.map((each, channel) => each / Math.sqrt(variance[channel]! + epsilon));
  const summand = shift.map((each, channel) => each - average[channel]! * factor[channel]!);
  budget.take((MAXIMUM_DEGREE + 1) * node.inputs.length * value.stage.shape.channels);
  return { ...value, coefficients: add(multiply(value.coefficients, [factor]), [summand]) };
};

/** By operator. */
export const elementwise: ReadonlyMap<string, Operator> = new Map([
  ["Add", binary(add)],
  ["Sub", binary((left, right) => add(left, negate(right)))],
  ["Mul", binary(multiply)],
  ["Div", divide],
  ["Neg", negation],
  ["Pow", power],
  ["BatchNormalization", batchNormalisation],
]);
