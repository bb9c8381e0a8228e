/**
 * For tests: single operators applied to any value, in all forms of broadcasting, cutting and joining.
 * @module
 */
import { onnxNode } from "../../checkpoint/onnx-encode.ts";
import type { OnnxGraph } from "../../checkpoint/onnx.ts";
import { elements, MICROSOFT, type Dimension, type Drawn, type GraphBuilder } from "./graph-builder.fixture.ts";

/** Makes one more value of those that are there; null where it does not fit. */
export type Rule = (builder: GraphBuilder, value: Drawn, pool: readonly Drawn[]) => Drawn | null;

/** Values stay small, so that thousands of graphs run in seconds. */
const ELEMENT_LIMIT = 3000;
const RANK_LIMIT = 5;

/** Axes of a given size. */
export function numericAxes({ shape }: Drawn, least = 1): number[] {
  return shape.flatMap((size, axis) => (typeof size === "number" && size >= least ? [axis] : []));
}

function isSmall(shape: readonly Dimension[]): boolean {
  return elements(shape) <= ELEMENT_LIMIT && shape.length <= RANK_LIMIT;
}

/** Brings a value to about one, so that what follows stays finite. */
export function tame(b: GraphBuilder, value: Drawn): Drawn {
  return b.node(b.dice.pick(["Tanh", "Sigmoid", "Erf", "Softsign"]), [value], value.shape);
}

/** A value that is never near 0. */
function aboveZero(b: GraphBuilder, value: Drawn): Drawn {
  const square = b.dice.chance(0.5) ? b.node("Mul", [value, value], value.shape) : b.node("Abs", [value], value.shape);
  return b.node("Add", [square, b.scalar(b.dice.uniform(0.3, 1))], value.shape);
}

/** Functions of all numbers, by the first operator set that has them. */
const FUNCTIONS: readonly (readonly [name: string, since: number])[] = [
  ...["Relu", "LeakyRelu", "Sigmoid", "Tanh", "Erf", "HardSigmoid", "Elu", "Selu", "Softplus", "Softsign", "ThresholdedRelu"].map(
    (name) => [name, 1] as const,
  ),
  ...["Shrink", "Sin", "Cos", "Atan", "Asinh", "Neg", "Abs", "Identity", "Dropout", "Not"].map((name) => [name, 1] as const),
  ...["Sign", "Floor", "Ceil", "Round", "IsNaN", "IsInf"].map((name) => [name, 13] as const),
  ...[
    ["Celu", 12],
    ["HardSwish", 14],
    ["Mish", 18],
    ["Gelu", 20],
  ].map(([name, since]) => [name, since] as [string, number]),
];
/** Functions of numbers in (-1, 1). */
const BOUNDED = ["Sinh", "Cosh", "Asin", "Acos", "Atanh", "Tan", "Exp"];
/** Functions of numbers that are not near 0. */
const POSITIVE = ["Log", "Sqrt", "Reciprocal", "Acosh"];

const unary: Rule = (b, value) => {
  const { dice } = b;
  const { shape } = value;
  if (dice.chance(0.1)) return b.node(dice.pick(["Gelu", "QuickGelu"]), [value], shape, {}, MICROSOFT);
  if (dice.chance(0.2)) {
    const bounded = b.node("Mul", [b.node("Tanh", [value], shape), b.scalar(0.8)], shape);
    return b.node(dice.pick(BOUNDED), [bounded], shape);
  }
  if (dice.chance(0.2)) {
    const name = dice.pick(POSITIVE);
    const positive = aboveZero(b, value);
    return b.node(name, [name === "Acosh" ? b.node("Add", [positive, b.scalar(1)], shape) : positive], shape);
  }
  const [name] = dice.pick(FUNCTIONS.filter(([, since]) => since <= b.opset));
  if (name === "Dropout" && dice.chance(0.3)) {
    const [kept, mask] = b.nodes("Dropout", [value], [shape, shape]) as [Drawn, Drawn];
    return dice.chance(0.5) ? kept : b.node("Mul", [kept, b.node("Cast", [mask], shape, { to: 1 })], shape);
  }
  if (name === "Not") {
    const positive = b.node("Greater", [value, b.scalar(dice.uniform(-0.5, 0.5))], shape);
    return b.node("Cast", [b.node("Not", [positive], shape)], shape, { to: 1 });
  }
  const result = b.node(name, [value], shape, name === "LeakyRelu" && dice.chance(0.5) ? { alpha: { float: 0.2 } } : {});
  return name.startsWith("Is") ? b.node("Mul", [value, b.node("Cast", [result], shape, { to: 1 })], shape) : result;
};

/** A shape that broadcasts to `shape`, given sizes alone. */
function broadcastShape(b: GraphBuilder, shape: readonly Dimension[]): number[] {
  const { dice } = b;
  const kept = shape.slice(dice.chance(0.6) ? Math.max(0, shape.length - 1 - dice.below(2)) : dice.below(shape.length + 1));
  return kept.map((size) => (typeof size === "string" || dice.chance(0.35) ? 1 : size));
}

/** The shape that two shapes make together; null where they do not fit. */
function together(a: readonly Dimension[], b: readonly Dimension[]): Dimension[] | null {
  const rank = Math.max(a.length, b.length);
  const result: Dimension[] = [];
  for (let axis = 0; axis < rank; axis++) {
    const [one, two] = [a[axis - rank + a.length] ?? 1, b[axis - rank + b.length] ?? 1];
    if (one !== two && one !== 1 && two !== 1) return null;
    result.push(one === 1 ? two : one);
  }
  return result;
}

/** An operand for a value: stored numbers, all different or all the same, or a value of the pool. */
function partner(b: GraphBuilder, value: Drawn, pool: readonly Drawn[]): Drawn {
  const { dice } = b;
  const fitting = pool.filter(({ shape }) => {
    const both = together(shape, value.shape);
    return both !== null && isSmall(both);
  });
  if (fitting.length > 0 && dice.chance(0.55)) return dice.pick(fitting);
  if (dice.chance(0.2)) return b.scalar(dice.pick([0, 1, -1, 0.5, 2, -0.7]));
  let shape = broadcastShape(b, value.shape);
  if (dice.chance(0.1)) shape = [...Array.from({ length: value.shape.length - shape.length }, () => 1), ...shape];
  if (dice.chance(0.05) && value.shape.length < 4)
    shape = [2, ...Array.from({ length: value.shape.length - shape.length }, () => 1), ...shape];
  if (dice.chance(0.15)) return b.stored(shape, new Float64Array(elements(shape)).fill(dice.pick([0, 1, -0.5, 1.5])));
  return b.gaussian(shape, 1);
}

const binary: Rule = (b, value, pool) => {
  const { dice } = b;
  const other = partner(b, value, pool);
  const shape = together(value.shape, other.shape);
  if (!shape || !isSmall(shape)) return null;
  const name = dice.pick(["Add", "Add", "Sub", "Mul", "Mul", "Div", "Max", "Min", "Sum", "Where", "Pow", "PRelu", "compare", "logic"]);
  const pair = dice.chance(0.5) ? [value, other] : [other, value];
  switch (name) {
    case "Div":
      return b.node("Div", [pair[0]!, aboveZero(b, pair[1]!)], shape);
    case "Sum":
      return b.node("Sum", [...pair, ...(dice.chance(0.3) ? [value] : [])], shape);
    case "Where": {
      const asked = dice.pick(pair);
      if (dice.chance(0.5))
        return b.node("Where", [b.node("Greater", [asked, b.scalar(dice.uniform(-0.5, 0.5))], asked.shape), ...pair], shape);
      const fixed = broadcastShape(b, shape);
      return b.node(
        "Where",
        [
          b.bools(
            Array.from({ length: elements(fixed) }, () => dice.chance(0.6)),
            fixed,
          ),
          ...pair,
        ],
        shape,
      );
    }
    case "Pow": {
      const power = dice.pick([1, 2, 3, 0.5, -1, -0.5, 1.5]);
      const base = Number.isInteger(power) && power > 0 ? value : aboveZero(b, value);
      return b.node("Pow", [dice.chance(0.3) ? tame(b, base) : base, b.scalar(power)], value.shape);
    }
    case "PRelu": {
      // The slope broadcasts to the input alone.
      const slope = broadcastShape(b, value.shape);
      return b.node("PRelu", [value, b.positive(slope)], value.shape);
    }
    case "compare": {
      const truth = b.node(dice.pick(["Greater", "Less", "GreaterOrEqual", "LessOrEqual"].slice(0, b.opset >= 12 ? 4 : 2)), pair, shape);
      return b.node("Mul", [value, b.node("Cast", [truth], shape, { to: 1 })], shape);
    }
    case "logic": {
      const truths = pair.map((each) => b.node("Less", [each, b.scalar(dice.uniform(-0.5, 0.5))], each.shape));
      return b.node("Cast", [b.node(dice.pick(["And", "Or", "Xor"]), truths, shape)], shape, { to: 1 });
    }
    default:
      return b.node(name, name === "Mul" && dice.chance(0.3) ? [pair[0]!, tame(b, pair[1]!)] : pair, shape);
  }
};

const clip: Rule = (b, value) => {
  const [low, high] = b.dice.pick([
    [0, null],
    [null, 0],
    [-0.7, 0.9],
    [0, 6],
    [null, 1],
    [0, 3.4e38],
  ] as const);
  return b.clip(value, low, high);
};

const reduce: Rule = (b, value) => {
  const { dice } = b;
  if (value.shape.length === 0) return null;
  const axes = value.shape.map((_, axis) => axis).filter(() => dice.chance(0.4));
  if (axes.length === 0) axes.push(value.shape.length - 1);
  const name = dice.pick([
    "ReduceMean",
    "ReduceMean",
    "ReduceSum",
    "ReduceMax",
    "ReduceMin",
    "ReduceL1",
    "ReduceL2",
    "ReduceSumSquare",
    "ReduceProd",
    "ReduceLogSum",
    "ReduceLogSumExp",
  ]);
  const input = name === "ReduceProd" ? tame(b, value) : name === "ReduceLogSum" ? aboveZero(b, value) : value;
  const keep = dice.chance(0.6);
  const reduced = b.reduce(name, input, axes, keep);
  if (!keep || dice.chance(0.3)) return reduced;
  return b.node(dice.pick(["Add", "Sub", "Mul"]), [value, reduced], value.shape);
};

const softmax: Rule = (b, value) => {
  const { dice } = b;
  const axis = value.shape.length - 1;
  if (axis < 0) return null;
  // Before operator set 13 the trailing axes are one.
  const at = b.opset >= 13 ? dice.below(axis + 1) : axis;
  return b.node(dice.pick(["Softmax", "Softmax", "LogSoftmax"]), [value], value.shape, { axis: dice.chance(0.5) ? at : at - axis - 1 });
};

const linear: Rule = (b, value) => {
  const { dice } = b;
  const { shape } = value;
  const rank = shape.length;
  const axis = rank - 1;
  const from = shape[axis];
  if (typeof from !== "number") return null;
  const to = dice.pick([1, 2, 3, 4, 6, 8, 12]);
  const result = shape.toSpliced(axis, 1, to);
  if (!isSmall(result)) return null;
  if (rank === 2 && dice.chance(0.5)) return gemm(b, value, to);
  const letters = "bcdefg".slice(0, axis);
  if (dice.chance(0.2) && b.opset >= 12) {
    const flipped = dice.chance(0.5);
    const weight = b.weight(flipped ? [to, from] : [from, to], from);
    const equation = `${letters}x,${flipped ? "yx" : "xy"}->${letters}y`;
    return b.node("Einsum", [value, weight], result, { equation });
  }
  if (rank === 1) return b.node("MatMul", [value, b.weight([from, to], from)], [to]);
  if (rank >= 3 && typeof shape[axis - 2] === "number" && dice.chance(0.2)) {
    // A matrix for each of the blocks.
    return b.node("MatMul", [value, b.weight([shape[axis - 2] as number, from, to], from)], result);
  }
  const product = b.node("MatMul", [value, b.weight([from, to], from)], result);
  if (dice.chance(0.4)) return product;
  const bias = b.weight([to], 4);
  return b.node("Add", dice.chance(0.5) ? [product, bias] : [bias, product], result);
};

/** All variants of a general matrix product. */
export function gemm(b: GraphBuilder, value: Drawn, to: number): Drawn {
  const { dice } = b;
  const [rows, from] = value.shape as [Dimension, number];
  const [transA, transB] = [dice.chance(0.2), dice.chance(0.6)];
  const left = transA ? b.transpose(value, [1, 0]) : value;
  const weight = b.weight(transB ? [to, from] : [from, to], from);
  const bias = dice.chance(0.8) ? b.weight(dice.pick([[to], [1, to], [1], [1, 1], []]), 4) : null;
  const attributes = {
    ...(transA ? { transA: 1 } : {}),
    ...(transB ? { transB: 1 } : dice.chance(0.2) ? { transB: 0 } : {}),
    ...(dice.chance(0.3) ? { alpha: { float: dice.uniform(0.5, 1.5) } } : {}),
    ...(dice.chance(0.3) ? { beta: { float: dice.uniform(0.5, 1.5) } } : {}),
  };
  return b.node("Gemm", [left, weight, bias], [rows, to], attributes);
}

/** A sum over any axis, with a weight that may share others. */
const contract: Rule = (b, value) => {
  const { dice } = b;
  if (b.opset < 12) return null;
  const axes = numericAxes(value);
  if (axes.length === 0 || value.shape.length > 4) return null;
  const axis = dice.pick(axes);
  const letters = [..."abcdef"].slice(0, value.shape.length);
  const to = dice.pick([2, 3, 5]);
  const shared = axes.filter((other) => other !== axis && dice.chance(0.3));
  const weightAxes = dice.shuffled([axis, ...shared]);
  const size = (at: number): number => value.shape[at] as number;
  const fan = size(axis);
  const left = letters.join("");
  if (dice.chance(0.3)) {
    // Only sums and weighs.
    const result = letters.filter((_, at) => at !== axis);
    const shape = value.shape.filter((_, at) => at !== axis);
    const weight = b.weight(weightAxes.map(size), fan);
    return b.node("Einsum", [value, weight], shape, {
      equation: `${left},${weightAxes.map((at) => letters[at]).join("")}->${result.join("")}`,
    });
  }
  const weight = b.weight([...weightAxes.map(size), to], fan);
  const shape = value.shape.toSpliced(axis, 1, to);
  const result = letters.toSpliced(axis, 1, "z");
  if (!isSmall(shape)) return null;
  return b.node("Einsum", [value, weight], shape, {
    equation: `${left},${weightAxes.map((at) => letters[at]).join("")}z->${result.join("")}`,
  });
};

/** Products of two values that depend on the input. */
const multiply: Rule = (b, value, pool) => {
  const { dice } = b;
  if (value.shape.length < 2) return null;
  const k = value.shape.at(-1) as Dimension;
  const others = pool.filter(
    ({ shape }) => shape.length >= 2 && shape.at(-1) === k && together(value.shape.slice(0, -2), shape.slice(0, -2)),
  );
  if (others.length === 0) return null;
  const other = tame(b, dice.pick(others));
  const rank = other.shape.length;
  const turned = b.transpose(other, [...Array.from({ length: rank - 2 }, (_, i) => i), rank - 1, rank - 2]);
  const batch = together(value.shape.slice(0, -2), other.shape.slice(0, -2))!;
  const shape = [...batch, value.shape.at(-2) as Dimension, other.shape.at(-2) as Dimension];
  return isSmall(shape) ? b.node("MatMul", [value, turned], shape) : null;
};

/** Products of a value with itself, or of any two that share sizes, summed over any of these. */
const pair: Rule = (b, value, pool) => {
  const { dice } = b;
  const rank = value.shape.length;
  if (rank < 2 || rank > 3) return null;
  if (dice.chance(0.3)) {
    const turned = b.transpose(value, rank === 2 ? [1, 0] : [0, 2, 1]);
    const shape = value.shape.with(-1, value.shape.at(-2) as Dimension);
    return isSmall(shape) ? b.node("Mul", [b.node("MatMul", [value, turned], shape), b.scalar(0.3)], shape) : null;
  }
  if (b.opset < 12) return null;
  const other = dice.pick([value, ...pool.filter(({ shape }) => shape.length >= 1 && shape.length <= 3)]);
  const left = [..."abc"].slice(0, rank);
  const sizes = new Map<string, Dimension>(left.map((letter, axis) => [letter, value.shape[axis] as Dimension]));
  // Axes of equal size may be one index.
  const right = other.shape.map((size, axis) => {
    const same = left.filter((letter) => sizes.get(letter) === size);
    const letter = same.length > 0 && dice.chance(0.7) ? dice.pick(same) : ("xyz"[axis] as string);
    sizes.set(letter, size);
    return letter;
  });
  if (new Set(right).size !== right.length) return null;
  const all = [...new Set([...left, ...right])];
  const kept = dice.shuffled(all.filter((letter) => dice.chance(left.includes(letter) && right.includes(letter) ? 0.5 : 0.9)));
  const shape = kept.map((letter) => sizes.get(letter) as Dimension);
  if (!isSmall(shape)) return null;
  const small = b.node("Mul", [other, b.scalar(0.3)], other.shape);
  return b.node("Einsum", [value, small], shape, { equation: `${left.join("")},${right.join("")}->${kept.join("")}` });
};

const transpose: Rule = (b, value) => b.transpose(value, b.dice.shuffled(value.shape.map((_, axis) => axis)));

const reshape: Rule = (b, value) => {
  const { dice } = b;
  const shape: Dimension[] = [...value.shape];
  for (let i = dice.between(1, 3); i > 0; i--) {
    const axis = dice.below(Math.max(shape.length, 1));
    const size = shape[axis];
    const next = shape[axis + 1];
    if (dice.chance(0.5) && typeof size === "number" && size > 1) {
      const divisors = Array.from({ length: size }, (_, d) => d + 1).filter((d) => size % d === 0);
      const outer = dice.pick(divisors);
      shape.splice(axis, 1, outer, size / outer);
    } else if (size !== undefined && next !== undefined) {
      if (typeof size === "number" && typeof next === "number") shape.splice(axis, 2, size * next);
      else if (typeof size === "string" && typeof next === "string") shape.splice(axis, 2, `${size}*${next}`);
    }
  }
  if (!isSmall(shape)) return null;
  if (dice.chance(0.1) && value.shape.length > 0 && value.shape.every((size) => typeof size === "number")) {
    const at = dice.below(value.shape.length + 1);
    const flat = [elements(value.shape.slice(0, at)), elements(value.shape.slice(at))];
    return b.node("Flatten", [value], flat, { axis: at });
  }
  if (shape.length === 2 && dice.chance(0.5) && value.shape.length >= 2 && value.shape.slice(1).every((size) => typeof size === "number"))
    return b.node("Flatten", [value], [value.shape[0] as Dimension, elements(value.shape.slice(1))]);
  return b.reshape(value, shape);
};

const layoutOnes: Rule = (b, value) => {
  const { dice } = b;
  const ones = value.shape.flatMap((size, axis) => (size === 1 ? [axis] : []));
  if (ones.length > 0 && dice.chance(0.5)) {
    if (dice.chance(0.3) && value.shape.every((size) => typeof size === "number"))
      return b.node(
        "Squeeze",
        [value],
        value.shape.filter((size) => size !== 1),
      );
    return b.squeeze(value, [dice.pick(ones)]);
  }
  if (value.shape.length >= RANK_LIMIT) return null;
  const one = b.unsqueeze(value, [dice.below(value.shape.length + 1)]);
  if (dice.chance(0.4)) return one;
  const shape = one.shape.map((size) => (size === 1 && dice.chance(0.5) ? dice.between(2, 3) : size));
  return isSmall(shape) ? b.expand(one, shape) : one;
};

/** Parts of an axis, some of them changed, put together again. */
const cut: Rule = (b, value) => {
  const { dice } = b;
  const axes = numericAxes(value, 2);
  if (axes.length === 0) return null;
  const axis = dice.pick(axes);
  const size = value.shape[axis] as number;
  if (dice.chance(0.3)) {
    const start = dice.below(size);
    if (dice.chance(0.1)) return b.node("Slice", [value, b.ints([-1]), b.ints([-size - 1]), b.ints([axis]), b.ints([-1])], value.shape);
    if (dice.chance(0.2)) {
      const lists = [
        [start, 0],
        [size, 1],
        [axis, axes[0] === axis ? axes.at(-1)! : axes[0]!],
      ];
      if (lists[2]![0] !== lists[2]![1])
        return b.node("Slice", [value, ...lists.map((list) => b.ints(list))], value.shape.with(axis, size - start).with(lists[2]![1]!, 1));
    }
    return b.slice(value, axis, start, dice.between(start + 1, size), dice.chance(0.2) ? 2 : 1);
  }
  const places = dice
    .shuffled(Array.from({ length: size - 1 }, (_, i) => i + 1))
    .slice(0, dice.between(1, 2))
    .toSorted((one, two) => one - two);
  const sizes = [...places, size].map((end, i) => end - (places[i - 1] ?? 0));
  const parts = dice.chance(0.6)
    ? b.split(value, axis, sizes)
    : sizes.map((part, i) => b.slice(value, axis, places[i - 1] ?? 0, (places[i - 1] ?? 0) + part));
  const changed = parts.flatMap((part): Drawn[] => {
    if (dice.chance(0.15)) return [];
    return [dice.chance(0.4) ? b.node(dice.pick(["Relu", "Tanh", "Neg", "Identity"]), [part], part.shape) : part];
  });
  if (changed.length === 0) return parts[0]!;
  return b.concat(dice.chance(0.3) ? dice.shuffled(changed) : changed, axis);
};

const join: Rule = (b, value, pool) => {
  const { dice } = b;
  const axes = numericAxes(value);
  if (axes.length === 0) return null;
  const axis = dice.pick(axes);
  const fits = ({ shape }: Drawn): boolean =>
    shape.length === value.shape.length && shape.every((size, at) => (at === axis ? typeof size === "number" : size === value.shape[at]));
  const others = pool.filter(fits);
  const parts = [value, dice.pick([value, ...others])];
  if (value.shape.every((size) => typeof size === "number") && dice.chance(0.3))
    parts.push(b.gaussian(value.shape.toSpliced(axis, 1, 2) as number[], 1));
  const joined = b.concat(dice.shuffled(parts), axis);
  return isSmall(joined.shape) ? joined : null;
};

const gather: Rule = (b, value) => {
  const { dice } = b;
  const axes = numericAxes(value);
  if (axes.length === 0) return null;
  const axis = dice.pick(axes);
  const size = value.shape[axis] as number;
  const start = dice.below(size);
  const kind = dice.below(3);
  const indices =
    kind === 0
      ? b.ints([dice.chance(0.3) ? start - size : start], [])
      : kind === 1
        ? b.ints(Array.from({ length: dice.between(1, size - start) }, (_, i) => start + i))
        : b.ints(
            Array.from({ length: 4 }, () => dice.below(size)),
            dice.chance(0.5) ? [4] : [2, 2],
          );
  const shape = [...value.shape.slice(0, axis), ...indices.shape, ...value.shape.slice(axis + 1)];
  return isSmall(shape) ? b.node("Gather", [value, indices], shape, axis === 0 ? {} : { axis }) : null;
};

const repeat: Rule = (b, value) => {
  const { dice } = b;
  if (value.shape.length === 0) return null;
  const repeats = value.shape.map((size) => (typeof size === "number" && dice.chance(0.4) ? dice.between(1, 3) : 1));
  const shape = value.shape.map((size, axis) => (typeof size === "number" ? size * (repeats[axis] as number) : size));
  return isSmall(shape) ? b.node("Tile", [value, b.ints(repeats)], shape) : null;
};

const pad: Rule = (b, value) => {
  const { dice } = b;
  if (value.shape.length === 0) return null;
  const amounts = [0, 1].map(() => value.shape.map((size) => (typeof size === "number" && dice.chance(0.4) ? dice.below(3) : 0)));
  const [before, after] = amounts as [number[], number[]];
  const shape = value.shape.map((size, axis) => (typeof size === "number" ? size + before[axis]! + after[axis]! : size));
  if (!isSmall(shape)) return null;
  if (dice.chance(0.15)) {
    // Less than nothing: cuts off.
    const axis = dice.pick([...numericAxes(value, 2), -1]);
    if (axis < 0) return null;
    const amount = value.shape.map((_, at) => (at === axis ? -1 : 0));
    return b.node(
      "Pad",
      [value, b.ints([...amount, ...value.shape.map(() => 0)])],
      value.shape.with(axis, (value.shape[axis] as number) - 1),
    );
  }
  if (b.opset >= 18 && dice.chance(0.2)) {
    const axis = numericAxes(value)[0];
    if (axis === undefined) return null;
    const padded = value.shape.with(axis, (value.shape[axis] as number) + 3);
    return b.node("Pad", [value, b.ints([1, 2]), null, b.ints([axis])], padded);
  }
  const mode = dice.pick(["constant", "constant", "edge"]);
  const fill = mode === "constant" && dice.chance(0.5) ? b.scalar(dice.pick([0, 0, 1]), []) : null;
  return b.node("Pad", [value, b.ints([...before, ...after]), fill], shape, mode === "constant" ? {} : { mode });
};

const running: Rule = (b, value) => {
  const axes = value.shape.map((_, axis) => axis);
  if (axes.length === 0) return null;
  const summed = b.node("CumSum", [value, b.ints([b.dice.pick(axes)], [])], value.shape);
  return b.node("Mul", [summed, b.scalar(0.3)], value.shape);
};

const normalise: Rule = (b, value) => {
  const { dice } = b;
  const { shape } = value;
  const rank = shape.length;
  const size = shape.at(-1);
  if (rank < 2 || typeof size !== "number" || size < 2) return null;
  const channels = shape[1];
  const kinds = ["lp", "rms", ...(b.opset >= 17 ? ["layer", "layer"] : [])];
  if (typeof channels === "number") {
    kinds.push("batch");
    if (rank >= 3 && elements(shape.slice(2)) > 1) kinds.push("instance", ...(b.opset >= 21 ? ["group"] : []));
  }
  switch (dice.pick(kinds)) {
    case "lp":
      return b.node(
        "LpNormalization",
        [b.node("Add", [value, b.scalar(0.1)], shape)],
        shape,
        dice.chance(0.5) ? {} : { p: dice.between(1, 2) },
      );
    case "rms":
      return b.node("SimplifiedLayerNormalization", [value, b.positive([size])], shape, { epsilon: { float: 1e-3 } });
    case "layer": {
      const before = shape[rank - 2];
      const two = rank >= 3 && typeof before === "number" && dice.chance(0.3);
      const axes = two ? [before, size] : [size];
      const offset = dice.chance(0.7) ? b.gaussian(axes, 0.3) : null;
      return b.node("LayerNormalization", [value, b.positive(axes), offset], shape, { axis: -axes.length, epsilon: { float: 1e-3 } });
    }
    case "batch":
      return batchNorm(b, value);
    case "instance":
      return b.node("InstanceNormalization", [value, b.positive([channels as number]), b.gaussian([channels as number], 0.3)], shape, {
        epsilon: { float: 1e-2 },
      });
    default: {
      const groups = dice.pick([1, 2, 3, 4].filter((count) => (channels as number) % count === 0));
      return b.node("GroupNormalization", [value, b.positive([channels as number]), b.gaussian([channels as number], 0.3)], shape, {
        num_groups: groups,
        epsilon: { float: 1e-2 },
      });
    }
  }
};

/** A batch normalisation over axis 1. */
export function batchNorm(b: GraphBuilder, value: Drawn): Drawn {
  const channels = value.shape[1] as number;
  const statistics = [b.positive([channels]), b.gaussian([channels], 0.3), b.gaussian([channels], 0.3), b.positive([channels])];
  return b.node("BatchNormalization", [value, ...statistics], value.shape, b.dice.chance(0.5) ? { epsilon: { float: 1e-3 } } : {});
}

/** Operators that pick by data, and those that the tracer does not know. */
const opaque: Rule = (b, value) => {
  const { dice } = b;
  const { shape } = value;
  const rank = shape.length;
  const size = shape.at(-1);
  if (rank < 2 || typeof size !== "number" || size < 2) return null;
  switch (dice.below(10)) {
    case 8:
      return byPlace(b, value);
    case 9: {
      if (rank !== 4 || typeof shape[1] !== "number") return null;
      return dice.chance(0.5)
        ? b.node("LRN", [value], shape, { size: 3 })
        : b.node("MeanVarianceNormalization", [b.node("Add", [value, b.gaussian([size], 1)], shape)], shape, { axes: [0, 2, 3] });
    }
    case 0: {
      const count = dice.between(1, size);
      const [values] = b.nodes("TopK", [value, b.ints([count])], [shape.with(-1, count), shape.with(-1, count)], { axis: -1 });
      return values!;
    }
    case 1: {
      const best = b.node("ArgMax", [value], shape.with(-1, 1), { axis: -1 });
      return b.node("Mul", [b.node("Cast", [best], best.shape, { to: 1 }), b.scalar(0.2)], best.shape);
    }
    case 2: {
      const best = b.node("ArgMin", [value], shape.slice(0, -1), { axis: -1, keepdims: 0 });
      const hot = b.node("OneHot", [best, b.ints([size], []), b.stored([2], [0, 1])], shape, { axis: -1 });
      return b.node("Mul", [hot, value], shape);
    }
    case 3:
      return maybeDescribed(b, b.node("FusedMatMul", [value, b.weight([size, 3], size)], shape.with(-1, 3), {}, MICROSOFT));
    case 4: {
      const order = dice.shuffled(Array.from({ length: size }, (_, i) => i));
      const taken = b.node("Gather", [value, b.ints(order)], shape, { axis: rank - 1 });
      return b.node("Hardmax", [taken], shape, { axis: rank - 1 });
    }
    case 5: {
      if (!shape.every((each) => typeof each === "number") || elements(shape) > 200) return null;
      const indices = b.ints(
        Array.from({ length: elements(shape) }, () => dice.below(size)),
        shape as number[],
      );
      return b.node("GatherElements", [value, indices], shape, { axis: -1 });
    }
    case 6:
      return b.opset >= 14 ? maybeDescribed(b, b.node("Trilu", [value], shape)) : null;
    default:
      return maybeDescribed(b, choice(b, value));
  }
};

/** Operators that read or write by places of the last axis or the first. */
function byPlace(b: GraphBuilder, value: Drawn): Drawn | null {
  const { dice } = b;
  const { shape } = value;
  const size = shape.at(-1) as number;
  const [first] = shape;
  if (typeof first !== "number" || !shape.every((each) => typeof each === "number")) {
    const scaled = b.node("Mul", [value, b.scalar(40)], shape);
    const rounded = b.nodes("QuantizeLinear", [scaled, b.scalar(0.5, []), null], [shape])[0]!;
    return b.node("DequantizeLinear", [rounded, b.scalar(0.02, [])], shape);
  }
  switch (dice.below(6)) {
    case 0:
      return b.node("GatherND", [value, b.ints([dice.below(first), 0], [2, 1])], [2, ...shape.slice(1)]);
    case 1:
      return b.node("ScatterND", [value, b.ints([dice.below(first)], [1, 1]), b.gaussian([1, ...(shape.slice(1) as number[])], 1)], shape);
    case 2: {
      const places = shape.with(-1, 1) as number[];
      const indices = b.ints(
        Array.from({ length: elements(places) }, () => dice.below(size)),
        places,
      );
      return b.node("ScatterElements", [value, indices, b.gaussian(places, 1)], shape, { axis: -1 });
    }
    case 3: {
      const lengths = b.ints(Array.from({ length: shape[1] as number }, () => dice.between(1, first)));
      return b.node("ReverseSequence", [value, lengths], shape, { time_axis: 0, batch_axis: 1 });
    }
    case 4: {
      if (shape.length !== 2) return null;
      return b.node("Add", [value, b.node("EyeLike", [value], shape)], shape);
    }
    default: {
      const positive = b.node("Add", [b.node("Abs", [value], shape), b.scalar(0.2)], shape);
      return b.node("Mod", [positive, b.scalar(0.7)], shape, { fmod: 1 });
    }
  }
}

/** A value or its negative, by branches that take it from outside. */
function choice(b: GraphBuilder, value: Drawn): Drawn {
  const { shape } = value;
  const sum = b.reduce(
    "ReduceSum",
    value,
    shape.map((_, axis) => axis),
    false,
  );
  const branch = (operator: string): OnnxGraph => {
    const name = b.fresh("inner");
    return {
      name,
      nodes: [onnxNode(operator, [value.name], [name])],
      initializers: new Map(),
      inputs: [],
      outputs: [{ name, type: "float32", shape: null }],
      values: new Map(),
    };
  };
  const condition = b.node("Greater", [sum, b.scalar(0.1, [])], []);
  return b.node("If", [condition], shape, { then_branch: branch("Identity"), else_branch: branch("Neg") });
}

/** States the shape of what the tracer cannot tell, or not. */
export function maybeDescribed(b: GraphBuilder, value: Drawn): Drawn {
  return b.dice.chance(0.6) ? b.describe(value) : value;
}

/** All rules for any value, the frequent ones more often. */
export const RULES: readonly Rule[] = [
  unary,
  unary,
  unary,
  binary,
  binary,
  binary,
  binary,
  clip,
  reduce,
  reduce,
  softmax,
  linear,
  linear,
  linear,
  linear,
  contract,
  pair,
  multiply,
  transpose,
  reshape,
  reshape,
  layoutOnes,
  cut,
  cut,
  join,
  gather,
  repeat,
  pad,
  running,
  normalise,
  normalise,
  opaque,
];

/** Sums and products with weights, and what moves, cuts and joins: all that leaves more than permutations. */
export const LINEAR_RULES: readonly Rule[] = [
  linear,
  linear,
  linear,
  contract,
  contract,
  contract,
  multiply,
  pair,
  transpose,
  reshape,
  reshape,
  layoutOnes,
  cut,
  cut,
  join,
  gather,
  repeat,
  pad,
  normalise,
  (b, value, pool) => {
    const others = pool.filter(
      ({ shape }) => shape.length === value.shape.length && shape.every((size, axis) => size === value.shape[axis]),
    );
    const other = others.length > 0 ? b.dice.pick(others) : value;
    return b.node(b.dice.pick(["Add", "Sub"]), [value, other], value.shape);
  },
  (b, value, pool) => {
    const other = partner(b, value, pool);
    const shape = together(value.shape, other.shape);
    return shape && isSmall(shape) ? b.node(b.dice.pick(["Add", "Sub", "Mul"]), [value, other], shape) : null;
  },
  (b, value) => {
    if (value.shape.length === 0) return null;
    const axes = [b.dice.below(value.shape.length)];
    return b.reduce(b.dice.pick(["ReduceMean", "ReduceSum", "ReduceL2", "ReduceSumSquare"]), value, axes, b.dice.chance(0.5));
  },
  (b, value) => b.node(b.dice.pick(["Identity", "Neg"]), [value], value.shape),
];

/** Rules that keep the shape. */
export const SHAPE_KEEPING: readonly Rule[] = [
  unary,
  clip,
  (b, value) => b.node("Add", [value, b.weight([1], 1)], value.shape),
  (b, value) => {
    const size = value.shape.at(-1);
    return typeof size === "number" ? b.node(b.dice.pick(["Add", "Mul", "Sub"]), [value, b.gaussian([size], 1)], value.shape) : null;
  },
];
