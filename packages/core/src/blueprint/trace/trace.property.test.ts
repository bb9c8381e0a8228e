/**
 * Random small graphs over all operators that the tracer follows, encrypted under random keys, compute what the plain ones do; and on
 * graphs of well-known kinds it finds the group that theory gives. `UNSEEN_TRACE_GRAPHS=N` draws more, `UNSEEN_TRACE_SEED=S` others.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { encodeOnnx, onnxNode } from "../../checkpoint/onnx-encode.ts";
import { tensorOf } from "../../checkpoint/onnx-tensor.ts";
import { decodeOnnx, type OnnxAttribute, type OnnxNode } from "../../checkpoint/onnx.ts";
import { UnseenError } from "../../errors.ts";
import type { Recipe } from "../recipe.ts";
import type { ModelKey } from "../spaces.ts";
import { compareGraph, scratch } from "./encrypted-run.fixture.ts";
import { GraphRuntime } from "./graph-runtime.fixture.ts";
import { operatorNames } from "./operators/index.ts";
import { drawGraph, type RandomGraph } from "./random-graph.fixture.ts";
import { traceModel } from "./trace-model.ts";

const GRAPHS = Number(process.env["UNSEEN_TRACE_GRAPHS"] ?? 250);
const FIRST_SEED = Number(process.env["UNSEEN_TRACE_SEED"] ?? 0);
/** Largest relative difference of an output in 32-bit numbers, but for graphs that magnify rounding more. */
const TOLERANCE = 1e-4;
/** How much more than random changes of 1e-6 the roundings of a rotated model may do. */
const MAGNIFIED = 50;
/** None is what the tracer assumes: 3 and 2, 7 and 11. */
const OPEN_SIZES = [
  { batch: 4, sequence: 6 },
  { batch: 1, sequence: 1 },
  { batch: 5, sequence: 9 },
];
const AT_ONCE = 4;

let runtime: GraphRuntime;
const folder = scratch();
before(async () => {
  runtime = await GraphRuntime.open();
});
after(() => {
  runtime.close();
  folder.remove();
});

// ---- random graphs ------------------------------------------------------------------------------------------------------

interface Tally {
  runs: number;
  refused: number;
  worst: number;
  magnified: number;
  parameters: number;
  protectedParameters: number;
}

async function runGraph(graph: RandomGraph, strength: ModelKey["strength"], tally: Tally, secretOrder?: number): Promise<void> {
  const sizes = secretOrder ? [{ batch: 4, sequence: secretOrder }] : graph.open.length > 0 ? OPEN_SIZES : [{}];
  const { builder, seed } = graph;
  const { difference, sensitivity, runs, refused, sameBits, result } = await compareGraph(
    { builder, seed, strength, sizes, secretOrder },
    runtime,
    folder.path,
  );
  assert.ok(sameBits, "a stored number lost its bits under permutations alone");
  assert.ok(difference <= Math.max(TOLERANCE, MAGNIFIED * sensitivity), `difference ${difference}`);
  tally.runs += runs;
  tally.refused += Number(refused !== null && runs === 0);
  if (difference > TOLERANCE) tally.magnified++;
  else tally.worst = Math.max(tally.worst, difference);
  tally.parameters += result.parameters;
  tally.protectedParameters += result.protectedParameters;
}

/** Calls `use` with each seed, some at once; an error names its seed and how to see it again. */
async function eachSeed(use: (graph: RandomGraph) => Promise<void>): Promise<void> {
  let next = FIRST_SEED;
  const worker = async (): Promise<void> => {
    while (next < FIRST_SEED + GRAPHS) {
      const seed = next++;
      const graph = drawGraph(seed);
      try {
        await use(graph);
      } catch (error) {
        next = Infinity;
        const again = `UNSEEN_TRACE_SEED=${seed} UNSEEN_TRACE_GRAPHS=1`;
        throw new Error(`seed ${seed} (${graph.kind}; ${again}): ${(error as Error).message}\n${graph.builder.text()}`, { cause: error });
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

for (const [strength, share] of [
  ["rotate", 0.85],
  ["permute", 0.8],
] as const) {
  test(`${GRAPHS} random graphs from seed ${FIRST_SEED} on compute the same under "${strength}"`, async (t) => {
    const tally: Tally = { runs: 0, refused: 0, worst: 0, magnified: 0, parameters: 0, protectedParameters: 0 };
    await eachSeed((graph) => runGraph(graph, strength, tally));
    t.diagnostic(JSON.stringify(tally));
    assert.ok(tally.runs > GRAPHS * 0.9, `only ${tally.runs} runs`);
    assert.ok(tally.refused <= 1 + GRAPHS / 100, `the runtime refuses ${tally.refused} graphs`);
    assert.ok(tally.magnified <= 1 + GRAPHS / 100, `${tally.magnified} graphs magnify rounding`);
    if (GRAPHS >= 100) assert.ok(tally.protectedParameters > share * tally.parameters, JSON.stringify(tally));
  });
}

test("tokens in secret order give the same results, where a graph allows it", async (t) => {
  const tally: Tally = { runs: 0, refused: 0, worst: 0, magnified: 0, parameters: 0, protectedParameters: 0 };
  await eachSeed(async (graph) => {
    if (graph.kind !== "tokens" || !graph.open.includes("sequence")) return;
    try {
      await runGraph(graph, "rotate", tally, 6);
    } catch (error) {
      if (!(error instanceof UnseenError) || error.code !== "USAGE") throw error;
    }
  });
  t.diagnostic(JSON.stringify(tally));
  if (GRAPHS >= 200) assert.ok(tally.runs > 1);
});

/** Operators of other operator sets than the grammar draws, without a result of their own, or that this runtime lacks. */
const NOT_DRAWN = new Set(
  `Attention Bernoulli BitShift BitwiseNot QuickGelu RMSNormalization RandomNormalLike RandomUniformLike RotaryEmbedding Scatter Swish Upsample
  com.microsoft:EmbedLayerNormalization com.microsoft:GroupQueryAttention com.microsoft:QLinearReduceMean com.microsoft:QLinearSoftmax
  com.microsoft:RotaryEmbedding com.microsoft:SimplifiedLayerNormalization`.split(/\s+/),
);

test("the grammar draws every operator that is followed", () => {
  const drawn = new Set<string>();
  for (let seed = 0; seed < 6000; seed++) for (const name of drawGraph(seed).builder.operators()) drawn.add(name);
  assert.deepEqual(
    operatorNames().filter((name) => !drawn.has(name) && !NOT_DRAWN.has(name)),
    [],
  );
});

test("a seed draws the same graph again", () => {
  for (let seed = 0; seed < 20; seed++) assert.deepEqual(drawGraph(seed).builder.encode(), drawGraph(seed).builder.encode());
});

// ---- well-known kinds ---------------------------------------------------------------------------------------------------

/** "permutation", "scaled", "signed", "general" (its inverse transpose for what is read), ..., "-" for the identity. */
function groupOf(recipe: Recipe): string {
  if (recipe.kind !== "leaf") return recipe.parts.map(groupOf).join(recipe.kind === "sum" ? " | " : " x ");
  const { map, scales, signs, within, size } = recipe;
  if (size === 1 || (map === "none" && scales.length + signs.length === 0)) return "-";
  const adorned = [...(scales.length > 0 ? ["scaled"] : []), ...(signs.length > 0 ? ["signed"] : []), map];
  return adorned.join(" ") + (within.length > 0 ? " each" : "");
}

const float = (value: number): OnnxAttribute => ({ kind: "float", value });
const int = (value: number): OnnxAttribute => ({ kind: "int", value });
const ints = (...value: number[]): OnnxAttribute => ({ kind: "ints", value });
const dot = (from: string, weight: string, to: string): OnnxNode => onnxNode("MatMul", [from, weight], [to]);
const apply = (operator: string, inputs: string[], to: string, attributes = {}): OnnxNode => onnxNode(operator, inputs, [to], attributes);

interface Kind {
  readonly nodes: readonly OnnxNode[];
  readonly weights: Readonly<Record<string, readonly number[]>>;
  readonly input?: readonly (number | string)[];
  readonly ids?: boolean;
  readonly output?: string;
  /** Group of each axis of some weights. */
  readonly rotate: Readonly<Record<string, readonly string[]>>;
  readonly permute?: Readonly<Record<string, readonly string[]>>;
  readonly share?: number;
}

const HEADS: readonly OnnxNode[] = [
  ...["q", "k", "v"].flatMap((name) => [
    dot("x", `w${name}`, `${name}0`),
    apply("Reshape", [`${name}0`, "apart"], `${name}1`),
    apply("Transpose", [`${name}1`], name, { perm: ints(0, 2, 1, 3) }),
  ]),
  apply("Transpose", ["k"], "kt", { perm: ints(0, 1, 3, 2) }),
  dot("q", "kt", "scores"),
  apply("Softmax", ["scores"], "weights", { axis: int(-1) }),
  dot("weights", "v", "mixed"),
  apply("Transpose", ["mixed"], "turned", { perm: ints(0, 2, 1, 3) }),
  apply("Reshape", ["turned", "together"], "joined"),
  dot("joined", "wo", "y"),
];

const KINDS: Readonly<Record<string, Kind>> = {
  "a perceptron with ReLU: permutations with scales, and any map of the scores": {
    nodes: [dot("x", "up", "a"), apply("Relu", ["a"], "b"), dot("b", "down", "y")],
    weights: { up: [4, 8], down: [8, 5] },
    rotate: { up: ["-", "scaled permutation"], down: ["scaled permutation", "general"] },
    permute: { up: ["-", "permutation"], down: ["permutation", "signed permutation"] },
  },
  "a linear bottleneck: any invertible map": {
    nodes: [dot("x", "up", "a"), dot("a", "down", "y")],
    weights: { up: [4, 8], down: [8, 5] },
    rotate: { up: ["-", "general"], down: ["general", "general"] },
    permute: { up: ["-", "signed permutation"], down: ["signed permutation", "signed permutation"] },
  },
  "GELU: permutations": {
    nodes: [dot("x", "up", "a"), apply("Gelu", ["a"], "b"), dot("b", "down", "y")],
    weights: { up: [4, 8], down: [8, 5] },
    rotate: { up: ["-", "permutation"], down: ["permutation", "general"] },
  },
  "tanh: permutations with signs": {
    nodes: [dot("x", "up", "a"), apply("Tanh", ["a"], "b"), dot("b", "down", "y")],
    weights: { up: [4, 8], down: [8, 5] },
    rotate: { up: ["-", "signed permutation"], down: ["signed permutation", "general"] },
  },
  "a gate: scales on one side of the product": {
    nodes: [dot("x", "gate", "a"), apply("Sigmoid", ["a"], "b"), dot("x", "up", "c"), apply("Mul", ["b", "c"], "d"), dot("d", "down", "y")],
    weights: { gate: [4, 8], up: [4, 8], down: [8, 5] },
    rotate: { gate: ["-", "permutation"], up: ["-", "scaled signed permutation"], down: ["scaled signed permutation", "general"] },
  },
  "a pre-LayerNorm stream: rotations that keep the mean": {
    nodes: [
      dot("x", "enter", "s"),
      apply("LayerNormalization", ["s", "gain", "offset"], "n"),
      dot("n", "up", "a"),
      apply("Gelu", ["a"], "b"),
      dot("b", "down", "c"),
      apply("Add", ["s", "c"], "t"),
      apply("LayerNormalization", ["t", "gain2", "offset2"], "m"),
      dot("m", "scores", "y"),
    ],
    weights: { enter: [4, 8], gain: [8], offset: [8], up: [8, 12], down: [12, 8], gain2: [8], offset2: [8], scores: [8, 5] },
    rotate: { enter: ["-", "ones"], up: ["ones", "permutation"], down: ["permutation", "ones"], scores: ["ones", "general"] },
  },
  "an RMSNorm stream: rotations": {
    nodes: [
      dot("x", "enter", "s"),
      apply("SimplifiedLayerNormalization", ["s", "gain"], "n", { epsilon: float(1e-5) }),
      dot("n", "up", "a"),
      apply("Relu", ["a"], "b"),
      dot("b", "down", "c"),
      apply("Add", ["s", "c"], "t"),
      dot("t", "scores", "y"),
    ],
    weights: { enter: [4, 8], gain: [8], up: [8, 12], down: [12, 8], scores: [8, 5] },
    rotate: {
      enter: ["-", "orthogonal"],
      up: ["orthogonal", "scaled permutation"],
      down: ["scaled permutation", "orthogonal"],
      scores: ["orthogonal", "general"],
    },
  },
  "a post-LayerNorm stream: permutations, since its gain stands inside": {
    nodes: [
      dot("x", "enter", "s"),
      dot("s", "inner", "a"),
      apply("Add", ["s", "a"], "t"),
      apply("LayerNormalization", ["t", "gain", "offset"], "n"),
      dot("n", "inner2", "b"),
      apply("Add", ["n", "b"], "u"),
      apply("LayerNormalization", ["u", "gain2", "offset2"], "y"),
    ],
    weights: { enter: [4, 8], inner: [8, 8], gain: [8], offset: [8], inner2: [8, 8], gain2: [8], offset2: [8] },
    rotate: { enter: ["-", "permutation"], inner: ["permutation", "permutation"] },
    share: 0.99,
  },
  "attention: heads permute, and any map inside each of them": {
    nodes: HEADS,
    input: [2, 3, 6],
    weights: { wq: [6, 8], wk: [6, 8], wv: [6, 8], wo: [8, 6] },
    rotate: {
      wq: ["-", "scaled signed permutation x general each"],
      wk: ["-", "scaled signed permutation x general each"],
      wv: ["-", "scaled signed permutation x general each"],
      wo: ["scaled signed permutation x general each", "general"],
    },
    permute: { wq: ["-", "signed permutation x signed permutation each"] },
  },
  "convolutions with batch normalisation and ReLU: permutations with scales": {
    nodes: [
      apply("Conv", ["x", "first"], "a", { pads: ints(1, 1, 1, 1) }),
      apply("BatchNormalization", ["a", "gain", "offset", "mean", "variance"], "b"),
      apply("Relu", ["b"], "c"),
      apply("Conv", ["c", "second"], "d"),
      apply("GlobalAveragePool", ["d"], "y"),
    ],
    input: [2, 3, 6, 6],
    weights: { first: [8, 3, 3, 3], gain: [8], offset: [8], mean: [8], variance: [8], second: [5, 8, 1, 1] },
    rotate: {
      first: ["scaled signed permutation", "-", "-", "-"],
      gain: ["scaled signed permutation"],
      second: ["general", "scaled permutation", "-", "-"],
    },
  },
  "a depthwise convolution: its channels stay whole": {
    nodes: [
      apply("Conv", ["x", "first"], "a"),
      apply("Conv", ["a", "deep"], "b", { group: int(8) }),
      apply("Relu", ["b"], "c"),
      apply("Conv", ["c", "last"], "y"),
    ],
    input: [2, 3, 6, 6],
    weights: { first: [8, 3, 1, 1], deep: [8, 1, 3, 3], last: [5, 8, 1, 1] },
    rotate: { first: ["scaled signed permutation", "-", "-", "-"], last: ["general", "scaled permutation", "-", "-"] },
  },
  "token ids: the rows of their table permute under the client's label": {
    nodes: [apply("Gather", ["table", "x"], "a"), dot("a", "w", "b"), apply("Relu", ["b"], "c"), dot("c", "v", "y")],
    input: ["batch", "sequence"],
    ids: true,
    weights: { table: [11, 6], w: [6, 8], v: [8, 5] },
    rotate: { table: ["permutation", "general"], w: ["general", "scaled permutation"], v: ["scaled permutation", "general"] },
    permute: { table: ["permutation", "signed permutation"] },
  },
  "an unknown operator: what it touches stays": {
    nodes: [dot("x", "up", "a"), apply("Relu", ["a"], "b"), dot("b", "down", "c"), onnxNode("Strange", ["c"], ["y"])],
    weights: { up: [4, 8], down: [8, 5] },
    rotate: { up: ["-", "scaled permutation"], down: ["scaled permutation", "-"] },
  },
};

for (const [name, { nodes, weights, input = [2, 4], ids = false, rotate, permute = {}, share = 1 }] of Object.entries(KINDS)) {
  test(name, () => {
    const tensors = Object.entries(weights).map(([tensor, shape]) => {
      const count = shape.reduce((product, size) => product * size, 1);
      return tensorOf(tensor, "float32", shape, new Uint8Array(Float32Array.from({ length: count }, (_, i) => 1 + Math.sin(i)).buffer));
    });
    const list = (values: readonly number[]): Uint8Array => new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
    const shapes = [tensorOf("apart", "int64", [4], list([0, 0, 2, 4])), tensorOf("together", "int64", [3], list([0, 0, 8]))];
    const model = decodeOnnx(
      encodeOnnx({
        nodes,
        initializers: new Map([...tensors, ...shapes].map((tensor) => [tensor.name, tensor])),
        inputs: [{ name: "x", type: ids ? "int64" : "float32", shape: input }],
        outputs: [{ name: "y", type: "float32", shape: null }],
        opsets: new Map([["", 20]]),
      }),
    );
    for (const [expected, permuteOnly] of [
      [rotate, false],
      [permute, true],
    ] as const) {
      const { plan } = traceModel(model, { task: "other" }, permuteOnly);
      const found = Object.fromEntries(plan.tensors.map((tensor) => [tensor.name, tensor.axes.map(groupOf)]));
      for (const [tensor, groups] of Object.entries(expected)) assert.deepEqual(found[tensor], groups, tensor);
      const size = (all: boolean): number =>
        plan.tensors.reduce((sum, { tensor, isProtected }) => sum + (all || isProtected ? tensor.bytes : 0), 0);
      assert.ok(size(false) >= share * size(true), `share ${size(false) / size(true)}`);
      if (ids) assert.deepEqual([...plan.ids], [["x", { label: "vocabulary", size: 11 }]]);
    }
  });
}
