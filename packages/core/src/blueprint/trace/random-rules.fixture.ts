/**
 * For tests: single operators applied to any value, in all forms of broadcasting, cutting and joining.
 * @module
 */
import { elements, MICROSOFT, type Dimension, type Drawn, type GraphBuilder, withLast } from "./graph-builder.fixture.ts";
import { cut, gather, join, layoutOnes, pad, repeat, reshape, transpose } from "./random-layout.fixture.ts";
import { opaque } from "./random-opaque.fixture.ts";
import { isSmall, numericAxes, together, type Rule } from "./random-shapes.fixture.ts";

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
    const shape = withLast(value.shape, value.shape.at(-2) as Dimension);
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
