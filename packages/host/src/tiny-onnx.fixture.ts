/**
 * ONNX models of a few kilobytes, so that tests run the real engine without any download. Each has one property that a server must notice.
 * @module
 */
import { writeFileSync } from "node:fs";
import { RandomStream } from "@unseen/core/algebra/random.ts";
import type { PublicInterface } from "@unseen/core/blueprint/interface.ts";
import { encodeOnnx, onnxNode, type OnnxParts } from "@unseen/core/checkpoint/onnx-encode.ts";
import { tensorOf } from "@unseen/core/checkpoint/onnx-tensor.ts";
import type { OnnxAttribute, OnnxNode, OnnxTensor, OnnxType, OnnxValueInfo } from "@unseen/core/checkpoint/onnx.ts";

export const TINY_ONNX_VOCABULARY = 64;
export const TINY_ONNX_SEGMENTS = 2;
export const TINY_ONNX_WIDTH = 16;
export const TINY_ONNX_CLASSES = 3;
export const TINY_ONNX_FINGERPRINT = "fedcba9876543210fedcba9876543210";

type Dimension = number | string;

/** Collects nodes and weights. */
class Graph {
  readonly nodes: OnnxNode[] = [];
  readonly initializers = new Map<string, OnnxTensor>();
  readonly #random = new RandomStream(new Uint8Array(32).fill(7));

  node(operator: string, inputs: readonly string[], output: string, attributes: Readonly<Record<string, OnnxAttribute>> = {}): string {
    this.nodes.push(onnxNode(operator, inputs, [output], attributes));
    return output;
  }

  weights(name: string, shape: readonly number[], scale = 0.5): string {
    const count = shape.reduce((product, size) => product * size, 1);
    return this.constant(
      name,
      "float32",
      shape,
      new Uint8Array(Float32Array.from({ length: count }, () => this.#random.gaussian() * scale).buffer),
    );
  }

  integers(name: string, values: readonly number[]): string {
    return this.constant(name, "int64", [values.length], new Uint8Array(BigInt64Array.from(values, BigInt).buffer));
  }

  float(name: string, value: number): string {
    return this.constant(name, "float32", [], new Uint8Array(Float32Array.of(value).buffer));
  }

  constant(name: string, type: OnnxType, shape: readonly number[], bytes: Uint8Array): string {
    this.initializers.set(name, tensorOf(name, type, shape, bytes));
    return name;
  }
}

const int = (value: number): OnnxAttribute => ({ kind: "int", value });
const ints = (...value: number[]): OnnxAttribute => ({ kind: "ints", value });
const info = (name: string, type: OnnxType, shape: readonly Dimension[]): OnnxValueInfo => ({ name, type, shape: [...shape] });

export interface TinyEncoderOptions {
  /** "tokens": a vector per token, (rows, length, width); "classes": (rows, 3). */
  readonly output?: "tokens" | "classes";
  readonly hasMask?: boolean;
  readonly hasSegments?: boolean;
  /** Adds a vector for each place; `length` must be a number. */
  readonly hasPositions?: boolean;
  readonly vocabulary?: number;
  /** Rows and tokens per row; names stand for any number. */
  readonly rows?: Dimension;
  readonly length?: Dimension;
  /** The result is that of the token at a place which the client names. */
  readonly hasPeaks?: boolean;
  /** The mask is an input that changes nothing. */
  readonly ignoresMask?: boolean;
  /** Subtracts the mean over the rows: each row's result depends on its neighbours. */
  readonly mixesRows?: boolean;
  /** Also adds where in its row the id 5 stands, as CLIP looks for its end id. */
  readonly searchesIds?: boolean;
  /** Metadata of an encrypted model (to random weights: there is nothing to hide), with what differs in its interface. */
  readonly encrypted?: Partial<PublicInterface> | null;
}

/** Writes a transformer's attention with embeddings before and a pooled classifier behind. */
export function writeTinyEncoder(file: string, options: TinyEncoderOptions = {}): void {
  const { output = "classes", hasMask = true, hasSegments = false, rows = "batch", length = "sequence" } = options;
  const { vocabulary = TINY_ONNX_VOCABULARY } = options;
  const graph = new Graph();
  const width = TINY_ONNX_WIDTH;
  let hidden = graph.node("Gather", [graph.weights("words", [vocabulary, width]), "input_ids"], "word");
  if (hasSegments) {
    const segment = graph.node("Gather", [graph.weights("kinds", [TINY_ONNX_SEGMENTS, width]), "token_type_ids"], "kind");
    hidden = graph.node("Add", [hidden, segment], "embedded");
  }
  if (options.hasPositions) hidden = graph.node("Add", [hidden, graph.weights("places", [length as number, width])], "placed");
  const project = (name: string): string => graph.node("MatMul", [hidden, graph.weights(`${name}.weight`, [width, width])], name);
  const [query, key, value] = [project("query"), project("key"), project("value")];
  let scores = graph.node("MatMul", [query, graph.node("Transpose", [key], "turned", { perm: ints(0, 2, 1) })], "scores");
  let mask = "";
  if (hasMask && options.ignoresMask !== true) {
    mask = graph.node("Cast", ["attention_mask"], "mask", { to: int(1) });
    const hides = graph.node("Mul", [graph.node("Sub", [graph.float("one", 1), mask], "hidden"), graph.float("low", -1e9)], "bias");
    scores = graph.node("Add", [scores, graph.node("Unsqueeze", [hides, graph.integers("row", [1])], "bias.row")], "masked");
  }
  const attended = graph.node("MatMul", [graph.node("Softmax", [scores], "attention", { axis: int(-1) }), value], "attended");
  let last = graph.node("Add", [hidden, attended], output === "tokens" ? "output" : "states");
  let shape: Dimension[] = [rows, length, width];
  if (output === "classes") {
    if (mask !== "") last = graph.node("Mul", [last, graph.node("Unsqueeze", [mask, graph.integers("column", [2])], "mask.column")], "own");
    if (options.hasPeaks) {
      const count = graph.node("Gather", [graph.node("Shape", ["input_ids"], "sizes"), graph.integers("second", [1])], "tokens.count");
      graph.constant("off.on", "float32", [2], new Uint8Array(Float32Array.of(0, 1).buffer));
      const chosen = graph.node("OneHot", ["input_ids_peak", count, "off.on"], "chosen", { axis: int(-1) });
      last = graph.node("Mul", [last, graph.node("Unsqueeze", [chosen, graph.integers("last", [2])], "chosen.column")], "at.peak");
    }
    const summed = graph.node("ReduceSum", [last, graph.integers("tokens", [1])], "summed", { keepdims: int(0) });
    last = graph.node("MatMul", [summed, graph.weights("classifier", [width, TINY_ONNX_CLASSES])], "logits");
    if (options.mixesRows) last = graph.node("Sub", [last, graph.node("ReduceMean", [last], "mean", { axes: ints(0) })], "centred");
    if (options.searchesIds) {
      const isEnd = graph.node("Cast", [graph.node("Equal", ["input_ids", graph.integers("end", [5])], "ends")], "ending", { to: int(1) });
      const place = graph.node("ArgMax", [isEnd], "place", { axis: int(1), keepdims: int(1) });
      last = graph.node("Add", [last, graph.node("Cast", [place], "offset", { to: int(1) })], "moved");
    }
    graph.node("Identity", [last], "output");
    shape = [rows, TINY_ONNX_CLASSES];
  }
  const inputs = [
    info("input_ids", "int64", [rows, length]),
    ...(hasMask ? [info("attention_mask", "int64", [rows, length])] : []),
    ...(hasSegments ? [info("token_type_ids", "int64", [rows, length])] : []),
    ...(options.hasPeaks ? [info("input_ids_peak", "int64", [rows])] : []),
  ];
  const kinds = { input_ids: "ids", attention_mask: "mask", token_type_ids: "segments", input_ids_peak: "peaks" } as const;
  const described: PublicInterface = {
    inputs: inputs.map(({ name, shape: own }) => ({
      name,
      kind: kinds[name as keyof typeof kinds],
      type: "int64",
      shape: own as Dimension[],
      ...(name === "input_ids" ? { vocabularySize: vocabulary } : {}),
    })),
    outputs: [{ name: "output", shape, isometric: true }],
    task: output === "tokens" ? "embedding" : "classification",
    pooling: output === "tokens" ? "mean" : null,
    maximumLength: 64,
    ...options.encrypted,
  };
  write(
    file,
    { nodes: graph.nodes, initializers: graph.initializers, inputs, outputs: [info("output", "float32", shape)] },
    options.encrypted ? described : null,
  );
}

/** Writes (rows, 2, 3, 3) -> (rows, 4); plain. */
export function writeTinyVision(file: string, { rows = "batch" as Dimension, side = 3 as Dimension } = {}): void {
  const graph = new Graph();
  const pooled = graph.node("ReduceMean", [graph.node("Conv", ["image", graph.weights("kernel", [4, 2, 2, 2])], "features")], "pooled", {
    axes: ints(2, 3),
    keepdims: int(0),
  });
  graph.node("Identity", [pooled], "output");
  const inputs = [info("image", "float32", [rows, 2, side, side])];
  write(file, { nodes: graph.nodes, initializers: graph.initializers, inputs, outputs: [info("output", "float32", [rows, 4])] }, null);
}

export const SLOW_WIDTH = 1024;

/** Writes (rows, 1024) -> (rows, 1024) that takes a tenth of a second and more: a long chain of products. Plain. */
export function writeSlowModel(file: string, products = 600): void {
  const graph = new Graph();
  const weight = graph.weights("weight", [SLOW_WIDTH, SLOW_WIDTH], 1 / 32);
  let last = "input";
  for (let index = 0; index < products; index++) {
    last = graph.node("Tanh", [graph.node("MatMul", [last, weight], `product${index}`)], `value${index}`);
  }
  graph.node("Identity", [last], "output");
  const shape = ["batch", SLOW_WIDTH];
  const ends = { inputs: [info("input", "float32", shape)], outputs: [info("output", "float32", shape)] };
  write(file, { nodes: graph.nodes, initializers: graph.initializers, ...ends }, null);
}

function write(file: string, parts: OnnxParts, described: PublicInterface | null): void {
  const vocabularySize = described?.inputs.find(({ kind }) => kind === "ids")?.vocabularySize ?? 0;
  const metadata = new Map([
    ["unseen.scheme", "unseen-ee"],
    ["unseen.version", "1"],
    ["unseen.fingerprint", TINY_ONNX_FINGERPRINT],
    ["unseen.strength", "rotate"],
    ["unseen.family", "onnx"],
    ["unseen.vocabulary_size", String(vocabularySize)],
    ["unseen.interface", JSON.stringify(described)],
  ]);
  writeFileSync(file, encodeOnnx({ ...parts, ...(described ? { metadata } : {}) }));
}
