/**
 * For tests: builds ONNX graphs node by node, in the forms that exporters of every operator set use.
 * @module
 */
import { deriveRandom, type RandomStream } from "../../algebra/random.ts";
import { encodeOnnx, onnxNode, type OnnxParts } from "../../checkpoint/onnx-encode.ts";
import { tensorOf } from "../../checkpoint/onnx-tensor.ts";
import type { OnnxAttribute, OnnxGraph, OnnxNode, OnnxTensor, OnnxType, OnnxValueInfo } from "../../checkpoint/onnx.ts";

/** A size, or the name of an open one. */
export type Dimension = number | string;

/** A value of the graph that is being built. */
export interface Drawn {
  readonly name: string;
  readonly shape: readonly Dimension[];
}

/** An attribute as a test writes it: a number is an integer, a list one of integers. */
export type Attribute =
  | number
  | string
  | readonly number[]
  | { readonly float: number }
  | { readonly floats: readonly number[] }
  | OnnxGraph;

/** What the numbers of a graph input are. */
export type InputContent =
  | { readonly kind: "numbers" }
  | { readonly kind: "ids"; readonly below: number; readonly type: "int64" | "int32" }
  | { readonly kind: "mask" | "segments" | "positions"; readonly type: "int64" | "int32" };

/** Numbers for one input. */
export interface Feed {
  readonly type: "float32" | "int64" | "int32";
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

/** Sizes of the open dimensions. */
export type OpenSizes = Readonly<Record<string, number>>;

/** A random number generator with the choices that drawing a graph needs. */
export class Dice {
  readonly #random: RandomStream;

  constructor(seed: number, label = "graph") {
    const secret = new Uint8Array(32);
    new DataView(secret.buffer).setUint32(0, seed);
    this.#random = deriveRandom(secret, label);
  }

  below(count: number): number {
    return this.#random.below(count);
  }

  /** A whole number in [low, high]. */
  between(low: number, high: number): number {
    return low + this.#random.below(high - low + 1);
  }

  chance(probability: number): boolean {
    return this.#random.uniform() < probability;
  }

  uniform(low: number, high: number): number {
    return low + (high - low) * this.#random.uniform();
  }

  gaussian(): number {
    return this.#random.gaussian();
  }

  pick<T>(list: readonly T[]): T {
    return list[this.#random.below(list.length)] as T;
  }

  shuffled<T>(list: readonly T[]): T[] {
    return list
      .map((item) => ({ item, key: this.#random.uniform() }))
      .toSorted((a, b) => a.key - b.key)
      .map(({ item }) => item);
  }
}

export const MICROSOFT = "com.microsoft";
/** Stands for the greatest 64-bit integer, which exporters write for a slice without an end. */
const TO_THE_END = Number.MAX_SAFE_INTEGER;
const OPERATOR_SETS = [11, 12, 13, 14, 17, 18, 20, 21] as const;

/** Product of numeric sizes. */
export function elements(shape: readonly Dimension[]): number {
  return shape.reduce<number>((product, size) => product * (typeof size === "number" ? size : 1), 1);
}

/** A shape whose last axis has another size. */
export function withLast(shape: readonly Dimension[], size: Dimension): Dimension[] {
  return [...shape.slice(0, -1), size];
}

/** Builds one graph. */
export class GraphBuilder {
  readonly dice: Dice;
  readonly opset: number;
  readonly inputs: { readonly info: OnnxValueInfo; readonly content: InputContent }[] = [];
  readonly #nodes: OnnxNode[] = [];
  readonly #numbers = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  readonly #others = new Map<string, OnnxTensor>();
  readonly #constants: { readonly output: string; readonly tensor: string }[] = [];
  readonly #infos = new Map<string, OnnxValueInfo>();
  readonly #weights: Drawn[] = [];
  /** All results of nodes, in order. */
  readonly made: Drawn[] = [];
  readonly outputs: { readonly value: Drawn; readonly type: OnnxType }[] = [];
  #count = 0;

  constructor(dice: Dice, opset: number = dice.pick(OPERATOR_SETS)) {
    this.dice = dice;
    this.opset = opset;
  }

  /** A name that is not taken. */
  fresh(stem: string): string {
    return `${stem}_${this.#count++}`;
  }

  input(name: string, shape: readonly Dimension[], content: InputContent = { kind: "numbers" }): Drawn {
    const type = content.kind === "numbers" ? "float32" : content.type;
    this.inputs.push({ info: { name, type, shape }, content });
    return { name, shape };
  }

  output(value: Drawn, type: OnnxType = "float32"): void {
    if (this.outputs.some((other) => other.value.name === value.name)) return;
    this.outputs.push({ value, type });
  }

  /** A node with several results. */
  nodes(
    operator: string,
    inputs: readonly (Drawn | null)[],
    shapes: readonly (readonly Dimension[])[],
    attributes: Readonly<Record<string, Attribute>> = {},
    domain = "",
  ): Drawn[] {
    const outputs = shapes.map((shape): Drawn => ({ name: this.fresh(operator.toLowerCase()), shape }));
    this.made.push(...outputs);
    const names = inputs.map((input) => input?.name ?? "");
    while (names.at(-1) === "") names.pop();
    const given = Object.fromEntries(Object.entries(attributes).map(([name, value]) => [name, toAttribute(value)]));
    this.#nodes.push(
      onnxNode(
        operator,
        names,
        outputs.map(({ name }) => name),
        given,
        { name: this.fresh("node"), domain },
      ),
    );
    return outputs;
  }

  /** A node with one result. */
  node(
    operator: string,
    inputs: readonly (Drawn | null)[],
    shape: readonly Dimension[],
    attributes: Readonly<Record<string, Attribute>> = {},
    domain = "",
  ): Drawn {
    return this.nodes(operator, inputs, [shape], attributes, domain)[0] as Drawn;
  }

  /** States the shape of a value, as exporters do. */
  describe(value: Drawn, type: OnnxType = "float32"): Drawn {
    this.#infos.set(value.name, { name: value.name, type, shape: value.shape });
    return value;
  }

  /** Stored numbers, as an initializer or a `Constant` node. */
  stored(shape: readonly number[], data: ArrayLike<number>): Drawn {
    const name = this.fresh("w");
    this.#numbers.set(name, { shape, data: Float32Array.from(data) });
    if (!this.dice.chance(0.15)) return { name, shape };
    const output = this.fresh("constant");
    this.#constants.push({ output, tensor: name });
    return { name: output, shape };
  }

  /** Stored numbers of another type, as an initializer or a `Constant` node. */
  #other(type: "int64" | "int32" | "int8" | "uint8" | "bool", shape: readonly number[], data: readonly number[]): Drawn {
    const name = this.fresh("c");
    const bytes =
      type === "int64"
        ? new Uint8Array(BigInt64Array.from(data, (value) => (value === TO_THE_END ? 2n ** 63n - 1n : BigInt(value))).buffer)
        : type === "int32"
          ? new Uint8Array(Int32Array.from(data).buffer)
          : type === "int8"
            ? new Uint8Array(Int8Array.from(data).buffer)
            : Uint8Array.from(data);
    this.#others.set(name, tensorOf(name, type, shape, bytes));
    if (!this.dice.chance(0.3)) return { name, shape };
    const output = this.fresh("constant");
    this.#constants.push({ output, tensor: name });
    return { name: output, shape };
  }

  /** Whole numbers: axes, shapes, indices. */
  ints(values: readonly number[], shape: readonly number[] = [values.length], type: "int64" | "int32" = "int64"): Drawn {
    return this.#other(type, shape, values);
  }

  /** Small whole numbers, evenly drawn. */
  bytes(type: "int8" | "uint8", shape: readonly number[], low: number, high: number): Drawn {
    return this.#other(
      type,
      shape,
      Array.from({ length: elements(shape) }, () => this.dice.between(low, high)),
    );
  }

  bools(values: readonly boolean[], shape: readonly number[]): Drawn {
    return this.#other("bool", shape, values.map(Number));
  }

  /** One number; `[1]` where only broadcasting looks at it. */
  scalar(value: number, shape: readonly number[] = this.dice.chance(0.3) ? [1] : []): Drawn {
    return this.stored(shape, [value]);
  }

  /** Random numbers of a standard deviation. */
  gaussian(shape: readonly number[], deviation: number, mean = 0): Drawn {
    return this.stored(
      shape,
      Array.from({ length: elements(shape) }, () => mean + deviation * this.dice.gaussian()),
    );
  }

  /** Random numbers away from 0. */
  positive(shape: readonly number[]): Drawn {
    return this.stored(
      shape,
      Array.from({ length: elements(shape) }, () => this.dice.uniform(0.5, 1.5)),
    );
  }

  /** A weight that sums over `fan` inputs, stored in one of the ways that exporters find. */
  weight(shape: readonly number[], fan: number): Drawn {
    const made = this.#weightForm(shape, 1 / Math.sqrt(Math.max(fan, 1)));
    this.#weights.push(made);
    return made;
  }

  #weightForm(shape: readonly number[], deviation: number): Drawn {
    const { dice } = this;
    const again = this.#weights.filter((other) => other.shape.length === shape.length && other.shape.every((size, i) => size === shape[i]));
    if (again.length > 0 && dice.chance(0.2)) return dice.pick(again);
    if (shape.length === 0 || dice.chance(0.55)) return this.gaussian(shape, deviation);
    const axis = dice.below(shape.length);
    const size = shape[axis] as number;
    switch (dice.below(10)) {
      case 0: {
        const order = dice.shuffled(shape.map((_, i) => i));
        const source = order.map((_, i) => shape[order.indexOf(i)] as number);
        return this.node("Transpose", [this.gaussian(source, deviation)], shape, { perm: order });
      }
      case 1:
        return this.node("Mul", [this.gaussian(shape, deviation), this.scalar(dice.uniform(0.5, 2))], shape);
      case 2:
        return this.reshape(this.gaussian([elements(shape)], deviation), shape);
      case 3:
        return this.#quantised(shape, deviation);
      case 4:
        return this.node("Add", [this.gaussian(shape, deviation / 2), this.gaussian(shape, deviation / 2)], shape);
      case 5: {
        if (size < 2) return this.gaussian(shape, deviation);
        const first = dice.between(1, size - 1);
        const parts = [first, size - first].map((part) => this.gaussian(shape.toSpliced(axis, 1, part), deviation));
        return this.node("Concat", parts, shape, { axis });
      }
      case 6: {
        const [before, after] = [dice.below(3), dice.below(3)];
        const large = this.gaussian(shape.toSpliced(axis, 1, size + before + after), deviation);
        return this.slice(large, axis, before, before + size);
      }
      case 7:
        return this.node("Identity", [this.gaussian(shape, deviation)], shape);
      case 8:
        return this.squeeze(this.gaussian(shape.toSpliced(axis, 0, 1), deviation), [axis]);
      default:
        return this.node("Mul", [this.gaussian(shape, deviation), this.positive(shape.map((each, i) => (i === axis ? each : 1)))], shape);
    }
  }

  #quantised(shape: readonly number[], deviation: number): Drawn {
    const { dice } = this;
    const integers = this.#other(
      "int8",
      shape,
      Array.from({ length: elements(shape) }, () => dice.between(-127, 127)),
    );
    const axis = dice.below(shape.length);
    const perChannel = this.opset >= 13 && dice.chance(0.6);
    const count = perChannel ? (shape[axis] as number) : 1;
    const scaleShape = perChannel ? [count] : [];
    const scale = this.stored(
      scaleShape,
      Array.from({ length: count }, () => (deviation / 64) * dice.uniform(0.5, 1.5)),
    );
    const zero = dice.chance(0.5)
      ? this.#other(
          "int8",
          scaleShape,
          Array.from({ length: count }, () => dice.between(-3, 3)),
        )
      : null;
    return this.node("DequantizeLinear", [integers, scale, zero], shape, perChannel ? { axis } : {});
  }

  /** The size of one axis as the graph computes it: a list of one. */
  size(value: Drawn, axis: number): Drawn {
    const { dice } = this;
    const rank = value.shape.length;
    const whole = this.node("Shape", [value], [rank]);
    if (dice.chance(0.5)) return this.node("Gather", [whole, this.ints([axis])], [1], { axis: 0 });
    if (dice.chance(0.5)) return this.slice(whole, 0, axis, axis + 1);
    return this.unsqueeze(this.node("Gather", [whole, this.ints([axis], [])], []), [0]);
  }

  /** The list of the sizes of a shape; open ones are read off a graph input that has them. */
  shapeList(shape: readonly Dimension[]): Drawn {
    const parts = shape.map((size): Drawn => {
      if (typeof size === "number") return this.ints([size]);
      const names = size.split("*");
      const sizes = names.map((name) => {
        const holder = this.inputs.find(({ info }) => info.shape?.includes(name))!;
        return this.size({ name: holder.info.name, shape: holder.info.shape as readonly Dimension[] }, holder.info.shape!.indexOf(name));
      });
      return sizes.reduce((product, next) => this.node("Mul", [product, next], [1]));
    });
    return parts.length === 1 ? (parts[0] as Drawn) : this.node("Concat", parts, [shape.length], { axis: 0 });
  }

  reshape(value: Drawn, shape: readonly Dimension[]): Drawn {
    const { dice } = this;
    const copies = (size: Dimension, axis: number): boolean => value.shape[axis] === size;
    const missing = shape.filter((size, axis) => typeof size !== "number" && !copies(size, axis));
    if (missing.length > 1 || shape.length === 0 || dice.chance(0.15))
      return this.node("Reshape", [value, shape.length === 0 ? this.ints([]) : this.shapeList(shape)], shape);
    const guessed = missing.length === 1 ? null : dice.chance(0.4) && elements(shape) > 0 ? dice.below(shape.length) : null;
    const sizes = shape.map((size, axis) => {
      if (axis === guessed) return -1;
      if (typeof size === "number") return copies(size, axis) && dice.chance(0.3) ? 0 : size;
      return copies(size, axis) ? 0 : -1;
    });
    return this.node("Reshape", [value, this.ints(sizes)], shape);
  }

  transpose(value: Drawn, order: readonly number[]): Drawn {
    const shape = order.map((axis) => value.shape[axis] as Dimension);
    const isDefault = order.every((axis, i) => axis === order.length - 1 - i);
    return this.node("Transpose", [value], shape, isDefault && this.dice.chance(0.5) ? {} : { perm: order });
  }

  slice(value: Drawn, axis: number, start: number, end: number, step = 1): Drawn {
    const { dice } = this;
    const size = value.shape[axis] as number;
    const length = Math.max(0, Math.ceil((end - start) / step));
    const shape = value.shape.toSpliced(axis, 1, length);
    const named = dice.chance(0.5) ? axis : axis - value.shape.length;
    const from = start > 0 && dice.chance(0.2) ? start - size : start;
    const to = step > 0 && end === size && dice.chance(0.5) ? TO_THE_END : end;
    const lists = [[from], [to], [named], ...(step !== 1 || dice.chance(0.3) ? [[step]] : [])];
    return this.node("Slice", [value, ...lists.map((list) => this.ints(list))], shape);
  }

  /** Equal parts or parts of the given sizes. */
  split(value: Drawn, axis: number, sizes: readonly number[]): Drawn[] {
    const shapes = sizes.map((size) => value.shape.toSpliced(axis, 1, size));
    const equal = sizes.every((size) => size === sizes[0]) && this.dice.chance(0.5);
    if (this.opset < 13) return this.nodes("Split", [value], shapes, equal ? { axis } : { axis, split: sizes });
    if (!equal) return this.nodes("Split", [value, this.ints(sizes)], shapes, { axis });
    return this.nodes("Split", [value], shapes, this.opset >= 18 ? { axis, num_outputs: sizes.length } : { axis });
  }

  concat(values: readonly Drawn[], axis: number): Drawn {
    const total = values.reduce((sum, { shape }) => sum + (shape[axis] as number), 0);
    const shape = values[0]!.shape.toSpliced(axis, 1, total);
    return this.node("Concat", values, shape, { axis: this.dice.chance(0.5) ? axis : axis - shape.length });
  }

  unsqueeze(value: Drawn, axes: readonly number[]): Drawn {
    const shape: Dimension[] = [...value.shape];
    for (const axis of axes.toSorted((a, b) => a - b)) shape.splice(axis, 0, 1);
    return this.#withAxes("Unsqueeze", value, shape, axes);
  }

  squeeze(value: Drawn, axes: readonly number[]): Drawn {
    const shape = value.shape.filter((_, axis) => !axes.includes(axis));
    return this.#withAxes("Squeeze", value, shape, axes);
  }

  #withAxes(operator: string, value: Drawn, shape: readonly Dimension[], axes: readonly number[]): Drawn {
    if (this.opset < 13) return this.node(operator, [value], shape, { axes });
    return this.node(operator, [value, this.ints(axes)], shape);
  }

  reduce(operator: string, value: Drawn, axes: readonly number[], keep: boolean): Drawn {
    const { dice } = this;
    const rank = value.shape.length;
    const shape = value.shape.flatMap((size, axis) => (axes.includes(axis) ? (keep ? [1] : []) : [size]));
    const keepdims: Record<string, number> = keep && dice.chance(0.5) ? {} : { keepdims: Number(keep) };
    const given = axes.map((axis) => (dice.chance(0.5) ? axis : axis - rank));
    if (axes.length === rank && dice.chance(0.5)) return this.node(operator, [value], shape, keepdims);
    const byInput = this.opset >= 18 || (operator === "ReduceSum" && this.opset >= 13);
    if (byInput) return this.node(operator, [value, this.ints(given)], shape, keepdims);
    return this.node(operator, [value], shape, { ...keepdims, axes: given });
  }

  expand(value: Drawn, shape: readonly Dimension[]): Drawn {
    return this.node("Expand", [value, this.shapeList(shape)], shape);
  }

  /** Upper or lower bounds; the lowest operator sets give them as attributes, all of these here as inputs. */
  clip(value: Drawn, low: number | null, high: number | null): Drawn {
    const bound = (limit: number | null): Drawn | null => (limit === null ? null : this.scalar(limit, []));
    return this.node("Clip", [value, bound(low), bound(high)], value.shape);
  }

  /**
   * The bytes of the model.
   *
   * @param jitter disturbs every stored number relatively by about 1e-6: how far results then differ tells how exactly they can be known
   */
  encode(jitter: Dice | null = null): Uint8Array {
    return encodeOnnx(this.parts(jitter));
  }

  /** What {@link encode} encodes. */
  parts(jitter: Dice | null = null): OnnxParts {
    const used = new Set([...this.#nodes.flatMap(({ inputs }) => inputs), ...this.outputs.map(({ value }) => value.name)]);
    const tensors = new Map<string, OnnxTensor>(this.#others);
    for (const [name, { shape, data }] of this.#numbers) {
      const numbers = jitter ? data.map((value) => value * (1 + 1e-6 * jitter.gaussian())) : data;
      tensors.set(name, tensorOf(name, "float32", shape, new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength)));
    }
    const inside = new Set(this.#constants.map(({ tensor }) => tensor));
    const constants = this.#constants
      .filter(({ output }) => used.has(output))
      .map(({ output, tensor }) =>
        onnxNode("Constant", [], [output], { value: { kind: "tensor", value: tensors.get(tensor) as OnnxTensor } }),
      );
    return {
      nodes: [...constants, ...this.#nodes],
      initializers: new Map([...tensors].filter(([name]) => used.has(name) && !inside.has(name))),
      inputs: this.inputs.map(({ info }) => info),
      outputs: this.outputs.map(({ value: { name, shape }, type }) => ({ name, type, shape })),
      values: this.#infos,
      opsets: new Map([["", this.opset], ...(this.#nodes.some(({ domain }) => domain === MICROSOFT) ? ([[MICROSOFT, 1]] as const) : [])]),
    };
  }

  /** `domain:name` of the operators used. */
  operators(): Set<string> {
    return new Set(this.#nodes.map(({ domain, operator }) => (domain === "" ? operator : `${domain}:${operator}`)));
  }

  /** The graph in one line per node, to look at. */
  text(): string {
    const nodes = this.#nodes.map(({ operator, inputs, outputs, attributes }) => {
      const given = [...attributes].map(([name, attribute]) => `${name}=${"value" in attribute ? String(attribute.value) : "?"}`);
      return `${outputs.join(", ")} = ${operator}(${inputs.join(", ")}) ${given.join(" ")}`;
    });
    const stored = [...this.#numbers].map(([name, { shape }]) => `${name}[${shape.join(",")}]`);
    const others = [...this.#others].map(([name, { shape, type }]) => `${name}:${type}[${shape.join(",")}]`);
    const moved = this.#constants.map(({ output, tensor }) => `${output}=${tensor}`);
    const inputs = this.inputs.map(({ info }) => `${info.name}[${info.shape?.join(",")}]`);
    const outputs = this.outputs.map(({ value }) => `${value.name}[${value.shape.join(",")}]`);
    return [`opset ${this.opset}`, ...inputs, ...stored, ...others, ...moved, ...nodes, `-> ${outputs.join(" ")}`].join("\n");
  }

  /** Random numbers for every input. */
  feeds(dice: Dice, sizes: OpenSizes): Record<string, Feed> {
    return Object.fromEntries(
      this.inputs.map(({ info, content }) => {
        const shape = info.shape!.map((size) => (typeof size === "number" ? size : (sizes[size as string] as number)));
        const data = Array.from({ length: elements(shape) }, (_, i) => {
          if (content.kind === "numbers") return Math.fround(dice.gaussian());
          if (content.kind === "ids") return dice.below(content.below);
          if (content.kind === "positions") return i % (shape.at(-1) as number);
          return content.kind === "mask" ? Number(i % (shape.at(-1) as number) === 0 || dice.chance(0.8)) : dice.below(2);
        });
        return [info.name, { type: content.kind === "numbers" ? "float32" : content.type, shape, data }];
      }),
    );
  }
}

function toAttribute(value: Attribute): OnnxAttribute {
  if (typeof value === "number") return { kind: "int", value };
  if (typeof value === "string") return { kind: "string", value: Buffer.from(value) };
  if ("float" in value) return { kind: "float", value: value.float };
  if ("floats" in value) return { kind: "floats", value: value.floats };
  if ("nodes" in value) return { kind: "graph", value };
  return { kind: "ints", value };
}
