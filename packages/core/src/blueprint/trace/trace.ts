/**
 * The tracer: reads an ONNX graph, finds the spaces of all its axes and the group of each, with no code per model.
 *
 * Pass one walks the graph in topological order and unites axes that hold the same coordinates; pass two lets every operator state
 * its law; `Laws.solve` then gives each leaf the largest group that all laws leave. Whatever is not understood is frozen, so the result is
 * always exact. (After the idea of Git Re-Basin's permutation specs, Ainsworth et al. 2022, here derived instead of written.)
 * @module
 */
import type { OnnxModel, OnnxNode, OnnxTensor, OnnxValueInfo } from "../../checkpoint/onnx.ts";
import { capturedNames, neededNames } from "../../checkpoint/onnx-graph.ts";
import { UnseenError } from "../../errors.ts";
import type { InputKind } from "../interface.ts";
import { flattenGraph } from "./flatten.ts";
import { evaluate, knownFromTensor, type Known } from "./known.ts";
import { Laws, type AxisPlace, type Groups } from "./laws.ts";
import { findNorms } from "./norm-patterns.ts";
import { foldableNorms, type FoldableNorm } from "./norms.ts";
import { operatorOf, readsIds, readsIntegers } from "./operators/index.ts";
import { Opaque, restrictAll, Step } from "./operator.ts";
import type { Sizes } from "./sizes.ts";
import { Space } from "./space.ts";
import { IdSpace, Value } from "./value.ts";

export interface TraceOptions {
  /** Sizes of open dimensions. */
  readonly sizes: Sizes;
  /** Permutations and signs alone. */
  readonly permuteOnly: boolean;
  /** Outputs whose norms and cosines must survive. */
  readonly isometric: (output: string) => boolean;
  /** The space of an input's axis that the client transforms before it sends it; null for an axis that stays as it is. */
  readonly entering?: (input: string, axis: number, size: number) => Space | null;
  /** Axes of stored tensors, inputs and outputs that must stay as they are. */
  readonly fixed?: (tensor: string, axis: number) => boolean;
}

/** A graph that has been read. */
export interface Trace {
  readonly model: OnnxModel;
  readonly values: ReadonlyMap<string, Value>;
  readonly steps: readonly Step[];
  readonly groups: Groups;
  /** Tensors that encryption rewrites or leaves, by value name: initializers and `Constant` nodes. */
  readonly parameters: ReadonlyMap<string, OnnxTensor>;
  readonly folded: readonly FoldableNorm[];
  /** Batch normalisations whose variance moves into the gain. */
  readonly batchNorms: readonly Step[];
  /** Token-id inputs by name. */
  readonly ids: ReadonlyMap<string, IdSpace>;
  readonly inputKinds: ReadonlyMap<string, InputKind>;
  /** What was frozen and why, in order of discovery. */
  readonly notes: readonly TraceNote[];
}

/** Something that the tracer could not follow. */
export interface TraceNote {
  readonly node: string;
  readonly operator: string;
  readonly reason: string;
}

/** Content of small parameters stays known, for operators that read sizes from them. */
const KNOWN_PARAMETER_ELEMENTS = 1024;
/** Of the operators that may read ids, those that need no change of the graph. */
const MOVES_IDS = new Set("Identity Reshape Flatten Squeeze Unsqueeze Transpose Slice Split Gather Expand Cast Shape Size".split(" "));
/** Operators that take nothing but sizes behind their first input. */
const SETTINGS = new Set(["Resize", "Upsample"]);
const MOVES_SETTINGS = new Set(["Cast", "Concat", "Identity", "Squeeze", "Unsqueeze"]);
/** Nodes between a setting and its operator (CWE-674). */
const SETTING_DEPTH = 8;
const FLOATS = new Set(["float32", "float16", "bfloat16", "float64"]);
const QUANTISED = new Set(["int8", "uint8", "int16", "uint16", "int32"]);
/** Of the label that a client's token cipher uses. */
export const VOCABULARY = "vocabulary";

/** What the numbers of an input mean, by its name and type, as exporters name them. */
export function kindOfInput(info: OnnxValueInfo): InputKind {
  if (info.type !== "int64" && info.type !== "int32") return "tensor";
  const name = info.name.toLowerCase();
  if (name.includes("mask")) return "mask";
  if (/token_type|segment/.test(name)) return "segments";
  if (name.includes("position")) return "positions";
  return "ids";
}

/** Reads a graph. Throws what `checkGraph` throws for graphs that are none. */
export function traceGraph(model: OnnxModel, options: TraceOptions): Trace {
  const { graph } = model;
  const { nodes, inner, constants } = flattenGraph(model);
  const functions = new Set(model.functions.map(({ domain, name }) => `${domain}:${name}`));
  // Nodes of branches and functions come behind all others: no change can be made to them.
  const fileIndex = new Map([...graph.nodes, ...inner].map((node, index) => [node, index]));
  const opset = model.opsets.get("") ?? model.opsets.get("ai.onnx") ?? 1;
  const values = new Map<string, Value>();
  const parameters = new Map<string, OnnxTensor>();
  const notes: TraceNote[] = [];
  const consumersOf = Map.groupBy(
    nodes.flatMap((node) => [...node.inputs, ...capturedNames(node)].map((name) => ({ name, node }))),
    ({ name }) => name,
  );

  /** Whether an operator takes its settings from a value, and nothing else reads it. */
  const isSetting = (name: string, depth = 0): boolean =>
    depth < SETTING_DEPTH &&
    consumersOf.has(name) &&
    consumersOf
      .get(name)!
      .every(({ node }) =>
        SETTINGS.has(node.operator)
          ? node.inputs.indexOf(name) > 0
          : MOVES_SETTINGS.has(node.operator) && isSetting(node.outputs[0] as string, depth + 1),
      );
  const addConstant = (name: string, tensor: OnnxTensor, isStored = true): void => {
    const elements = tensor.shape.reduce((product, size) => product * size, 1);
    const quantised =
      QUANTISED.has(tensor.type) &&
      (consumersOf.get(name) ?? []).every(({ node }) => readsIntegers(node.operator, tensor.type)) &&
      consumersOf.has(name);
    const isParameter = isStored && elements > 1 && !isSetting(name) && (FLOATS.has(tensor.type) || quantised);
    if (!isParameter) return void values.set(name, constantValue(name, tensor.shape, knownFromTensor(tensor)));
    parameters.set(name, tensor);
    const known = elements <= KNOWN_PARAMETER_ELEMENTS ? knownFromTensor(tensor) : null;
    const axes = tensor.shape.map((size, axis) =>
      options.fixed?.(name, axis) ? Space.frozen(size, "how much of it is used depends on the inputs") : Space.leaf(size),
    );
    values.set(name, new Value(name, axes, { origin: "parameter", known }));
  };
  for (const [name, tensor] of graph.initializers) addConstant(name, tensor);
  for (const [name, tensor] of constants) addConstant(name, tensor, false);

  const ids = new Map<string, IdSpace>();
  const inputKinds = new Map<string, InputKind>();
  for (const info of graph.inputs) {
    const kind = kindOfInput(info);
    inputKinds.set(info.name, kind);
    const axes =
      info.shape?.map((_, axis) => {
        const size = options.sizes(info, axis);
        return options.entering?.(info.name, axis, size) ?? Space.frozen(size, "enters in clear");
      }) ?? null;
    const idSpace = kind === "ids" ? new IdSpace(info.name, axes?.map(({ size }) => size) ?? []) : null;
    if (idSpace) ids.set(info.name, idSpace);
    values.set(info.name, new Value(info.name, axes, { origin: "input", ids: idSpace }));
  }

  const infos = new Map([...graph.values, ...graph.outputs.map((info) => [info.name, info] as const)]);
  const opaque = (step: Step, reason: string): void => {
    const { node } = step;
    notes.push({ node: node.name, operator: node.operator, reason });
    const why = `${node.operator}: ${reason}`;
    const captured = [...capturedNames(node)].flatMap((name) => values.get(name) ?? []);
    for (const value of [...step.inputs, ...captured]) {
      for (const axis of value?.axes ?? []) axis.freeze(why);
      value?.ids?.expose(why);
    }
    step.results.forEach((_, i) => {
      const info = infos.get(node.outputs[i] as string);
      const sizes = info?.shape?.every((size) => size !== null) ? info.shape.map((_size, axis) => options.sizes(info, axis)) : null;
      step.results[i] = { axes: sizes?.map((size) => Space.frozen(size, why)) ?? null, known: null, ids: null, value: null };
    });
  };

  const steps: Step[] = [];
  const followed = new Set<Step>();
  for (const node of nodes) {
    const index = fileIndex.get(node) ?? 0;
    const inputs = node.inputs.map((name) => (name === "" ? null : (values.get(name) ?? null)));
    if (isConstant(node)) {
      const tensor = node.attributes.get("value");
      if (tensor?.kind === "tensor") {
        addConstant(node.outputs[0] as string, tensor.value, !inner.has(node));
        continue;
      }
    }
    const step = new Step(node, index, opset, inputs);
    steps.push(step);
    const isOwn = functions.has(`${node.domain}:${node.operator}`);
    const known = isOwn ? null : inner.has(node) ? attempt(() => knownResults(step)) : knownResults(step);
    if (known) {
      node.outputs.forEach((name, i) => name !== "" && known[i] && values.set(name, constantValue(name, known[i].shape, known[i])));
      continue;
    }
    for (const value of inputs)
      if (value?.ids && (!readsIds(node.domain, node.operator) || (inner.has(node) && !MOVES_IDS.has(node.operator))))
        value.ids.expose(`${node.operator} computes with the ids`);
    // What the model calls by a runtime's name may be either.
    const operator = isOwn ? null : operatorOf(node.domain, node.operator);
    try {
      if (!operator) throw new Opaque("the operator is not known");
      operator.align(step);
      if (step.results.some((result, i) => result === null && node.outputs[i] !== "")) throw new Opaque("not all outputs are described");
      // What an operator took its parameters from is no data: it must stay as it is.
      inputs.forEach((value, i) => {
        if (value && !step.seen.has(i)) step.freeze(value.axes ?? [], "reads its parameters here");
      });
      followed.add(step);
    } catch (error) {
      if (!(error instanceof Opaque) && !(error instanceof RangeError)) throw error;
      opaque(step, error.message);
    }
    step.results.forEach((result, i) => {
      const name = node.outputs[i] as string;
      if (!result || name === "") return;
      result.value = new Value(name, result.axes, { known: result.known, ids: result.ids });
      values.set(name, result.value);
    });
  }
  for (const { name } of graph.outputs) values.get(name)?.ids?.expose("they are an output of the graph");
  settleIds(ids);

  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const consumers = Map.groupBy(
    steps.flatMap((step) => [...neededNames(step.node)].map((name) => ({ name, step }))),
    ({ name }) => name,
  );
  const stepsOf = new Map([...consumers].map(([name, list]) => [name, list.map(({ step }) => step)]));
  const patterns = findNorms(graph, (name) => {
    const value = values.get(name);
    return value && value.origin !== "parameter" ? value.known : null;
  }).filter((pattern) => isLastAxis(values.get(pattern.input), pattern.axes));
  const decomposed = new Map(patterns.map((pattern) => [pattern.output, pattern.kind]));
  const interior = new Set(patterns.flatMap((pattern) => pattern.nodes));
  const interiorValues = new Set(
    patterns.flatMap((pattern) => pattern.nodes.flatMap((node) => node.outputs)).filter((name) => !decomposed.has(name)),
  );
  const usedOnce = (name: string | undefined): boolean => {
    const list = name === undefined ? [] : (consumersOf.get(name) ?? []);
    return name !== undefined && list.length === 1 && !outputs.has(name) && values.get(name)?.origin === "parameter";
  };
  const batchNorms = steps.filter(
    (step) =>
      followed.has(step) &&
      step.node.operator === "BatchNormalization" &&
      step.int("training_mode", 0) === 0 &&
      [1, 4].every((i) => usedOnce(step.node.inputs[i])),
  );

  const ownNorms = new Set(batchNorms);
  const weights = new Set(parameters.keys());
  const ends = new Set([...outputs, ...graph.inputs.map(({ name }) => name)]);
  const solveWith = (folded: readonly FoldableNorm[]): Groups => {
    const laws = new Laws(options.permuteOnly);
    const foldedTensors = new Set(folded.flatMap(({ gain, offset }) => (offset ? [gain, offset] : [gain])));
    const foldedNodes = new Set(folded.flatMap(({ gainNode, offsetNode }) => (offsetNode ? [gainNode, offsetNode] : [gainNode])));
    for (const [name, value] of values) if (value.axes && !foldedTensors.has(name) && !interiorValues.has(name)) laws.declare(value.places);
    for (const pattern of patterns) {
      const [input, output] = [values.get(pattern.input) as Value, values.get(pattern.output) as Value];
      output.places.forEach((place, axis) => {
        laws.relate(place, input.axis(axis));
        if (axis === output.places.length - 1) laws.restrict(place, pattern.kind === "layer" ? "centred-norm" : "norm");
        else laws.restrict(place, "pointwise");
      });
    }
    for (const step of steps) {
      if (!followed.has(step) || interior.has(step.node)) continue;
      try {
        if (foldedNodes.has(step.node)) foldedLaw(step, laws, foldedTensors);
        else operatorOf(step.node.domain, step.node.operator)!.law(step, laws);
        if (step.node.operator === "BatchNormalization" && !ownNorms.has(step)) laws.restrict(step.input(0).axis(1), "odd");
      } catch (error) {
        if (!(error instanceof Opaque) && !(error instanceof RangeError)) throw error;
        // What a node leaves out, such as a result that nobody asked for, its law may need: then nothing may pass.
        for (const value of [...step.inputs, ...step.results.map((result) => result?.value)]) if (value) restrictAll(laws, value, "fixed");
      }
    }
    for (const value of values.values()) {
      // Numbers that no tensor stores cannot be rewritten: they are right in any order only because they are all the same.
      if (value.known && value.origin !== "parameter") restrictAll(laws, value, "pointwise");
    }
    for (const info of graph.inputs) {
      // Whole numbers can change their places, but not be mixed.
      const value = values.get(info.name);
      if (value && info.type !== null && !FLOATS.has(info.type)) restrictAll(laws, value, "pointwise");
    }
    for (const info of graph.outputs) {
      const value = values.get(info.name);
      if (!value?.axes) continue;
      for (const place of value.places) if (options.fixed?.(info.name, place.axis)) laws.restrict(place, "fixed");
      if (info.type !== null && !FLOATS.has(info.type)) restrictAll(laws, value, "fixed");
      else if (options.isometric(info.name)) {
        // Vectors along the last axis keep their norms, wherever they move.
        value.places.forEach((place, axis) => laws.restrict(place, axis === value.places.length - 1 ? "norm" : "pointwise"));
      }
    }
    return laws.solve(weights, ends, vocabularyNames(ids));
  };

  let folded = options.permuteOnly ? [] : foldableNorms({ steps, values, consumers: stepsOf, outputs, decomposed });
  let groups = solveWith(folded);
  // Where no rotation is possible anyway, a gain is better left where it is.
  const useful = folded.filter(({ gainNode }) => rotates(groups, (values.get(gainNode.outputs[0] as string) as Value).axis(-1)));
  if (useful.length < folded.length) groups = solveWith((folded = useful));
  return { model, values, steps, groups, parameters, folded, batchNorms, ids, inputKinds, notes };
}

function isConstant(node: OnnxNode): boolean {
  return node.operator === "Constant" && node.domain === "";
}

function isLastAxis(value: Value | undefined, axes: readonly number[]): boolean {
  const rank = value?.axes?.length ?? 0;
  return rank > 0 && axes.length === 1 && (axes[0] === -1 || axes[0] === rank - 1);
}

/** A value of known content: any order of an axis is right where all its slices are equal. */
function constantValue(name: string, shape: readonly number[], known: Known | null): Value {
  let inner = shape.reduce((product, size) => product * size, 1);
  const axes = shape.map((size) => {
    inner /= Math.max(size, 1);
    return known && size > 1 && isUniformAlong(known.data, size, inner)
      ? Space.leaf(size)
      : Space.frozen(size, "a constant that is computed with");
  });
  return new Value(name, axes, { known });
}

function isUniformAlong(data: Float64Array, size: number, inner: number): boolean {
  const block = size * inner;
  for (let i = 0; i < data.length; i++) if (!Object.is(data[i], data[i - (i % block) + (i % inner)])) return false;
  return true;
}

/** The results of a node whose inputs are all known, or which asks for shapes alone. */
function knownResults(step: Step): readonly Known[] | null {
  const { node, inputs } = step;
  if (node.operator === "Shape" || node.operator === "Size") {
    const value = inputs[0];
    if (!value?.axes) return null;
    const { shape } = value;
    // A stand-in without content: these two read nothing but the shape.
    const standIn: Known = { type: "float32", shape, data: EMPTY };
    return evaluate(node, [standIn], step.opset);
  }
  const known = inputs.map((value) => constantContent(value));
  if (known.some((each, i) => each === null && inputs[i])) return null;
  if (node.inputs.some((name, i) => name !== "" && !inputs[i])) return null;
  if (node.operator === "If" && known.length === 3) return [known[known[0]!.data[0] === 0 ? 2 : 1] as Known];
  return evaluate(node, known, step.opset);
}

/** The branch that is not taken may ask for impossible shapes. */
function attempt<T>(ask: () => T): T | null {
  try {
    return ask();
  } catch (error) {
    if (UnseenError.isInstance(error)) return null;
    throw error;
  }
}

/** The content of a value that no key can change. */
function constantContent(value: Value | null | undefined): Known | null {
  return value && value.origin !== "parameter" ? value.known : null;
}

const EMPTY = new Float64Array(0);

/** A node whose gain or offset has been folded away passes its input on. */
function foldedLaw(step: Step, laws: Laws, foldedTensors: ReadonlySet<string>): void {
  const source = step.inputs.find((value) => value && !foldedTensors.has(value.name)) as Value;
  const output = step.output();
  const fused = step.node.operator !== "Mul" && step.node.operator !== "Add";
  const layer = step.node.operator === "LayerNormalization";
  output.places.forEach((place, axis) => {
    laws.relate(place, source.axis(axis));
    if (!fused) return;
    if (axis < output.places.length - 1) laws.restrict(place, "pointwise");
    else laws.restrict(place, layer ? "centred-norm" : "norm");
  });
}

function rotates(groups: Groups, place: AxisPlace): boolean {
  return groups.leaves(place).some(({ recipe }) => recipe !== null && (recipe.map === "orthogonal" || recipe.map === "ones"));
}

/** Ids can be permuted where one table axis is all that they index. */
function settleIds(ids: ReadonlyMap<string, IdSpace>): void {
  for (const each of ids.values()) {
    if (each.space === null) each.expose("no table is indexed by them");
    else if (each.space.form.kind !== "leaf") each.expose(each.space.frozen ?? "their table is cut into parts");
  }
}

function vocabularyNames(ids: ReadonlyMap<string, IdSpace>): Map<Space, string> {
  const names = new Map<Space, string>();
  for (const { space, exposed } of ids.values()) {
    if (space && exposed === null && !names.has(space.root))
      names.set(space.root, names.size === 0 ? VOCABULARY : `${VOCABULARY}.${names.size + 1}`);
  }
  return names;
}
