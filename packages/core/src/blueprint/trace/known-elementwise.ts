/**
 * Operators that treat every element alike, with NumPy broadcasting.
 * @module
 */
import type { OnnxType } from "../../checkpoint/onnx.ts";
import type { Evaluator } from "./known-case.ts";
import { erf, floorModulo, roundHalfEven } from "./known-functions.ts";
import {
  KNOWN_WORK_LIMIT,
  broadcastData,
  broadcastShapes,
  countOf,
  isExact,
  isFloat,
  isInteger,
  settle,
  type Known,
} from "./known-tensor.ts";

type Types = (type: OnnxType) => boolean;
const numeric: Types = (type) => isFloat(type) || isInteger(type);
const boolean: Types = (type) => type === "bool";
const any: Types = () => true;

function unary(allowed: Types, function_: (x: number) => number, output?: OnnxType): Evaluator {
  return (the) => {
    const input = the.input(0);
    if (!allowed(input.type) || !isExact(input)) return null;
    return settle(output ?? input.type, input.shape, input.data.map(function_));
  };
}

/** Two inputs of one type. `exact`: whether it calculates, so that an extreme of 64 bits in an input leaves the result unknown. */
function binary(allowed: Types, exact: boolean, function_: (a: number, b: number) => number, output?: OnnxType): Evaluator {
  return (the) => {
    const [a, b] = [the.input(0), the.input(1)];
    if (a.type !== b.type || !allowed(a.type) || (exact && !(isExact(a) && isExact(b)))) return null;
    return combine(output ?? a.type, a, b, function_, exact || output !== undefined);
  };
}

function combine(type: OnnxType, a: Known, b: Known, function_: (a: number, b: number) => number, settled: boolean): Known | null {
  const shape = broadcastShapes(a.shape, b.shape);
  if (countOf(shape) === null) return null;
  const left = broadcastData(a, shape);
  const right = broadcastData(b, shape);
  const data = left.map((value, i) => function_(value, right[i]!));
  return settled ? settle(type, shape, data) : { type, shape, data };
}

/** Any number of inputs of one type, folded from the left. `finish` sees the fold and the number of inputs. */
function variadic(
  exact: boolean,
  function_: (a: number, b: number) => number,
  finish: (sum: number, count: number) => number = (sum) => sum,
): Evaluator {
  return (the) => {
    const inputs = the.inputs.map((_, index) => the.input(index));
    const first = the.input(0);
    if (!numeric(first.type) || inputs.some((input) => input.type !== first.type || (exact && !isExact(input)))) return null;
    let shape: readonly number[] = [];
    for (const input of inputs) shape = broadcastShapes(shape, input.shape);
    const count = countOf(shape);
    if (count === null || count * inputs.length > KNOWN_WORK_LIMIT) return null;
    const data = broadcastData(first, shape).slice();
    for (const input of inputs.slice(1)) {
      const next = broadcastData(input, shape);
      for (let i = 0; i < data.length; i++) data[i] = function_(data[i]!, next[i]!);
    }
    if (!exact) return { type: first.type, shape, data };
    return settle(
      first.type,
      shape,
      data.map((sum) => finish(sum, inputs.length)),
    );
  };
}

/** Integer division truncates toward zero, as ONNX Runtime's; by zero it is not followed. */
const divide: Evaluator = (the) => {
  const function_ = isInteger(the.input(0).type) ? (a: number, b: number) => Math.trunc(a / b) : (a: number, b: number) => a / b;
  return binary(numeric, true, function_)(the);
};

/** `fmod` = 1 keeps the dividend's sign; 0, for integers alone, takes the divisor's. */
const modulo: Evaluator = (the) => {
  const keepsDividend = the.integer("fmod", 0) === 1;
  return binary(keepsDividend ? numeric : isInteger, true, keepsDividend ? (a, b) => a % b : floorModulo)(the);
};

/** The exponent may have another type; the result has the base's. */
const power: Evaluator = (the) => {
  const [base, exponent] = [the.input(0), the.input(1)];
  if (!numeric(base.type) || !numeric(exponent.type) || !isExact(base) || !isExact(exponent)) return null;
  // std::pow(1, anything) and pow(anything, 0) are 1 even for NaN; ECMAScript differs for a base of 1.
  const raise = (a: number, b: number): number => (a === 1 ? 1 : a ** b);
  return combine(base.type, base, exponent, isInteger(base.type) ? (a, b) => Math.trunc(raise(a, b)) : raise, true);
};

/** Bounds are attributes up to operator set 10 and inputs from 11 on; where they cross, the upper one wins. */
const clip: Evaluator = (the) => {
  const input = the.input(0);
  if (!numeric(input.type)) return null;
  for (const bound of [the.optional(1), the.optional(2)]) if (bound !== null && bound.type !== input.type) return null;
  const [low, high] =
    the.opset < 11 ? [the.float("min", Number.NEGATIVE_INFINITY), the.float("max", Number.POSITIVE_INFINITY)] : [the.only(1), the.only(2)];
  const data = input.data.map((x) => Math.min(Math.max(x, low ?? Number.NEGATIVE_INFINITY), high ?? Number.POSITIVE_INFINITY));
  // Attributes hold float32 numbers, whatever the type; a clamped integer needs no rounding and may be an extreme.
  return isFloat(input.type) ? settle(input.type, input.shape, data) : { type: input.type, shape: input.shape, data };
};

/** Takes from the second input where the first is true, else from the third; all three broadcast. */
const where: Evaluator = (the) => {
  const [condition, yes, no] = [the.input(0), the.input(1), the.input(2)];
  if (condition.type !== "bool" || yes.type !== no.type) return null;
  const shape = broadcastShapes(condition.shape, broadcastShapes(yes.shape, no.shape));
  if (countOf(shape) === null) return null;
  const [left, right] = [broadcastData(yes, shape), broadcastData(no, shape)];
  const data = broadcastData(condition, shape).map((chosen, i) => (chosen === 0 ? right[i]! : left[i]!));
  return { type: yes.type, shape, data };
};

const truth = (value: boolean): number => (value ? 1 : 0);

/** Element-wise operators by name. */
export const elementwise: ReadonlyMap<string, Evaluator> = new Map<string, Evaluator>([
  ["Add", binary(numeric, true, (a, b) => a + b)],
  ["Sub", binary(numeric, true, (a, b) => a - b)],
  ["Mul", binary(numeric, true, (a, b) => a * b)],
  ["Div", divide],
  ["Mod", modulo],
  ["Pow", power],
  ["Sum", variadic(true, (a, b) => a + b)],
  [
    "Mean",
    variadic(
      true,
      (a, b) => a + b,
      (sum, count) => sum / count,
    ),
  ],
  ["Min", variadic(false, Math.min)],
  ["Max", variadic(false, Math.max)],
  ["Clip", clip],
  ["Where", where],

  ["Neg", unary(numeric, (x) => -x)],
  ["Abs", unary(numeric, Math.abs)],
  ["Sign", unary(numeric, Math.sign)],
  ["Floor", unary(isFloat, Math.floor)],
  ["Ceil", unary(isFloat, Math.ceil)],
  ["Round", unary(isFloat, roundHalfEven)],
  ["Sqrt", unary(isFloat, Math.sqrt)],
  ["Reciprocal", unary(isFloat, (x) => 1 / x)],
  ["Exp", unary(isFloat, Math.exp)],
  ["Log", unary(isFloat, Math.log)],
  ["Sin", unary(isFloat, Math.sin)],
  ["Cos", unary(isFloat, Math.cos)],
  ["Tanh", unary(isFloat, Math.tanh)],
  ["Erf", unary(isFloat, erf)],
  ["Sigmoid", unary(isFloat, (x) => 1 / (1 + Math.exp(-x)))],
  ["Relu", unary(numeric, (x) => Math.max(x, 0))],

  ["IsNaN", unary(isFloat, (x) => truth(Number.isNaN(x)), "bool")],
  ["Not", unary(boolean, (x) => 1 - x)],
  ["And", binary(boolean, false, (a, b) => a * b)],
  ["Or", binary(boolean, false, (a, b) => Math.max(a, b))],
  ["Xor", binary(boolean, false, (a, b) => truth(a !== b))],
  ["Equal", binary(any, false, (a, b) => truth(a === b), "bool")],
  ["Greater", binary(numeric, false, (a, b) => truth(a > b), "bool")],
  ["Less", binary(numeric, false, (a, b) => truth(a < b), "bool")],
  ["GreaterOrEqual", binary(numeric, false, (a, b) => truth(a >= b), "bool")],
  ["LessOrEqual", binary(numeric, false, (a, b) => truth(a <= b), "bool")],
]);
