/**
 * Encrypts an ONNX model: one file in, one file out, with nothing known of its architecture.
 * @module
 */
import { createHash } from "node:crypto";
import { basename, join, resolve } from "node:path";
import { deriveBytes } from "../../algebra/random.ts";
import { layoutOnnx } from "../../checkpoint/onnx-layout.ts";
import { neededNames } from "../../checkpoint/onnx-graph.ts";
import type { OnnxGraph, OnnxModel, OnnxNode, OnnxTensor, OnnxType } from "../../checkpoint/onnx.ts";
import { openFile } from "../../checkpoint/open-file.ts";
import { createFiles, openForWriting, type PositionalWriter } from "../../checkpoint/writer.ts";
import { UnseenError } from "../../errors.ts";
import { checkedName } from "../fingerprint.ts";
import type { Manifest } from "../manifest.ts";
import { OutputPlace } from "../output-place.ts";
import type { ModelKey } from "../spaces.ts";
import { interfacesOf, withPeaks, type Ends } from "./ends.ts";
import { sealMetadata } from "./metadata.ts";
import { changedNodes, cipherId, type TensorPlan, type TracePlan } from "./plan.ts";
import { rewriteTensor } from "./rewrite-tensor.ts";
import { openPlain, traceModel, type OnnxOptions } from "./trace-model.ts";
import type { Trace } from "./trace.ts";
import { freeName } from "./untie.ts";

export interface EncryptOnnxOptions extends OnnxOptions {
  readonly source: string;
  /** File to make, ending in `.onnx`. */
  readonly output: string;
  readonly key: ModelKey;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly beforeCommit?: ((result: OnnxResult) => Promise<void>) | undefined;
}

/** What a key owner must remember of an encrypted ONNX model. */
export interface OnnxResult extends Ends {
  readonly output: string;
  readonly manifest: Manifest;
  /** What the client computes itself: a model file. */
  readonly stem: Uint8Array | null;
  /** Stored numbers of the host's part, in all and under the key. */
  readonly parameters: number;
  readonly protectedParameters: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly removedLeftover: boolean;
}

/**
 * Encrypts an ONNX model under a key. Throws `CHECKPOINT_*`, `FAMILY_UNSUPPORTED_VALUE`, `OUTPUT_EXISTS`, `DISK_FULL`, `USAGE`.
 *
 * @example
 * ```ts
 * const { protectedParameters, parameters } = await encryptOnnx({ source: "model.onnx", output: "model-unseen.onnx", key: { secret, strength: "rotate" } });
 * ```
 */
export async function encryptOnnx(options: EncryptOnnxOptions): Promise<OnnxResult> {
  const started = performance.now();
  const { key } = options;
  const whole = await openPlain(options.source);
  const traced = traceModel(whole, options, key.strength === "permute");
  const { model, stem, trace, plan, aliases } = traced;
  const ends = interfacesOf(traced, options);
  const manifest: Manifest = {
    scheme: "unseen-ee",
    version: 1,
    fingerprint: fingerprintOfOnnx(key, whole, options),
    strength: key.strength,
    family: "onnx",
    vocabularySize: Math.max(0, ...[...plan.ids.values()].map(({ size }) => size)),
  };

  const { nodes, constants, removed } = nodeEdits(trace, plan, key.secret, aliases);
  const tensors = new Map<string, { type: OnnxType; shape: readonly number[] }>();
  const isWritten = ({ name, isIdentity }: TensorPlan): boolean => !isIdentity || aliases.has(name);
  for (const each of plan.tensors) if (isWritten(each)) tensors.set(each.name, { type: each.tensor.type, shape: each.tensor.shape });
  for (const [name, { type, shape }] of constants) tensors.set(name, { type, shape });
  const path = resolve(options.output);
  const fileName = basename(path);
  const layout = layoutOnnx(
    model,
    {
      tensors,
      nodes,
      removed,
      inputs: withPeaks(trace.model.graph.inputs, plan),
      strip: true,
      // Exporters name values after the classes and layers of a model: that alone would tell which one it is.
      anonymous: true,
      metadata: sealMetadata(manifest, ends.publicInterface, options.input ?? "clear", options.secretOrder ?? null),
    },
    { fileName },
  );
  if (layout.files.length > 1 && !path.endsWith(".onnx")) throw new UnseenError("USAGE", "the output must end in .onnx.");
  const place = new OutputPlace(
    path,
    fileName,
    layout.files.slice(1).map(({ name }) => name),
  );
  try {
    const bytes = layout.files.reduce((sum, file) => sum + file.bytes, 0);
    place.reserve(bytes);
    createFiles(
      place.directory,
      layout.files.map(({ name, bytes: size }) => ({ name, bytes: size, header: new Uint8Array(0) })),
    );
    const writers = new Map(layout.files.map(({ name }) => [name, openForWriting(join(place.directory, name))]));
    const writer = (name: string): PositionalWriter => writers.get(name) as PositionalWriter;
    try {
      for (const piece of layout.pieces) writer(piece.file).write(piece.offset, piece.read());
      for (const [name, constant] of constants) {
        const { file, offset } = layout.locations.get(name)!;
        writer(file).write(offset, integerBytes(constant));
      }
      const total = plan.tensors.reduce((sum, { tensor }) => sum + tensor.bytes, 0);
      let done = 0;
      for (const tensorPlan of plan.tensors) {
        options.signal?.throwIfAborted();
        const location = layout.locations.get(tensorPlan.name);
        if (location) {
          const sink = (offset: number, data: Uint8Array): void => writer(location.file).write(location.offset + offset, data);
          if (tensorPlan.isIdentity) sink(0, tensorPlan.tensor.read());
          else rewriteTensor(tensorPlan, key.secret, sink);
        }
        options.onProgress?.((done += tensorPlan.tensor.bytes), total);
        // Lets a signal in between two tensors.
        await new Promise((next) => setImmediate(next));
      }
    } finally {
      for (const each of writers.values()) each.close();
    }
    const count = (list: readonly { tensor: { shape: readonly number[] } }[]): number =>
      list.reduce((sum, { tensor }) => sum + tensor.shape.reduce((product, size) => product * size, 1), 0);
    const result: OnnxResult = {
      output: place.path,
      manifest,
      ...ends,
      stem,
      parameters: count(plan.tensors),
      protectedParameters: count(plan.tensors.filter(({ isProtected }) => isProtected)),
      bytes,
      seconds: (performance.now() - started) / 1000,
      removedLeftover: place.removedLeftover,
    };
    await options.beforeCommit?.(result);
    place.commit();
    return result;
  } catch (error) {
    place.discard();
    throw error;
  }
}

function nodeEdits(
  trace: Trace,
  plan: TracePlan,
  secret: Uint8Array,
  aliases: ReadonlyMap<string, string>,
): { nodes: Map<number, readonly OnnxNode[]>; constants: Map<string, FilledTensor>; removed: Set<string> } {
  const nodes = new Map<number, readonly OnnxNode[]>();
  const constants = new Map<string, FilledTensor>();
  const { nodes: all } = trace.model.graph;
  all.forEach((node, index) => {
    if (node.inputs.some((name) => aliases.has(name))) nodes.set(index, [node]);
  });
  for (const change of plan.changes) {
    const name = freeName(trace.model.graph, `ids_${change.index}`);
    if (change.kind === "comparison") {
      const value = cipherId(secret, plan.ids.get(change.ids)!, change.plainId);
      constants.set(name, { value, type: change.type, shape: change.shape });
    }
    nodes.set(change.index, changedNodes(all[change.index] as OnnxNode, change, name));
  }
  // Weights that the exporter wrote into the graph as `Constant` nodes become initializers.
  const moved = new Set(
    plan.tensors.filter(({ name, isIdentity }) => !isIdentity && !trace.model.graph.initializers.has(name)).map(({ name }) => name),
  );
  all.forEach((node, index) => {
    if (node.operator === "Constant" && moved.has(node.outputs[0] as string)) nodes.set(index, []);
  });
  return { nodes, constants, removed: removeUnread(trace.model.graph, nodes) };
}

/**
 * Leaves out what only changed nodes had read, such as the plain id that ids were compared with: beside its cipher id it would tell what
 * that stands for. Adds to the changed `nodes`; returns the names of initializers.
 */
function removeUnread(graph: OnnxGraph, nodes: Map<number, readonly OnnxNode[]>): Set<string> {
  const readers = new Map<string, number>();
  const count = (name: string, by: number): number => {
    const total = (readers.get(name) ?? 0) + by;
    readers.set(name, total);
    return total;
  };
  for (const { name } of graph.outputs) count(name, 1);
  const makers = new Map<string, number>();
  graph.nodes.forEach((node, index) => {
    for (const name of node.outputs) makers.set(name, index);
    for (const kept of nodes.get(index) ?? [node]) for (const name of neededNames(kept)) count(name, 1);
  });
  const removed = new Set<string>();
  const open = [...nodes.keys()].flatMap((index) => [...neededNames(graph.nodes[index]!)]);
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if ((readers.get(name) ?? 0) > 0) continue;
    if (graph.initializers.has(name)) removed.add(name);
    const index = makers.get(name);
    const maker = index === undefined ? undefined : graph.nodes[index]!;
    if (index === undefined || !maker || nodes.has(index) || maker.outputs.some((output) => (readers.get(output) ?? 0) > 0)) continue;
    nodes.set(index, []);
    for (const input of neededNames(maker)) if (count(input, -1) === 0) open.push(input);
  }
  return removed;
}

/** A new constant: the same whole number everywhere. */
interface FilledTensor {
  readonly value: number;
  readonly type: OnnxType;
  readonly shape: readonly number[];
}

function integerBytes({ value, type, shape }: FilledTensor): Uint8Array {
  const count = shape.reduce((product, size) => product * size, 1);
  if (type === "int64") return new Uint8Array(new BigInt64Array(count).fill(BigInt(value)).buffer);
  return new Uint8Array(new Int32Array(count).fill(value).buffer);
}

/** Names this encryption of this model; the same key and model give the same name. */
function fingerprintOfOnnx(key: ModelKey, model: OnnxModel, { input, task, dimensions, secretOrder }: OnnxOptions): string {
  const digest = createHash("sha256");
  for (const [name, tensor] of model.graph.initializers) {
    digest.update(JSON.stringify([name, tensor.type, tensor.shape]));
    digest.update(sampleOf(tensor));
  }
  digest.update(JSON.stringify([input ?? "clear", task ?? null, secretOrder ?? null, [...(dimensions ?? [])]]));
  digest.update(JSON.stringify(model.graph.nodes.map(({ operator, inputs, outputs }) => [operator, inputs, outputs])));
  return checkedName(
    key.secret,
    Buffer.from(deriveBytes(key.secret, `fingerprint/${key.strength}/onnx/${digest.digest("hex")}`, 8)).toString("hex"),
  );
}

/** Bytes that are read of each tensor: enough to tell two trainings of one architecture apart. */
const SAMPLE_BYTES = 4096;

function sampleOf(tensor: OnnxTensor): Uint8Array {
  if (!tensor.location) return tensor.read().subarray(0, SAMPLE_BYTES);
  const sample = new Uint8Array(Math.min(SAMPLE_BYTES, tensor.bytes));
  const opened = openFile(tensor.location.file);
  try {
    opened.read(tensor.location.offset, sample);
  } finally {
    opened.close();
  }
  return sample;
}
