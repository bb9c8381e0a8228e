/**
 * Encrypts an ONNX model: one file in, one file out, with nothing known of its architecture.
 * @module
 */
import { createHash } from "node:crypto";
import { basename, join, resolve } from "node:path";
import { deriveBytes } from "../../algebra/random.ts";
import { layoutOnnx } from "../../checkpoint/onnx-layout.ts";
import { openOnnx, type OnnxModel, type OnnxNode, type OnnxType, type OnnxValueInfo } from "../../checkpoint/onnx.ts";
import { createFiles, openForWriting, type PositionalWriter } from "../../checkpoint/writer.ts";
import { UnseenError } from "../../errors.ts";
import { checkedName } from "../fingerprint.ts";
import type { ClientInterface, ClientInput, Pooling, PublicInterface, Task } from "../interface.ts";
import type { Manifest } from "../manifest.ts";
import { OutputPlace } from "../output-place.ts";
import { isIdentityRecipe, recipeLeaves, type Recipe } from "../recipe.ts";
import type { ModelKey } from "../spaces.ts";
import { cutModel, type InputMode } from "./cut.ts";
import { isSealed, sealMetadata } from "./metadata.ts";
import { axisRecipe, changedNodes, cipherId, planOf, type NodeChange, type TracePlan } from "./plan.ts";
import { rewriteTensor } from "./rewrite-tensor.ts";
import { probeSizes } from "./sizes.ts";
import { Space } from "./space.ts";
import { kindOfInput, traceGraph, type Trace } from "./trace.ts";
import { freeName, untie, type Untied } from "./untie.ts";

/** What a model is for, where its file does not say. */
export interface Usage {
  readonly task?: Task | undefined;
  readonly pooling?: Pooling | null | undefined;
  readonly maximumLength?: number | null | undefined;
}

export interface OnnxOptions extends Usage {
  /** How pictures enter; default `clear`. */
  readonly input?: InputMode | undefined;
  /** Tokens of every sequence, which the client then sends in secret order; for encoders. Default: as they stand. */
  readonly secretOrder?: number | undefined;
  /** Sizes of named dimensions that the tracer should assume. */
  readonly dimensions?: ReadonlyMap<string, number> | undefined;
}

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
export interface OnnxResult {
  readonly output: string;
  readonly manifest: Manifest;
  readonly publicInterface: PublicInterface;
  readonly clientInterface: Pick<ClientInterface, "inputs" | "outputs" | "fixedLength" | "task" | "pooling" | "maximumLength">;
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

  const { nodes, constants } = nodeEdits(trace, plan, key.secret, aliases);
  const tensors = new Map<string, { type: OnnxType; shape: readonly number[] }>();
  for (const { name, tensor, isIdentity } of plan.tensors) if (!isIdentity) tensors.set(name, tensor);
  for (const [name, { type, shape }] of constants) tensors.set(name, { type, shape });
  const path = resolve(options.output);
  const fileName = basename(path);
  const layout = layoutOnnx(
    model,
    {
      tensors,
      nodes,
      inputs: withPeaks(trace.model.graph.inputs, plan),
      strip: true,
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
        if (!tensorPlan.isIdentity && location)
          rewriteTensor(tensorPlan, key.secret, (offset, data) => writer(location.file).write(location.offset + offset, data));
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

/** Traces a model and makes sure that nothing depends on the sizes of open dimensions. Throws `FAMILY_UNSUPPORTED_VALUE`. */
export function traceModel(whole: OnnxModel, options: OnnxOptions, permuteOnly: boolean): Traced {
  const cut = options.input === undefined || options.input === "clear" ? null : cutModel(whole, options.input);
  const model = cut?.host ?? whole;
  const ordered = options.secretOrder === undefined ? null : orderedInputs(model.graph.inputs, options.secretOrder);
  const isometric = (): boolean => taskOf(model, options) === "embedding";
  const entering = (input: string, axis: number, size: number): Space | null => {
    // What the client computes itself it may also transform, all but the order of the batch.
    if (cut?.frontier.includes(input)) return axis > 0 ? Space.leaf(size) : null;
    // The first token keeps its place: poolers look for it there.
    if (ordered?.names.has(input) && axis === 1) return Space.sum([Space.frozen(1, "the first token"), Space.leaf(size - 1)]);
    return null;
  };
  const inputs = ordered?.infos ?? model.graph.inputs;
  const isOpen = inputs.some(({ shape }) => shape?.some((size) => typeof size !== "number"));
  const run = (probe: 0 | 1, { graph, aliases }: Untied, fixed: ReadonlySet<string>): Traced => {
    const trace = traceGraph(
      { ...model, graph: { ...graph, inputs } },
      {
        sizes: probeSizes(probe, options.dimensions),
        permuteOnly,
        isometric,
        entering,
        fixed: (tensor, axis) => fixed.has(`${axis}:${tensor}`),
      },
    );
    return { model, stem: cut?.stem ?? null, trace, plan: planOf(trace), aliases };
  };
  const settle = (form: Untied): Traced => {
    const fixed = new Set<string>();
    for (let round = 0; round < MAXIMUM_ROUNDS; round++) {
      const first = run(0, form, fixed);
      if (!isOpen) return requireOrder(first, ordered?.names);
      const second = run(1, form, fixed);
      const unlike = unlikeAxes(first, second);
      for (const axis of unlike) fixed.add(axis);
      if (unlike.length === 0 && JSON.stringify(essence(first)) === JSON.stringify(essence(second)))
        return requireOrder(first, ordered?.names);
      if (unlike.length === 0) break;
    }
    throw new UnseenError("FAMILY_UNSUPPORTED_VALUE", "what can be transformed in this graph depends on the sizes of its inputs.", {
      hint: "Export the model with fixed sizes, or name them: --dimension NAME=SIZE.",
    });
  };
  const asIs: Untied = { graph: model.graph, aliases: new Map() };
  const untied = permuteOnly ? asIs : untie(model.graph);
  if (untied.aliases.size === 0) return settle(asIs);
  const result = settle(untied);
  // A second copy of a table is worth its place only where it sets rotations free.
  return result.trace.folded.length > 0 ? result : settle(asIs);
}

/** The inputs whose second axis are the tokens, at a fixed length. Throws `USAGE`. */
function orderedInputs(inputs: readonly OnnxValueInfo[], length: number): { infos: OnnxValueInfo[]; names: Set<string> } {
  const kinds = new Map(inputs.map((info) => [info.name, kindOfInput(info)]));
  const refuse = (what: string): never => {
    throw new UnseenError("USAGE", `--secret-order: ${what}.`, { hint: "Leave it out; ids are permuted in any case." });
  };
  const names = new Set(inputs.filter(({ name, shape }) => kinds.get(name) !== "tensor" && shape?.length === 2).map(({ name }) => name));
  if (![...names].some((name) => kinds.get(name) === "ids")) refuse("the model takes no sequences of token ids");
  if (![...names].some((name) => kinds.get(name) === "mask")) refuse("the model has no attention mask, which shorter texts need");
  if ([...kinds.values()].includes("positions")) refuse("the model is told the position of every token");
  const infos = inputs.map((info): OnnxValueInfo => {
    if (!names.has(info.name)) return info;
    const size = info.shape?.[1];
    if (typeof size === "number" && size !== length) refuse(`the model takes ${size} tokens, not ${length}`);
    return { ...info, shape: [info.shape?.[0] ?? null, length] };
  });
  return { infos, names };
}

/** Makes sure that the order can be secret. Throws `USAGE` with what prevents it. */
function requireOrder(traced: Traced, names: ReadonlySet<string> | undefined): Traced {
  for (const name of names ?? []) {
    const place = traced.trace.values.get(name)?.axis(1);
    if (!place || !isIdentityRecipe(axisRecipe(traced.trace, place))) continue;
    const parts = place.space.form;
    const reason = place.space.frozen ?? (parts.kind === "sum" ? (parts.parts.at(-1)?.frozen ?? null) : null);
    throw new UnseenError(
      "USAGE",
      `--secret-order: the graph depends on the order of ${name} (${reason ?? "it takes tokens by their place"}).`,
      {
        hint: "Leave it out; ids are permuted in any case.",
      },
    );
  }
  return traced;
}

/** Rounds in which axes are found that only some sizes leave free. */
const MAXIMUM_ROUNDS = 8;

/** Axes of stored tensors on which the two runs would do different things, such as the rows of a table that only long inputs reach. */
function unlikeAxes(first: Traced, second: Traced): string[] {
  const others = new Map(second.plan.tensors.map((tensor) => [tensor.name, tensor]));
  return first.plan.tensors.flatMap(({ name, axes }) =>
    axes.flatMap((recipe, axis) => {
      const other = others.get(name)?.axes[axis];
      return other && JSON.stringify(kindsOf(recipe)) === JSON.stringify(kindsOf(other)) ? [] : [`${axis}:${name}`];
    }),
  );
}

/** What acts on an axis, without the labels. */
function kindsOf(recipe: Recipe): unknown {
  return recipeLeaves(recipe)
    .filter((leaf) => !isIdentityRecipe(leaf))
    .map(({ size, map, scales, signs, within }) => [size, map, scales.map(({ power }) => power), signs.length, within.length]);
}

/** A traced model and what is done to it. */
export interface Traced {
  /** The part that the host computes. */
  readonly model: OnnxModel;
  readonly stem: Uint8Array | null;
  readonly trace: Trace;
  readonly plan: TracePlan;
  /** Copies of tensors with two roles: name of the copy -> name of the tensor. */
  readonly aliases: ReadonlyMap<string, string>;
}

/** All that a key acts on, without the sizes of what stays as it is. */
function essence({ trace, plan }: { trace: Trace; plan: TracePlan }): unknown {
  const acts = (recipe: Recipe): unknown => recipeLeaves(recipe).filter((leaf) => !isIdentityRecipe(leaf));
  return [
    plan.tensors.map(({ name, axes, folds }) => [name, axes.map(acts), folds.map(({ kind }) => kind)]),
    plan.changes,
    [...plan.ids],
    trace.model.graph.outputs.map(({ name }) => trace.values.get(name)?.places.map((place) => acts(axisRecipe(trace, place)))),
  ];
}

/** Class scores leave under any map; vectors that somebody compares keep their geometry. */
function taskOf(model: OnnxModel, usage: Usage): Task {
  if (usage.task) return usage.task;
  const [output] = model.graph.outputs;
  if (!output) return "other";
  if (/hidden|embed|pool|feature/i.test(output.name)) return "embedding";
  if (/logit|class|prob|label|score/i.test(output.name) || output.shape?.length === 2) return "classification";
  return output.shape?.length === 3 ? "embedding" : "other";
}

/** What the host and the client are told of the model's ends. */
export function interfacesOf({ trace, plan }: Traced, usage: OnnxOptions): Pick<OnnxResult, "publicInterface" | "clientInterface"> {
  const { graph } = trace.model;
  const task = taskOf(trace.model, usage);
  const rank = graph.outputs[0]?.shape?.length ?? 0;
  const common = {
    task,
    pooling: usage.pooling === undefined ? (task === "embedding" && rank === 3 ? ("mean" as const) : null) : usage.pooling,
    maximumLength: usage.secretOrder ?? usage.maximumLength ?? null,
  };
  const peaks = new Map(peaksOf(plan).map(({ name, ids }) => [name, ids]));
  const shapeOf = ({ name, shape }: OnnxValueInfo): (number | string)[] => (shape ?? []).map((size, axis) => size ?? `${name}.${axis}`);
  const publicInterface: PublicInterface = {
    inputs: withPeaks(graph.inputs, plan).map((info) => {
      const ids = plan.ids.get(info.name);
      const kind = peaks.has(info.name) ? "peaks" : (trace.inputKinds.get(info.name) ?? "tensor");
      const size = ids?.size ?? trace.ids.get(info.name)?.space?.size;
      return {
        name: info.name,
        kind: kind === "ids" && size === undefined ? "tensor" : kind,
        type: info.type ?? "float32",
        shape: shapeOf(info),
        ...(kind === "ids" && size !== undefined ? { vocabularySize: size } : {}),
      };
    }),
    outputs: graph.outputs.map((info) => ({
      name: info.name,
      shape: shapeOf(info),
      isometric: task === "embedding",
    })),
    ...common,
  };
  const recipesOf = (name: string): (Recipe | null)[] =>
    (trace.values.get(name)?.places ?? []).map((place) => {
      const recipe = axisRecipe(trace, place);
      return isIdentityRecipe(recipe) ? null : recipe;
    });
  const clientInterface: OnnxResult["clientInterface"] = {
    inputs: withPeaks(graph.inputs, plan).map(({ name }): ClientInput => {
      const ids = plan.ids.get(name);
      const peak = peaks.get(name);
      if (peak !== undefined) return { name, kind: "peaks", of: peak };
      const own = usage.secretOrder === undefined ? null : (trace.values.get(name)?.axes?.[1] ?? null);
      const order =
        own && trace.inputKinds.get(name) !== "tensor" ? { order: axisRecipe(trace, { value: name, axis: 1, space: own }) } : {};
      if (ids) return { name, kind: "ids", ...ids, ...order };
      const kind = trace.inputKinds.get(name) ?? "tensor";
      return kind === "ids" || kind === "peaks" || kind === "tensor"
        ? { name, kind: "tensor", axes: recipesOf(name) }
        : { name, kind, ...order };
    }),
    outputs: graph.outputs.map(({ name }) => ({ name, axes: recipesOf(name) })),
    fixedLength: usage.secretOrder ?? null,
    ...common,
  };
  return { publicInterface, clientInterface };
}

function peaksOf(plan: TracePlan): (NodeChange & { kind: "peak" })[] {
  const found = plan.changes.filter((change) => change.kind === "peak");
  return found.filter((change, i) => found.findIndex(({ name }) => name === change.name) === i);
}

/** The graph's inputs and those that say what permuted ids no longer show. */
function withPeaks(inputs: readonly OnnxValueInfo[], plan: TracePlan): OnnxValueInfo[] {
  return [...inputs, ...peaksOf(plan).map(({ name, shape }): OnnxValueInfo => ({ name, type: "int64", shape }))];
}

function nodeEdits(
  trace: Trace,
  plan: TracePlan,
  secret: Uint8Array,
  aliases: ReadonlyMap<string, string>,
): { nodes: Map<number, readonly OnnxNode[]>; constants: Map<string, FilledTensor> } {
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
  return { nodes, constants };
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

/** Opens a model that is not encrypted. Throws `USAGE` for one that is. */
export async function openPlain(path: string): Promise<OnnxModel> {
  const model = await openOnnx(path);
  if (!isSealed(model)) return model;
  throw new UnseenError("USAGE", `${path} is encrypted already.`, { hint: "Start from the plain model." });
}

/** Names this encryption of this model; the same key and model give the same name. */
function fingerprintOfOnnx(key: ModelKey, model: OnnxModel, { input, task, dimensions, secretOrder }: OnnxOptions): string {
  const digest = createHash("sha256");
  for (const [name, tensor] of model.graph.initializers) {
    digest.update(JSON.stringify([name, tensor.type, tensor.shape]));
    digest.update(tensor.read().subarray(0, 1 << 16));
  }
  digest.update(JSON.stringify([input ?? "clear", task ?? null, secretOrder ?? null, [...(dimensions ?? [])]]));
  digest.update(JSON.stringify(model.graph.nodes.map(({ operator, inputs, outputs }) => [operator, inputs, outputs])));
  return checkedName(
    key.secret,
    Buffer.from(deriveBytes(key.secret, `fingerprint/${key.strength}/onnx/${digest.digest("hex")}`, 8)).toString("hex"),
  );
}
