/**
 * For tests: the blocks that real architectures are made of, in the forms that exporters give them.
 * @module
 */
import { elements, MICROSOFT, type Dimension, type Drawn, type GraphBuilder, withLast } from "./graph-builder.fixture.ts";
import { maybeDescribed } from "./random-opaque.fixture.ts";
import { batchNorm, gemm } from "./random-rules.fixture.ts";
import { numericAxes } from "./random-shapes.fixture.ts";

/** x·W + b along the last axis. */
export function dense(b: GraphBuilder, value: Drawn, to: number, hasBias = b.dice.chance(0.7)): Drawn {
  const { dice } = b;
  const rank = value.shape.length;
  const from = value.shape.at(-1) as number;
  const shape = withLast(value.shape, to);
  if (rank === 2 && dice.chance(0.4)) return gemm(b, value, to);
  if (rank === 2 && dice.chance(0.1)) {
    const attributes = { transB: 1, activation: dice.pick(["Relu", "Tanh", "Sigmoid"]) };
    return b.node("FusedGemm", [value, b.weight([to, from], from), b.weight([to], 4)], shape, attributes, MICROSOFT);
  }
  const product =
    b.opset >= 12 && rank === 3 && dice.chance(0.1)
      ? b.node("Einsum", [value, b.weight([to, from], from)], shape, { equation: "bsi,oi->bso" })
      : b.node("MatMul", [value, b.weight([from, to], from)], shape);
  if (!hasBias) return product;
  const bias = b.weight([to], 4);
  return b.node("Add", dice.chance(0.5) ? [product, bias] : [bias, product], shape);
}

/** GELU and its like, fused or written out. */
export function activation(b: GraphBuilder, value: Drawn, simple = false): Drawn {
  const { dice } = b;
  const { shape } = value;
  const name = dice.pick(["Relu", "Relu", "Tanh", "gelu", "gelu", "tanh gelu", "silu", "LeakyRelu", "squared relu", "fused", "Sigmoid"]);
  const node = (operator: string, inputs: Drawn[]): Drawn => b.node(operator, inputs, shape);
  const times = (factor: number, each: Drawn): Drawn => node("Mul", dice.chance(0.5) ? [b.scalar(factor), each] : [each, b.scalar(factor)]);
  switch (simple && name !== "Tanh" ? "Relu" : name) {
    case "gelu": {
      const half = dice.chance(0.5) ? node("Div", [value, b.scalar(Math.SQRT2)]) : times(Math.SQRT1_2, value);
      const gate = node("Add", [node("Erf", [half]), b.scalar(1)]);
      return dice.chance(0.5) ? times(0.5, node("Mul", [value, gate])) : node("Mul", [times(0.5, value), gate]);
    }
    case "tanh gelu": {
      const cube = dice.chance(0.5) ? node("Pow", [value, b.scalar(3)]) : node("Mul", [node("Mul", [value, value]), value]);
      const inner = times(0.797_884_6, node("Add", [value, times(0.044_715, cube)]));
      return node("Mul", [times(0.5, value), node("Add", [node("Tanh", [inner]), b.scalar(1)])]);
    }
    case "silu":
      return node("Mul", [value, node("Sigmoid", [value])]);
    case "squared relu": {
      const positive = node("Relu", [value]);
      return dice.chance(0.5) ? node("Mul", [positive, positive]) : node("Pow", [positive, b.scalar(2)]);
    }
    case "fused": {
      const size = value.shape.at(-1) as number;
      const [operator, bias] = dice.pick([
        ["BiasGelu", true],
        ["FastGelu", true],
        ["FastGelu", false],
        ["QuickGelu", false],
      ] as const);
      return b.node(operator, [value, bias ? b.gaussian([size], 0.3) : null], shape, {}, MICROSOFT);
    }
    default:
      return node(name, [value]);
  }
}

/** Up, activation, down; with or without a gate. */
export function feedForward(b: GraphBuilder, value: Drawn): Drawn {
  const { dice } = b;
  const size = value.shape.at(-1) as number;
  const inner = dice.pick([6, 8, 10, 16]);
  if (dice.chance(0.5)) return dense(b, activation(b, dense(b, value, inner)), size);
  const [gate, up] = dice.chance(0.5)
    ? [dense(b, value, inner), dense(b, value, inner)]
    : b.split(dense(b, value, 2 * inner), value.shape.length - 1, [inner, inner]);
  const gated = b.node("Mul", [activation(b, gate!), up!], up!.shape);
  return dense(b, gated, size);
}

/** Layer and RMS normalisation of the last axis, fused or written out. */
export function norm(b: GraphBuilder, value: Drawn, kind: "layer" | "rms" = b.dice.pick(["layer", "rms"])): Drawn {
  const { dice } = b;
  const { shape } = value;
  const size = shape.at(-1) as number;
  const gain = dice.chance(0.85) ? b.positive([size]) : null;
  const offset = kind === "layer" && dice.chance(0.7) ? b.gaussian([size], 0.3) : null;
  const epsilon = dice.pick([1e-5, 1e-6]);
  if (kind === "layer" && gain && b.opset >= 17 && dice.chance(0.5))
    return b.node("LayerNormalization", [value, gain, offset], shape, dice.chance(0.5) ? {} : { axis: -1, epsilon: { float: epsilon } });
  if (kind === "rms" && gain && dice.chance(0.3))
    return b.node("SimplifiedLayerNormalization", [value, gain], shape, { axis: -1, epsilon: { float: epsilon } });
  const last = shape.length - 1;
  const centred = kind === "layer" ? b.node("Sub", [value, b.reduce("ReduceMean", value, [last], true)], shape) : value;
  const square = dice.chance(0.5) ? b.node("Pow", [centred, b.scalar(2)], shape) : b.node("Mul", [centred, centred], shape);
  const mean = b.reduce("ReduceMean", square, [last], true);
  const shifted = b.node("Add", [mean, b.scalar(epsilon)], mean.shape);
  const root = b.node("Sqrt", [shifted], mean.shape);
  const normal = dice.chance(0.5)
    ? b.node("Div", [centred, root], shape)
    : b.node("Mul", [centred, b.node("Reciprocal", [root], mean.shape)], shape);
  const scaled = gain ? b.node("Mul", dice.chance(0.5) ? [normal, gain] : [gain, normal], shape) : normal;
  return offset ? b.node("Add", dice.chance(0.5) ? [scaled, offset] : [offset, scaled], shape) : scaled;
}

/** x + f(n(x)), n(x + f(x)), with the addition fused into the normalisation or not. */
export function residual(
  b: GraphBuilder,
  value: Drawn,
  inner: (input: Drawn) => Drawn,
  style: "pre" | "post" | "none",
  kind: "layer" | "rms",
): Drawn {
  const { dice } = b;
  const { shape } = value;
  const change = inner(style === "pre" ? norm(b, value, kind) : value);
  if (style === "post" && shape.length === 3 && dice.chance(0.3)) {
    const size = shape.at(-1) as number;
    const gain = b.positive([size]);
    const bias = dice.chance(0.4) ? b.gaussian([size], 0.3) : null;
    const attributes = { epsilon: { float: 1e-5 } };
    if (kind === "rms") return b.node("SkipSimplifiedLayerNormalization", [value, change, gain, bias], shape, attributes, MICROSOFT);
    return b.node(
      "SkipLayerNormalization",
      [value, change, gain, dice.chance(0.8) ? b.gaussian([size], 0.3) : null, bias],
      shape,
      attributes,
      MICROSOFT,
    );
  }
  const sum = b.node("Add", dice.chance(0.5) ? [value, change] : [change, value], shape);
  return style === "post" ? norm(b, sum, kind) : sum;
}

/** What a transformer's layers share. */
export interface AttentionPlan {
  readonly heads: number;
  readonly groups: number;
  readonly size: number;
  /** Numbers to add to the scores: (batch, 1, 1, sequence) or the like. */
  readonly bias: Drawn | null;
  /** Which positions count: 1 or 0, int32 (batch, sequence). */
  readonly mask: Drawn | null;
  /** Queries and keys are normalised. */
  readonly norms: boolean;
  /** (sequence, size) or (1, sequence, size) and the like. */
  readonly rotary: { readonly cos: Drawn; readonly sin: Drawn } | null;
}

/** Self-attention of (batch, sequence, width). */
export function attention(b: GraphBuilder, value: Drawn, plan: AttentionPlan): Drawn {
  const { dice } = b;
  const width = value.shape[2] as number;
  const { heads, groups, size } = plan;
  const inner = heads * size;
  if (groups === heads && !plan.rotary && dice.chance(0.2) && inner === width) return dense(b, fusedAttention(b, value, plan), width);
  const [queries, keys, values] = projections(b, value, plan);
  const normed = plan.norms ? [queries, keys].map((each) => norm(b, each!, "rms")) : [queries, keys];
  const turned = normed.map((each) => (plan.rotary ? rotate(b, each!, plan.rotary) : each!)) as [Drawn, Drawn];
  if (groups < heads && dice.chance(0.3)) return dense(b, groupedMix(b, turned[0], turned[1], values!, plan), width);
  const repeated = [turned[1], values!].map((each) => repeatHeads(b, each, heads / groups));
  const mixed = mix(b, turned[0], repeated[0]!, repeated[1]!, plan);
  const [batch, , sequence] = mixed.shape as [Dimension, Dimension, Dimension];
  const joined = b.reshape(b.transpose(mixed, [0, 2, 1, 3]), [batch, sequence, inner]);
  return dense(b, joined, width);
}

function fusedAttention(b: GraphBuilder, value: Drawn, { heads, mask }: AttentionPlan): Drawn {
  const { dice } = b;
  const { shape } = value;
  const width = shape[2] as number;
  if (dice.chance(0.5)) {
    const weight = b.weight([width, 3 * width], width);
    const bias = b.gaussian([3 * width], 0.3);
    const masked = mask && dice.chance(0.5) ? mask : null;
    return b.node("Attention", [value, weight, bias, masked], shape, { num_heads: heads }, MICROSOFT);
  }
  const [queries, keys, values] = [0, 1, 2].map(() => dense(b, value, width, false)) as [Drawn, Drawn, Drawn];
  const bias = dice.chance(0.5) ? b.gaussian([3 * width], 0.3) : null;
  return b.node("MultiHeadAttention", [queries, keys, values, bias], shape, { num_heads: heads }, MICROSOFT);
}

/** Queries, keys, values: (batch, heads, sequence, size) each. */
function projections(b: GraphBuilder, value: Drawn, { heads, groups, size }: AttentionPlan): Drawn[] {
  const { dice } = b;
  const [batch, sequence, width] = value.shape as [Dimension, Dimension, number];
  const counts = [heads, groups, groups];
  const apart = (each: Drawn, count: number): Drawn => b.transpose(b.reshape(each, [batch, sequence, count, size]), [0, 2, 1, 3]);
  const kind = dice.below(groups === heads ? 6 : 3);
  const sizes = counts.map((count) => count * size);
  const total = sizes.reduce((sum, each) => sum + each, 0);
  if (kind === 0) return counts.map((count) => apart(dense(b, value, count * size), count));
  if (kind === 1) return b.split(dense(b, value, total), 2, sizes).map((each, i) => apart(each, counts[i]!));
  if (kind === 2) {
    const fused = dense(b, value, total);
    let start = 0;
    return counts.map((count) => {
      const part = b.slice(fused, 2, start, start + count * size);
      start += count * size;
      return apart(part, count);
    });
  }
  if (kind === 3) {
    // (batch, sequence, 3, heads, size) -> (3, batch, heads, sequence, size)
    const packed = b.transpose(b.reshape(dense(b, value, total), [batch, sequence, 3, heads, size]), [2, 0, 3, 1, 4]);
    if (dice.chance(0.5)) return b.split(packed, 0, [1, 1, 1]).map((each) => b.squeeze(each, [0]));
    return [0, 1, 2].map((i) => b.node("Gather", [packed, b.ints([i], [])], packed.shape.slice(1), { axis: 0 }));
  }
  if (kind === 4) {
    // Each head's own three side by side.
    const packed = b.transpose(b.reshape(dense(b, value, total), [batch, sequence, heads, 3 * size]), [0, 2, 1, 3]);
    return b.split(packed, 3, [size, size, size]);
  }
  if (b.opset < 12) return counts.map((count) => apart(dense(b, value, count * size), count));
  return counts.map((count) => {
    const weight = b.weight([width, count, size], width);
    return b.node("Einsum", [value, weight], [batch, count, sequence, size], { equation: "bsd,dhe->bhse" });
  });
}

/** x·cos + turn(x)·sin, in the half layout or interleaved. */
function rotate(b: GraphBuilder, value: Drawn, { cos, sin }: { cos: Drawn; sin: Drawn }): Drawn {
  const { dice } = b;
  const { shape } = value;
  const size = shape[3] as number;
  const half = size / 2;
  if (dice.chance(0.2)) {
    // Neighbours turn together.
    const pairs = b.reshape(value, [...shape.slice(0, 3), half, 2]);
    const [even, odd] = [0, 1].map((i) => b.node("Gather", [pairs, b.ints([i])], withLast(pairs.shape, 1), { axis: 4 })) as [Drawn, Drawn];
    const turned = b.reshape(b.concat([b.node("Neg", [odd], odd.shape), even], 4), shape);
    return b.node("Add", [b.node("Mul", [value, cos], shape), b.node("Mul", [turned, sin], shape)], shape);
  }
  const [low, high] = dice.chance(0.5) ? b.split(value, 3, [half, half]) : [b.slice(value, 3, 0, half), b.slice(value, 3, half, size)];
  const turned = b.concat([b.node("Neg", [high!], high!.shape), low!], 3);
  const straight = b.node("Mul", dice.chance(0.5) ? [value, cos] : [cos, value], shape);
  return b.node("Add", [straight, b.node("Mul", [turned, sin], shape)], shape);
}

/** Keys and values of a group for each of its query heads. */
function repeatHeads(b: GraphBuilder, value: Drawn, times: number): Drawn {
  if (times === 1) return value;
  const { dice } = b;
  const [batch, groups, sequence, size] = value.shape as [Dimension, number, Dimension, number];
  const apart = b.unsqueeze(value, [2]);
  const shape = [batch, groups, times, sequence, size];
  const repeated = dice.chance(0.6) ? b.expand(apart, shape) : b.node("Tile", [apart, b.ints([1, 1, times, 1, 1])], shape);
  return b.reshape(repeated, [batch, groups * times, sequence, size]);
}

/** Keys and values meet all query heads of their group by broadcasting: (batch, groups, heads of it, sequence, size). */
function groupedMix(b: GraphBuilder, queries: Drawn, keys: Drawn, values: Drawn, { heads, groups, size }: AttentionPlan): Drawn {
  const [batch, , sequence] = queries.shape as [Dimension, number, Dimension];
  const times = heads / groups;
  const apart = b.reshape(queries, [batch, groups, times, sequence, size]);
  const [one, two] = [keys, values].map((each) => b.unsqueeze(each, [2])) as [Drawn, Drawn];
  const shape = [batch, groups, times, sequence, sequence];
  const product = b.node("MatMul", [apart, b.transpose(one, [0, 1, 2, 4, 3])], shape);
  const scores = b.node("Softmax", [b.node("Mul", [product, b.scalar(size ** -0.5)], shape)], shape, { axis: 4 });
  const mixed = b.node("MatMul", [scores, two], [batch, groups, times, sequence, size]);
  return b.reshape(b.transpose(mixed, [0, 3, 1, 2, 4]), [batch, sequence, heads * size]);
}

/** softmax(q·k + bias)·v, or without a softmax. */
function mix(b: GraphBuilder, queries: Drawn, keys: Drawn, values: Drawn, { bias }: AttentionPlan): Drawn {
  const { dice } = b;
  const [batch, heads, sequence, size] = queries.shape as [Dimension, number, Dimension, number];
  const other = keys.shape[2] as Dimension;
  const shape = [batch, heads, sequence, other];
  const useEinsum = b.opset >= 12 && dice.chance(0.2);
  const scaled = (each: Drawn, factor: number): Drawn =>
    dice.chance(0.5) ? b.node("Mul", [each, b.scalar(factor)], each.shape) : b.node("Div", [each, b.scalar(1 / factor)], each.shape);
  const split = dice.chance(0.3);
  const [q, k] = split ? [scaled(queries, size ** -0.25), scaled(keys, size ** -0.25)] : [queries, keys];
  const product = useEinsum
    ? b.node("Einsum", [q, k], shape, { equation: "bhqd,bhkd->bhqk" })
    : b.node("MatMul", [q, b.transpose(k, [0, 1, 3, 2])], shape);
  const scores = split ? product : scaled(product, size ** -0.5);
  const masked = bias ? b.node("Add", [scores, bias], shape) : scores;
  // A slope for each head, as ALiBi has it.
  const biased = dice.chance(0.1) ? b.node("Add", [masked, b.gaussian([heads, 1, 1], 0.5)], shape) : masked;
  const weights = dice.chance(0.9)
    ? b.node("Softmax", [biased], shape, { axis: b.opset >= 13 && dice.chance(0.5) ? -1 : 3 })
    : b.node("Relu", [biased], shape);
  const result = [batch, heads, sequence, values.shape[3] as Dimension];
  return useEinsum
    ? b.node("Einsum", [weights, values], result, { equation: "bhqk,bhkd->bhqd" })
    : b.node("MatMul", [weights, values], result);
}

/** A convolution of (batch, channels, pixels...) that keeps or halves the picture; odd kernels. */
export function convolution(b: GraphBuilder, value: Drawn, to: number, groups = 1, kernel = b.dice.pick([1, 3]), stride = 1): Drawn {
  const { dice } = b;
  const [batch, from, ...pixels] = value.shape as [Dimension, number, ...number[]];
  const each = pixels.map(() => kernel);
  const reach = (kernel - 1) / 2;
  const weight = b.weight([to, from / groups, ...each], (from / groups) * elements(each));
  const bias = dice.chance(0.6) ? b.weight([to], 4) : null;
  const shape = [batch, to, ...pixels.map((size) => Math.ceil(size / stride))];
  const same = stride === 1 && dice.chance(0.2);
  if (groups === 1 && pixels.length === 2 && dice.chance(0.1)) {
    const attributes = { pads: [...pixels, ...pixels].map(() => reach), strides: pixels.map(() => stride), kernel_shape: each };
    const added = dice.chance(0.4)
      ? b.node("Conv", [value, b.weight([to, from, 1, 1], from)], shape, { strides: pixels.map(() => stride) })
      : null;
    const name = dice.pick(["Relu", "Sigmoid", "Tanh"]);
    return b.node("FusedConv", [value, weight, bias, added], shape, { ...attributes, activation: name }, MICROSOFT);
  }
  return b.node("Conv", [value, weight, bias], shape, {
    ...(same ? { auto_pad: "SAME_UPPER" } : { pads: [...pixels, ...pixels].map(() => reach) }),
    ...(stride > 1 ? { strides: pixels.map(() => stride) } : {}),
    ...(groups > 1 ? { group: groups } : {}),
    ...(dice.chance(0.7) ? { kernel_shape: each } : {}),
  });
}

/** One block of a convolutional network. */
export function imageBlock(b: GraphBuilder, value: Drawn): Drawn {
  const { dice } = b;
  const [batch, channels, ...pixels] = value.shape as [Dimension, number, ...number[]];
  const act = (each: Drawn): Drawn => (dice.chance(0.6) ? b.node("Relu", [each], each.shape) : imageActivation(b, each));
  const bn = (each: Drawn): Drawn => (dice.chance(0.5) ? batchNorm(b, each) : each);
  const isLarge = pixels.every((size) => size >= 4 && size % 2 === 0);
  switch (dice.below(15)) {
    case 0:
    case 1: {
      const inner = dice.pick([4, 6, 8]);
      const changed = bn(convolution(b, act(bn(convolution(b, value, inner))), channels));
      const sum = b.node("Add", [value, changed], value.shape);
      return act(sum);
    }
    case 2: {
      // Inverted bottleneck with a depthwise convolution between.
      const inner = channels * dice.pick([2, 3]);
      const wide = act(bn(convolution(b, value, inner, 1, 1)));
      const deep = act(bn(convolution(b, wide, inner, inner, 3)));
      const narrow = bn(convolution(b, deep, channels, 1, 1));
      return b.node("Add", [narrow, value], value.shape);
    }
    case 3: {
      const groups = dice.pick([2, 3, 4].filter((count) => channels % count === 0).concat(1));
      return act(convolution(b, value, groups * dice.between(1, 4), groups));
    }
    case 4: {
      if (!isLarge) return act(value);
      const name = dice.pick(["MaxPool", "AveragePool"]);
      const shape = [batch, channels, ...pixels.map((size) => size / 2)];
      return b.node(name, [value], shape, { kernel_shape: pixels.map(() => 2), strides: pixels.map(() => 2) });
    }
    case 5:
      return isLarge ? act(bn(convolution(b, value, channels * 2 > 12 ? 6 : channels * 2, 1, 3, 2))) : act(bn(value));
    case 6:
      return squeezeExcite(b, value);
    case 7: {
      // ShuffleNet: half the channels go another way, then all are dealt anew.
      if (channels % 2 !== 0) return act(value);
      const [kept, moved] = b.split(value, 1, [channels / 2, channels / 2]) as [Drawn, Drawn];
      const joined = b.concat([kept, act(convolution(b, moved, channels / 2))], 1);
      const grouped = b.reshape(joined, [batch, 2, channels / 2, ...pixels]);
      const turned = b.transpose(grouped, [0, 2, 1, ...pixels.map((_, i) => i + 3)]);
      return b.reshape(turned, value.shape);
    }
    case 8: {
      // DenseNet: new channels beside the old ones.
      const joined = b.concat([value, act(convolution(b, act(bn(value)), 3))], 1);
      return channels > 10 ? convolution(b, joined, 6, 1, 1) : joined;
    }
    case 9:
      return resized(b, value);
    case 10:
      return blocksOfPixels(b, value);
    case 11: {
      const extra = dice.between(1, 4);
      const pads = [0, 0, ...pixels.map(() => 0), 0, extra, ...pixels.map(() => 0)];
      const padded = b.node("Pad", [value, b.ints(pads)], [batch, channels + extra, ...pixels]);
      return b.node("Add", [padded, bn(convolution(b, value, channels + extra))], padded.shape);
    }
    case 12:
      return imageNorm(b, value);
    case 13: {
      if (dice.chance(0.5)) return maybeDescribed(b, b.node("LpPool", [value], value.shape, { kernel_shape: pixels.map(() => 1) }));
      const mean = b.node("GlobalMaxPool", [value], [batch, channels, ...pixels.map(() => 1)]);
      return b.node("Sub", [value, mean], value.shape);
    }
    default:
      return transposed(b, value);
  }
}

function imageActivation(b: GraphBuilder, value: Drawn): Drawn {
  const { dice } = b;
  const channels = value.shape[1] as number;
  const kinds = ["HardSigmoid", "LeakyRelu", "clip", "silu", "prelu", "Tanh", ...(b.opset >= 14 ? ["HardSwish"] : [])];
  const kind = dice.pick(kinds);
  if (kind === "clip") return b.clip(value, 0, 6);
  if (kind === "silu") return b.node("Mul", [value, b.node("Sigmoid", [value], value.shape)], value.shape);
  if (kind === "prelu") return b.node("PRelu", [value, b.positive([channels, ...value.shape.slice(2).map(() => 1)])], value.shape);
  return b.node(kind, [value], value.shape);
}

function squeezeExcite(b: GraphBuilder, value: Drawn): Drawn {
  const { dice } = b;
  const [batch, channels, ...pixels] = value.shape as [Dimension, number, ...number[]];
  const ones = pixels.map(() => 1);
  const mean = dice.chance(0.5)
    ? b.node("GlobalAveragePool", [value], [batch, channels, ...ones])
    : b.reduce(
        "ReduceMean",
        value,
        pixels.map((_, i) => i + 2),
        true,
      );
  const inner = b.node("Relu", [convolution(b, mean, 3, 1, 1)], [batch, 3, ...ones]);
  const gate = b.node(dice.pick(["Sigmoid", "HardSigmoid"]), [convolution(b, inner, channels, 1, 1)], mean.shape);
  return b.node("Mul", dice.chance(0.5) ? [value, gate] : [gate, value], value.shape);
}

function resized(b: GraphBuilder, value: Drawn): Drawn {
  const { dice } = b;
  const [batch, channels, ...pixels] = value.shape as [Dimension, number, ...number[]];
  if (pixels.some((size) => size > 4)) return value;
  const shape = [batch, channels, ...pixels.map((size) => size * 2)];
  const mode = pixels.length === 2 ? dice.pick(["nearest", "linear"]) : "nearest";
  const attributes = { mode, coordinate_transformation_mode: "asymmetric", ...(mode === "nearest" ? { nearest_mode: "floor" } : {}) };
  if (dice.chance(0.3) && typeof batch === "number") {
    return b.node("Resize", [value, b.stored([0], []), b.stored([0], []), b.ints(shape as number[])], shape, attributes);
  }
  const scales = b.stored([shape.length], [1, 1, ...pixels.map(() => 2)]);
  return b.node("Resize", [value, b.stored([0], []), scales], shape, attributes);
}

function blocksOfPixels(b: GraphBuilder, value: Drawn): Drawn {
  const { dice } = b;
  const [batch, channels, height, width] = value.shape as [Dimension, number, number, number];
  if (value.shape.length !== 4) return value;
  if (dice.chance(0.3) && height % 2 === 0 && width % 2 === 0 && channels <= 4)
    return maybeDescribed(b, b.node("SpaceToDepth", [value], [batch, channels * 4, height / 2, width / 2], { blocksize: 2 }));
  if (height > 4 || width > 4) return value;
  const wide = channels % 4 === 0 ? value : convolution(b, value, 8, 1, 1);
  const out = (wide.shape[1] as number) / 4;
  const mode = dice.pick(["DCR", "CRD"]);
  return b.node("DepthToSpace", [wide], [batch, out, height * 2, width * 2], { blocksize: 2, mode });
}

function imageNorm(b: GraphBuilder, value: Drawn): Drawn {
  const { dice } = b;
  const [batch, channels, ...pixels] = value.shape as [Dimension, number, ...number[]];
  if (elements(pixels) === 1) return value;
  const epsilon = { epsilon: { float: 1e-2 } };
  if (dice.chance(0.5)) {
    // Group normalisation as exporters write it before operator set 18.
    const groups = dice.pick([1, 2, 3].filter((count) => channels % count === 0));
    const grouped = b.reshape(value, [batch, groups, (channels / groups) * elements(pixels)]);
    const ones = b.stored([groups], new Float64Array(groups).fill(1));
    const zeros = b.stored([groups], new Float64Array(groups));
    const normal = b.reshape(b.node("InstanceNormalization", [grouped, ones, zeros], grouped.shape, epsilon), value.shape);
    const vector = [channels, ...pixels.map(() => 1)];
    return b.node("Add", [b.node("Mul", [normal, b.positive(vector)], value.shape), b.gaussian(vector, 0.3)], value.shape);
  }
  return b.node("InstanceNormalization", [value, b.positive([channels]), b.gaussian([channels], 0.3)], value.shape, epsilon);
}

function transposed(b: GraphBuilder, value: Drawn): Drawn {
  const { dice } = b;
  const [batch, channels, ...pixels] = value.shape as [Dimension, number, ...number[]];
  if (pixels.some((size) => size > 4)) return value;
  const groups = dice.chance(0.3) && channels % 2 === 0 ? 2 : 1;
  const each = dice.between(1, 4);
  const weight = b.weight([channels, each, ...pixels.map(() => 2)], channels);
  const bias = dice.chance(0.5) ? b.weight([each * groups], 4) : null;
  const shape = [batch, each * groups, ...pixels.map((size) => size * 2)];
  const attributes = { strides: pixels.map(() => 2), kernel_shape: pixels.map(() => 2), ...(groups > 1 ? { group: groups } : {}) };
  return b.node("ConvTranspose", [value, weight, bias], shape, attributes);
}

/** A picture as a list of its pixels' channels: (batch, pixels, channels). */
export function tokensOfImage(b: GraphBuilder, value: Drawn): Drawn {
  const [batch, channels, ...pixels] = value.shape as [Dimension, number, ...number[]];
  if (b.dice.chance(0.5)) return b.transpose(b.reshape(value, [batch, channels, elements(pixels)]), [0, 2, 1]);
  const last = [0, ...pixels.map((_, i) => i + 2), 1];
  return b.reshape(b.transpose(value, last), [batch, elements(pixels), channels]);
}

/** One vector of a sequence of them. */
export function pooled(b: GraphBuilder, value: Drawn): Drawn {
  const { dice } = b;
  const [batch, sequence, width] = value.shape as [Dimension, Dimension, number];
  switch (dice.below(4)) {
    case 0:
      return b.reduce("ReduceMean", value, [1], false);
    case 1:
      return b.node("Gather", [value, b.ints([0], [])], [batch, width], { axis: 1 });
    case 2:
      return b.reduce("ReduceMax", value, [1], false);
    default: {
      if (typeof sequence !== "number" && numericAxes(value).length === 0) return b.reduce("ReduceSum", value, [1], false);
      const first = b.node("Slice", [value, b.ints([0]), b.ints([1]), b.ints([1])], [batch, 1, width]);
      return b.squeeze(first, [1]);
    }
  }
}

/** A recurrent layer over (batch, sequence, width), in one direction or both. */
export function recurrent(b: GraphBuilder, value: Drawn): Drawn {
  const { dice } = b;
  const [batch, sequence, width] = value.shape as [Dimension, Dimension, number];
  const [name, gates] = dice.pick([
    ["GRU", 3],
    ["LSTM", 4],
    ["RNN", 1],
  ] as const);
  const inner = dice.pick([2, 4]);
  const both = dice.chance(0.4);
  const count = both ? 2 : 1;
  const turned = b.transpose(value, [1, 0, 2]);
  const inputs = [
    turned,
    b.gaussian([count, gates * inner, width], 0.4),
    b.gaussian([count, gates * inner, inner], 0.4),
    dice.chance(0.7) ? b.gaussian([count, 2 * gates * inner], 0.3) : null,
  ];
  const attributes = { hidden_size: inner, ...(both ? { direction: "bidirectional" } : dice.chance(0.3) ? { direction: "reverse" } : {}) };
  const last = [count, batch, inner];
  const results = b.nodes(name, inputs, [[sequence, count, batch, inner], last, ...(name === "LSTM" ? [last] : [])], attributes);
  const all = results[0] as Drawn;
  if (dice.chance(0.3)) return b.reshape(b.transpose(results[1] as Drawn, [1, 0, 2]), [batch, 1, count * inner]);
  if (!both) return b.transpose(b.squeeze(all, [1]), [1, 0, 2]);
  return b.reshape(b.transpose(all, [2, 0, 1, 3]), [batch, sequence, 2 * inner]);
}
