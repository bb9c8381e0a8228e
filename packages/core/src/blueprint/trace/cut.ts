/**
 * Cuts a vision model behind its first layer, so that no pixel leaves the client.
 *
 * `client-stem`: the client computes the first layer itself and sends its features under the key. `patches`: the client cuts the picture
 * into patches and sends these under a keyed invertible map, in secret order where the graph allows it (vision transformers).
 * @module
 */
import { decodeOnnx, type OnnxModel, type OnnxNode, type OnnxTensor, type OnnxValueInfo } from "../../checkpoint/onnx.ts";
import { encodeOnnx, onnxNode } from "../../checkpoint/onnx-encode.ts";
import { checkGraph } from "../../checkpoint/onnx-graph.ts";
import { tensorOf } from "../../checkpoint/onnx-tensor.ts";
import { UnseenError } from "../../errors.ts";
import { probeSizes } from "./sizes.ts";
import { kindOfInput, traceGraph } from "./trace.ts";
import { freeName } from "./untie.ts";

/** What leaves the client: pixels as they are, features of the first layer, or patches. */
export type InputMode = "clear" | "client-stem" | "patches";

/** A model in two parts. */
export interface Cut {
  /** What the host computes. */
  readonly host: OnnxModel;
  /** What the client computes: a model file. */
  readonly stem: Uint8Array;
  /** Names of the values that go from one to the other. */
  readonly frontier: readonly string[];
}

/** First layers: products with stored weights. */
const LAYERS = new Set(["Conv", "Gemm", "MatMul"]);

/** Cuts a model for an input mode. Throws `USAGE` for a model that has no such place. */
export function cutModel(model: OnnxModel, mode: Exclude<InputMode, "clear">): Cut {
  const shapes = shapesOf(model);
  const image = model.graph.inputs.find((info) => kindOfInput(info) === "tensor" && (shapes.get(info.name)?.length ?? 0) >= 3);
  if (!image) throw refuse("the model has no picture among its inputs", "Leave out --input; token ids are always permuted.");
  const stem = findStem(model, image.name);
  if (stem.layers.length === 0) throw refuse("no layer with stored weights reads the picture", "Use --input clear.");
  const builder = new Builder(model, image, shapes, stem);
  return mode === "client-stem" ? builder.cutBehindLayers() : builder.cutBeforePatches();
}

function refuse(what: string, hint: string): UnseenError {
  return new UnseenError("USAGE", `--input: ${what}.`, { hint });
}

/** The shape of every value; a name stands for a size that changes with the inputs. */
function shapesOf(model: OnnxModel): Map<string, (number | string)[]> {
  const runs = ([0, 1] as const).map((run) => traceGraph(model, { sizes: probeSizes(run), permuteOnly: true, isometric: () => false }));
  const [first, second] = runs as [(typeof runs)[0], (typeof runs)[0]];
  const shapes = new Map<string, (number | string)[]>();
  for (const [name, { axes }] of first.values) {
    const other = second.values.get(name)?.axes;
    if (!axes || other?.length !== axes.length) continue;
    shapes.set(
      name,
      axes.map(({ size }, axis) => (size === other[axis]!.size ? size : axis === 0 ? "batch" : `${name}.${axis}`)),
    );
  }
  return shapes;
}

interface Layer {
  readonly node: OnnxNode;
  /** The value that leaves it: its result, with a bias that is added apart. */
  readonly output: string;
}

interface Stem {
  /** Values that the client computes: the picture and all that is made of it before the first layers. */
  readonly values: ReadonlySet<string>;
  /** Nodes that make them, without the layers. */
  readonly nodes: readonly OnnxNode[];
  readonly layers: readonly Layer[];
}

/** All that depends on the picture and constants alone, up to the first layers. */
function findStem(model: OnnxModel, image: string): Stem {
  const order = checkGraph(model.graph);
  const constants = new Set<string>([...model.graph.initializers.keys(), ""]);
  /** Sizes, and what is computed from them. */
  const sizes = new Set<string>();
  const values = new Set([image]);
  const nodes: OnnxNode[] = [];
  const layers: Layer[] = [];
  for (const node of order) {
    if (node.inputs.every((name) => constants.has(name))) {
      for (const name of node.outputs) constants.add(name);
      continue;
    }
    if (!node.inputs.every((name) => values.has(name) || sizes.has(name) || constants.has(name))) continue;
    if (node.operator === "Shape" || node.operator === "Size" || !node.inputs.some((name) => values.has(name))) {
      for (const name of node.outputs) sizes.add(name);
      continue;
    }
    if (LAYERS.has(node.operator) && node.domain === "" && values.has(node.inputs[0] as string)) {
      const result = node.outputs[0] as string;
      const readers = order.filter(({ inputs }) => inputs.includes(result));
      const [only] = readers;
      const isBias =
        readers.length === 1 && only?.operator === "Add" && only.inputs.every((name) => name === result || constants.has(name));
      layers.push({ node, output: isBias ? (only.outputs[0] as string) : result });
    } else {
      nodes.push(node);
      for (const name of node.outputs) values.add(name);
    }
  }
  return { values, nodes, layers };
}

/** Builds the two halves. */
class Builder {
  readonly #model: OnnxModel;
  readonly #image: OnnxValueInfo;
  readonly #shapes: ReadonlyMap<string, readonly (number | string)[]>;
  readonly #stem: Stem;

  constructor(model: OnnxModel, image: OnnxValueInfo, shapes: ReadonlyMap<string, readonly (number | string)[]>, stem: Stem) {
    this.#model = model;
    this.#image = image;
    this.#shapes = shapes;
    this.#stem = stem;
  }

  cutBehindLayers(): Cut {
    const frontier = [...new Set(this.#stem.layers.map(({ output }) => output))];
    const graph = this.#model.graph;
    return this.#join(frontier, graph.nodes, graph.initializers, graph.nodes, graph.initializers);
  }

  cutBeforePatches(): Cut {
    const [layer, ...others] = this.#stem.layers as [Layer, ...Layer[]];
    if (others.length > 0) throw refuse("several layers read the picture", "Use --input client-stem.");
    return layer.node.operator === "Conv" ? this.#cutConvolution(layer.node) : this.#cutProduct(layer.node);
  }

  /** A layer that multiplies patches with a matrix: they only have to be sent. */
  #cutProduct(node: OnnxNode): Cut {
    const patches = node.inputs[0] as string;
    const shape = this.#shapes.get(patches);
    if (node.operator !== "MatMul" || shape?.length !== 3 || patches === this.#image.name)
      throw refuse("the first layer does not take patches", "Use --input client-stem.");
    const graph = this.#model.graph;
    return this.#join([patches], graph.nodes, graph.initializers, graph.nodes, graph.initializers);
  }

  /** A convolution whose windows do not overlap is a matrix over patches. */
  #cutConvolution(node: OnnxNode): Cut {
    const { graph } = this.#model;
    const weight = graph.initializers.get(node.inputs[1] as string);
    const picture = this.#shapes.get(node.inputs[0] as string);
    const result = this.#shapes.get(node.outputs[0] as string);
    if (!weight || !picture || !result || weight.shape.length !== 4 || !isPatching(node, weight.shape))
      throw refuse("the first layer looks at overlapping windows, not patches", "Use --input client-stem.");
    const [filters, channels, high, wide] = weight.shape as [number, number, number, number];
    const [rows, columns] = [result[2], result[3]];
    if (typeof rows !== "number" || typeof columns !== "number")
      throw refuse("the picture's size is open", "Export the model with a fixed size.");
    const length = channels * high * wide;
    const name = `${this.#image.name}_patches`;
    const shapeTensor = (label: string, sizes: readonly number[]): OnnxTensor =>
      tensorOf(`${name}_${label}`, "int64", [sizes.length], new Uint8Array(BigInt64Array.from(sizes, BigInt).buffer));

    const cutting = [shapeTensor("windows", [-1, channels, rows, high, columns, wide]), shapeTensor("rows", [-1, rows * columns, length])];
    const stemNodes = [
      ...graph.nodes,
      onnxNode("Reshape", [node.inputs[0] as string, cutting[0]!.name], [`${name}_a`]),
      onnxNode("Transpose", [`${name}_a`], [`${name}_b`], { perm: { kind: "ints", value: [0, 2, 4, 1, 3, 5] } }),
      onnxNode("Reshape", [`${name}_b`, cutting[1]!.name], [name]),
    ];
    const matrix = tensorOf(`${name}_weight`, weight.type, [length, filters], transposed(weight.read(), filters, length));
    const bias = node.inputs[2];
    const product = bias ? `${name}_product` : `${name}_embedded`;
    const flat = this.#flattening(node.outputs[0] as string, [rows * columns, filters]);
    const replacing = [
      onnxNode("MatMul", [name, matrix.name], [product]),
      ...(bias ? [onnxNode("Add", [product, bias], [`${name}_embedded`])] : []),
    ];
    const back = shapeTensor("picture", [-1, filters, rows, columns]);
    const hostNodes = graph.nodes.flatMap((each): OnnxNode[] => {
      if (each === node)
        return [
          ...replacing,
          onnxNode("Transpose", [`${name}_embedded`], [`${name}_c`], { perm: { kind: "ints", value: [0, 2, 1] } }),
          onnxNode("Reshape", [`${name}_c`, back.name], [...node.outputs]),
        ];
      // Flattened and transposed again at once: the rows are there already.
      return flat && each.outputs[0] === flat ? [onnxNode("Identity", [`${name}_embedded`], [flat])] : [each];
    });
    const own = new Map([...cutting, matrix, back].map((tensor) => [tensor.name, tensor]));
    const initializers = new Map([...graph.initializers, ...own]);
    const shapes = new Map(this.#shapes).set(name, ["batch", rows * columns, length]);
    return new Builder(this.#model, this.#image, shapes, this.#stem).#join([name], stemNodes, initializers, hostNodes, initializers);
  }

  /** The value, if any, that is a convolution's result as rows of patches: (batch, patches, filters). */
  #flattening(result: string, [patches, filters]: readonly [number, number]): string | null {
    const readersOf = (name: string): OnnxNode[] =>
      this.#model.graph.nodes.filter(({ inputs, operator }) => inputs[0] === name && operator !== "Shape");
    const [flatten, ...others] = readersOf(result);
    if (!flatten || others.length > 0 || (flatten.operator !== "Reshape" && flatten.operator !== "Flatten")) return null;
    const shape = this.#shapes.get(flatten.outputs[0] as string);
    if (shape?.length !== 3 || shape[1] !== filters || shape[2] !== patches) return null;
    const [transpose, ...more] = readersOf(flatten.outputs[0] as string);
    const order = transpose?.attributes.get("perm");
    if (transpose?.operator !== "Transpose" || more.length > 0 || order?.kind !== "ints" || order.value.join() !== "0,2,1") return null;
    return transpose.outputs[0] as string;
  }

  /** Two models that meet in the frontier. */
  #join(
    frontier: readonly string[],
    stemNodes: readonly OnnxNode[],
    stemTensors: ReadonlyMap<string, OnnxTensor>,
    hostNodes: readonly OnnxNode[],
    hostTensors: ReadonlyMap<string, OnnxTensor>,
  ): Cut {
    const { graph, opsets, irVersion } = this.#model;
    // The host sees these names: an exporter's own would tell it which model this is.
    const ends = new Set(graph.outputs.map(({ name }) => name));
    const names = new Map(
      frontier.map((name, i) => [name, ends.has(name) ? name : freeName(graph, i === 0 ? "features" : `features_${i + 1}`)]),
    );
    const rename = (name: string): string => names.get(name) ?? name;
    const renamed = (node: OnnxNode): OnnxNode =>
      [...node.inputs, ...node.outputs].some((name) => names.has(name))
        ? { ...node, inputs: node.inputs.map(rename), outputs: node.outputs.map(rename) }
        : node;
    const infos = frontier.map((name): OnnxValueInfo => ({
      name: rename(name),
      type: this.#image.type,
      shape: this.#shapes.get(name) ?? null,
    }));
    if (infos.some(({ shape }) => shape === null))
      throw refuse("the shape of the first layer's result is open", "Export the model with a fixed size.");
    const build = (
      inputs: readonly OnnxValueInfo[],
      outputs: readonly OnnxValueInfo[],
      nodes: readonly OnnxNode[],
      tensors: ReadonlyMap<string, OnnxTensor>,
    ): Uint8Array => {
      const needed = neededFor(nodes.map(renamed), outputs, new Set(inputs.map(({ name }) => name)));
      const read = new Set(needed.flatMap((node) => node.inputs));
      return encodeOnnx({
        nodes: needed,
        initializers: new Map([...tensors].filter(([name]) => read.has(name))),
        inputs,
        outputs,
        irVersion: Math.max(irVersion, 4),
        opsets,
      });
    };
    const others = graph.inputs.filter(({ name }) => name !== this.#image.name);
    const { nodes, tensors } = this.#withoutPicture(hostNodes, frontier);
    const host = build([...infos, ...others], graph.outputs, nodes, new Map([...hostTensors, ...tensors]));
    return { host: decodeOnnx(host), stem: build([this.#image], infos, stemNodes, stemTensors), frontier: [...names.values()] };
  }

  /** Questions for the shape of what the host no longer has are answered from the frontier: all sizes but the batch are fixed. */
  #withoutPicture(nodes: readonly OnnxNode[], frontier: readonly string[]): { nodes: OnnxNode[]; tensors: Map<string, OnnxTensor> } {
    const [source] = frontier as [string];
    const tensors = new Map<string, OnnxTensor>();
    const constant = (name: string, values: readonly number[]): string => {
      tensors.set(name, tensorOf(name, "int64", [values.length], new Uint8Array(BigInt64Array.from(values, BigInt).buffer)));
      return name;
    };
    const gone = new Set([...this.#stem.values, ...this.#stem.layers.flatMap(({ node }) => node.outputs)]);
    for (const name of frontier) gone.delete(name);
    const replaced = nodes.flatMap((node, index): OnnxNode[] => {
      if (node.operator !== "Shape" || !gone.has(node.inputs[0] as string) || node.attributes.size > 0) return [node];
      const shape = this.#shapes.get(node.inputs[0] as string) ?? [];
      if (shape.slice(1).some((size) => typeof size !== "number")) return [node];
      const label = (suffix: string): string => `shape_${index}_${suffix}`;
      const rest = shape.slice(1) as number[];
      return [
        onnxNode("Shape", [source], [label("all")]),
        onnxNode("Slice", [label("all"), constant(label("from"), [0]), constant(label("to"), [1])], [label("batch")]),
        onnxNode("Concat", rest.length > 0 ? [label("batch"), constant(label("rest"), rest)] : [label("batch")], [...node.outputs], {
          axis: { kind: "int", value: 0 },
        }),
      ];
    });
    return { nodes: replaced, tensors };
  }
}

function isPatching(node: OnnxNode, [, , high, wide]: readonly number[]): boolean {
  const ints = (name: string): readonly number[] | undefined => {
    const attribute = node.attributes.get(name);
    return attribute?.kind === "ints" ? attribute.value : undefined;
  };
  const group = node.attributes.get("group");
  const padding = node.attributes.get("auto_pad");
  return (
    ints("strides")?.join() === `${high},${wide}` &&
    (ints("pads") ?? []).every((amount) => amount === 0) &&
    (ints("dilations") ?? []).every((step) => step === 1) &&
    (group?.kind !== "int" || group.value === 1) &&
    (padding?.kind !== "string" || /^(?:NOTSET|VALID)$/.test(Buffer.from(padding.value).toString("latin1")))
  );
}

/** A stored matrix `(rows, columns)` with its axes exchanged, element by element. */
function transposed(bytes: Uint8Array, rows: number, columns: number): Uint8Array {
  const width = bytes.length / (rows * columns);
  const result = new Uint8Array(bytes.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const from = (row * columns + column) * width;
      result.set(bytes.subarray(from, from + width), (column * rows + row) * width);
    }
  }
  return result;
}

/** The nodes that outputs need, given some values, in their order. */
function neededFor(nodes: readonly OnnxNode[], outputs: readonly OnnxValueInfo[], given: ReadonlySet<string>): OnnxNode[] {
  const makers = new Map(nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const needed = new Set<OnnxNode>();
  const open = outputs.map(({ name }) => name);
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const maker = given.has(name) ? undefined : makers.get(name);
    if (!maker || needed.has(maker)) continue;
    needed.add(maker);
    open.push(...maker.inputs);
  }
  return nodes.filter((node) => needed.has(node));
}
