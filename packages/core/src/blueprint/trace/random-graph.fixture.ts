/**
 * For tests: a grammar of small ONNX graphs over all operators that the tracer follows.
 * @module
 */
import { Dice, GraphBuilder, MICROSOFT, elements, type Dimension, type Drawn, withLast } from "./graph-builder.fixture.ts";
import {
  recurrent,
  activation,
  attention,
  convolution,
  dense,
  feedForward,
  imageBlock,
  norm,
  pooled,
  residual,
  tokensOfImage,
  type AttentionPlan,
} from "./random-blocks.fixture.ts";
import { quantised } from "./random-quantised.fixture.ts";
import { LINEAR_RULES, RULES, SHAPE_KEEPING } from "./random-rules.fixture.ts";
import { numericAxes, type Rule } from "./random-shapes.fixture.ts";

/** A graph that was drawn. */
export interface RandomGraph {
  readonly seed: number;
  readonly kind: GraphKind;
  readonly builder: GraphBuilder;
  /** Names of its open dimensions. */
  readonly open: readonly string[];
}

export type GraphKind = "mlp" | "cnn" | "tokens" | "sequence" | "mixture" | "linear" | "quantised";

const KINDS: Readonly<Record<GraphKind, (b: GraphBuilder) => void>> = {
  mlp: perceptron,
  cnn: convolutional,
  tokens: tokenTransformer,
  sequence: sequenceTransformer,
  mixture: (b) => mixture(b, RULES),
  linear: (b) => mixture(b, LINEAR_RULES),
  quantised: (b) => {
    const value = quantised(b);
    const rows = value.shape.length === 2 ? value : b.node("Flatten", [value], [value.shape[0]!, elements(value.shape.slice(1))]);
    finish(b, dense(b, b.node("Relu", [dense(b, rows, 8)], rows.shape.with(1, 8)), 5), [value]);
  },
};

/** Kinds, the frequent ones more often. */
const DRAWN: readonly GraphKind[] = [
  ...(["mlp", "cnn", "cnn", "tokens", "tokens", "sequence", "mixture", "mixture", "mixture", "linear", "linear"] as const),
  "quantised",
];

/** The graph of a seed. */
export function drawGraph(seed: number): RandomGraph {
  const dice = new Dice(seed);
  const kind = dice.pick(DRAWN);
  const builder = new GraphBuilder(dice);
  KINDS[kind](builder);
  const open = builder.inputs.flatMap(({ info }) => info.shape!.filter((size) => typeof size === "string"));
  return { seed, kind, builder, open: [...new Set(open)] };
}

/** A size that is open or not. */
function maybeOpen(b: GraphBuilder, name: string, size: number): Dimension {
  return b.dice.chance(0.6) ? name : size;
}

/** Now and then a single operator between the blocks. */
function spice(b: GraphBuilder, value: Drawn, probability = 0.2): Drawn {
  if (!b.dice.chance(probability)) return value;
  return b.dice.pick(SHAPE_KEEPING)(b, value, []) ?? value;
}

/** Any rules, one after another, on any values. */
function improvise(b: GraphBuilder, pool: Drawn[], count: number, rules: readonly Rule[] = RULES): void {
  for (let i = 0, tries = 0; i < count && tries < 8 * count; tries++) {
    const { dice } = b;
    // Later values more often.
    const value = pool[Math.max(dice.below(pool.length), dice.below(pool.length))] as Drawn;
    const next = dice.pick(rules)(b, value, pool);
    if (!next) continue;
    pool.push(next);
    i++;
  }
}

/** One to three results, some of them taken in the middle. */
function finish(b: GraphBuilder, last: Drawn, pool: readonly Drawn[]): void {
  const { dice } = b;
  b.output(last);
  for (const value of pool) {
    if (b.outputs.length < 3 && dice.chance(0.06)) b.output(value);
  }
}

function perceptron(b: GraphBuilder): void {
  const { dice } = b;
  const batch = maybeOpen(b, "batch", dice.between(1, 4));
  const pool = [b.input("x", [batch, dice.pick([3, 4, 6, 8])])];
  let value = pool[0] as Drawn;
  for (let i = dice.between(1, 4); i > 0; i--) {
    const width = value.shape.at(-1) as number;
    if (dice.chance(0.3))
      value = residual(b, value, (inner) => feedForward(b, inner), dice.pick(["pre", "post", "none"]), dice.pick(["layer", "rms"]));
    else if (dice.chance(0.2)) value = norm(b, value);
    else {
      value = dense(b, value, dice.pick([2, 4, 6, 8, 12, width]));
      if (dice.chance(0.7)) value = activation(b, value);
    }
    value = spice(b, value);
    pool.push(value);
  }
  if (dice.chance(0.3)) {
    improvise(b, pool, 4);
    value = pool.at(-1) as Drawn;
  }
  finish(b, dice.chance(0.7) && value.shape.length >= 1 && typeof value.shape.at(-1) === "number" ? dense(b, value, 5) : value, pool);
}

function convolutional(b: GraphBuilder): void {
  const { dice } = b;
  const batch = maybeOpen(b, "batch", dice.between(1, 2));
  const side = dice.pick([4, 6, 8]);
  const pixels = dice.chance(0.85) ? [side, side] : [12];
  const channels = dice.pick([1, 3]);
  const input = b.input("pixels", [batch, channels, ...pixels]);
  let value = convolution(b, input, dice.pick([4, 6, 8]));
  const pool = [value];
  for (let i = dice.between(1, 4); i > 0; i--) {
    value = spice(b, imageBlock(b, value), 0.1);
    if (elements(value.shape) > 3000) break;
    pool.push(value);
  }
  if (dice.chance(0.2)) {
    improvise(b, pool, 4);
    value = pool.at(-1) as Drawn;
    return finish(b, value, pool);
  }
  const [count, width, ...rest] = value.shape as [Dimension, number, ...number[]];
  switch (dice.below(4)) {
    case 0:
      return finish(b, value, pool);
    case 1: {
      const mean = b.node("GlobalAveragePool", [value], [count, width, ...rest.map(() => 1)]);
      const flat = dice.chance(0.5) ? b.node("Flatten", [mean], [count, width]) : b.reshape(mean, [count, width]);
      return finish(b, dense(b, flat, 5), pool);
    }
    case 2: {
      const flat = b.node("Flatten", [value], [count, width * elements(rest)]);
      return finish(b, dense(b, activation(b, dense(b, flat, 6)), 4), pool);
    }
    default: {
      let tokens = tokensOfImage(b, value);
      if (dice.chance(0.5)) tokens = b.node("Add", [tokens, b.gaussian([tokens.shape[1] as number, width], 0.5)], tokens.shape);
      if (width % 2 === 0) tokens = residual(b, tokens, (inner) => attention(b, inner, planFor(b, tokens, null, null)), "pre", "layer");
      return finish(b, dense(b, pooled(b, tokens), 4), pool);
    }
  }
}

/** How the attention of a width is laid out. */
function planFor(b: GraphBuilder, value: Drawn, bias: Drawn | null, mask: Drawn | null): AttentionPlan {
  const { dice } = b;
  const width = value.shape[2] as number;
  const heads = dice.pick([1, 2, 2, 4].filter((count) => width % count === 0));
  const size = dice.chance(0.6) ? width / heads : dice.pick([2, 3, 4]);
  const groups = dice.chance(0.3) && heads > 1 ? heads / 2 : heads;
  const sequence = value.shape[1] as Dimension;
  const rotary = size % 2 === 0 && dice.chance(0.25) && typeof sequence === "number" ? rotaryTables(b, sequence, size) : null;
  return { heads, groups, size, bias, mask, rotary, norms: dice.chance(0.15) };
}

function rotaryTables(b: GraphBuilder, sequence: number, size: number): { cos: Drawn; sin: Drawn } {
  const shape = b.dice.pick([
    [sequence, size],
    [1, sequence, size],
    [1, 1, sequence, size],
  ]);
  const table = (turn: (angle: number) => number): Drawn =>
    b.stored(
      shape,
      Array.from({ length: sequence * size }, (_, i) => turn(Math.floor(i / size) * 10 ** (-(i % (size / 2)) / 2))),
    );
  return { cos: table(Math.cos), sin: table(Math.sin) };
}

/** Layers over (batch, sequence, width). */
function layers(b: GraphBuilder, start: Drawn, bias: Drawn | null, mask: Drawn | null, pool: Drawn[]): Drawn {
  const { dice } = b;
  const style = dice.pick(["pre", "pre", "post", "none"] as const);
  const kind = dice.pick(["layer", "layer", "rms"] as const);
  let value = start;
  const plan = planFor(b, value, bias, mask);
  for (let i = dice.between(1, 2); i > 0; i--) {
    if (dice.chance(0.85)) value = residual(b, value, (inner) => attention(b, inner, plan), style, kind);
    if (dice.chance(0.7)) value = residual(b, value, (inner) => spice(b, feedForward(b, inner), 0.1), style, kind);
    pool.push(value);
  }
  return style === "pre" && dice.chance(0.8) ? norm(b, value, kind) : value;
}

function tokenTransformer(b: GraphBuilder): void {
  const { dice } = b;
  const batch = maybeOpen(b, "batch", dice.between(1, 3));
  const sequence = maybeOpen(b, "sequence", dice.between(2, 6));
  const type = dice.chance(0.8) ? "int64" : "int32";
  const vocabulary = dice.pick([11, 17, 20]);
  const width = dice.pick([4, 6, 8, 12]);
  const ids = b.input("input_ids", [batch, sequence], { kind: "ids", below: vocabulary, type });
  const look = (table: Drawn, indices: Drawn): Drawn => b.node("Gather", [table, indices], [...indices.shape, width]);
  const table = b.gaussian([vocabulary, width], 1);
  let value = look(table, ids);
  if (dice.chance(0.4)) {
    const longest = 16;
    const positions = b.gaussian([longest, width], 0.5);
    const rows = dice.chance(0.4)
      ? look(positions, b.input("position_ids", [batch, sequence], { kind: "positions", type }))
      : dice.chance(0.5)
        ? b.node("Slice", [positions, b.ints([0]), b.size(ids, 1), b.ints([0])], [sequence, width])
        : look(positions, b.node("Range", [b.ints([0], []), b.squeeze(b.size(ids, 1), [0]), b.ints([1], [])], [sequence]));
    value = b.node("Add", [value, rows], value.shape);
  }
  if (dice.chance(0.3)) {
    const segments = b.input("token_type_ids", [batch, sequence], { kind: "segments", type });
    value = b.node("Add", [value, look(b.gaussian([2, width], 0.5), segments)], value.shape);
  }
  if (dice.chance(0.15)) value = b.node("Add", [value, look(b.gaussian([vocabulary, width], 0.5), ids)], value.shape);
  let bias: Drawn | null = null;
  let mask: Drawn | null = null;
  const cast = (truth: Drawn): Drawn => b.node("Cast", [truth], truth.shape, { to: 1 });
  const spread = (each: Drawn): Drawn => b.node("Mul", [b.unsqueeze(each, [1, 2]), b.scalar(-1e4)], [batch, 1, 1, sequence]);
  const isMasked = dice.chance(0.4);
  const isCompared = !isMasked && dice.chance(0.4);
  if (isMasked) {
    const given = b.input("attention_mask", [batch, sequence], { kind: "mask", type });
    if (type === "int32") mask = given;
    bias = spread(b.node("Sub", [b.scalar(1), cast(given)], given.shape));
  } else if (isCompared) {
    const pad = dice.below(vocabulary + 2);
    const constant = b.ints([pad], dice.pick([[], [1], [1, 1]]), type);
    const isPad = b.node("Equal", dice.chance(0.5) ? [ids, constant] : [constant, ids], [batch, sequence]);
    bias = spread(cast(isPad));
  }
  if (dice.chance(0.3)) value = norm(b, value, "layer");
  const pool = [value];
  value = layers(b, value, bias, mask, pool);
  if (dice.chance(0.1)) improvise(b, pool, 3);
  switch (dice.below(5)) {
    case 0:
      return finish(b, value, pool);
    case 1: {
      // Scores of the vocabulary by the table itself.
      const scores = b.node("MatMul", [value, b.transpose(table, [1, 0])], [batch, sequence, vocabulary]);
      return finish(b, scores, pool);
    }
    case 2: {
      // The place of the highest id, as CLIP's text model asks.
      const place = b.node("ArgMax", [ids], [batch], { axis: 1, keepdims: 0 });
      const hot = b.node("OneHot", [place, b.squeeze(b.size(ids, 1), [0]), b.stored([2], [0, 1])], [batch, sequence], { axis: -1 });
      const chosen = b.node("Mul", [value, b.unsqueeze(hot, [2])], value.shape);
      return finish(b, dense(b, b.reduce("ReduceSum", chosen, [1], false), 6), pool);
    }
    default:
      return finish(b, dense(b, spice(b, pooled(b, value)), dice.pick([2, 5])), pool);
  }
}

function sequenceTransformer(b: GraphBuilder): void {
  const { dice } = b;
  const batch = maybeOpen(b, "batch", dice.between(1, 3));
  const sequence = maybeOpen(b, "sequence", dice.between(2, 6));
  const input = b.input("features", [batch, sequence, dice.pick([3, 5, 8])]);
  let value = dense(b, input, dice.pick([4, 6, 8, 12]));
  const pool = [value];
  value = layers(b, value, null, null, pool);
  if (dice.chance(0.3)) {
    value = recurrent(b, value);
    pool.push(value);
  }
  if (dice.chance(0.3)) {
    improvise(b, pool, 4);
    value = pool.at(-1) as Drawn;
  }
  finish(
    b,
    value.shape.length === 3 && dice.chance(0.5) && typeof value.shape[2] === "number" ? dense(b, pooled(b, value), 4) : value,
    pool,
  );
}

/** Operators without a plan. */
function mixture(b: GraphBuilder, rules: readonly Rule[]): void {
  const { dice } = b;
  const sizes = [1, 2, 3, 4, 6, 8];
  const rank = dice.between(1, 4);
  const shape: Dimension[] = Array.from({ length: rank }, () => dice.pick(sizes));
  if (rank >= 2 && dice.chance(0.5)) shape[0] = "batch";
  if (rank >= 3 && dice.chance(0.3)) shape[1] = "sequence";
  const pool = [b.input("x", shape)];
  if (dice.chance(0.3)) pool.push(b.input("y", withLast(shape, dice.pick(sizes))));
  for (const input of pool.slice()) if (dice.chance(0.8)) pool.push(behindProducts(b, input));
  improvise(b, pool, dice.between(3, 12), rules);
  const last = pool.at(-1) as Drawn;
  const end = dice.chance(0.5) && typeof last.shape.at(-1) === "number" ? dense(b, last, 4) : last;
  if (dice.chance(0.1)) b.output(b.node("Gelu", [end], end.shape, {}, MICROSOFT));
  finish(b, end, pool.slice(1));
}

/** An input behind products with weights along its axes: what comes out of these is free. */
function behindProducts(b: GraphBuilder, input: Drawn): Drawn {
  const { dice } = b;
  let value = input;
  for (const axis of dice.shuffled(numericAxes(input))) {
    if (axis !== input.shape.length - 1 && dice.chance(0.5)) continue;
    const [from, to] = [value.shape[axis] as number, dice.pick([2, 3, 4, 6, 8])];
    const others = value.shape.flatMap((_, at) => (at === axis ? [] : [at]));
    const order = [...others, axis];
    const product = b.node(
      "MatMul",
      [b.transpose(value, order), b.weight([from, to], from)],
      [...others.map((at) => value.shape[at]!), to],
    );
    value = b.transpose(
      product,
      value.shape.map((_, at) => order.indexOf(at)),
    );
  }
  return value;
}
