/**
 * One operator on known inputs, as its evaluator sees it: attributes and inputs with the checks that hostile files need.
 * @module
 */
import { malformed, quote } from "../../checkpoint/checks.ts";
import { elementNumber } from "../../checkpoint/onnx-types.ts";
import type { OnnxAttribute, OnnxTensor, OnnxType } from "../../checkpoint/onnx.ts";
import { KNOWN_RANK_LIMIT, type Known } from "./known-tensor.ts";

/** What {@link Case} needs of a node; an `OnnxNode` fits. `outputs` counts only where an operator has as many as its node names. */
export interface EvaluatedNode {
  readonly operator: string;
  readonly domain: string;
  readonly attributes: ReadonlyMap<string, OnnxAttribute>;
  readonly outputs?: readonly string[];
}

/** The outputs of an operator; a single one may stand alone; null where the case is not covered. */
export type Evaluator = (the: Case) => Known | Known[] | null;

/** One operator on known inputs. All readers throw `CHECKPOINT_MALFORMED` naming the operator. */
export class Case {
  readonly operator: string;
  readonly inputs: readonly (Known | null)[];
  readonly opset: number;
  /** Outputs that the node names; null where the caller did not say. */
  readonly outputs: number | null;
  readonly #attributes: ReadonlyMap<string, OnnxAttribute>;

  constructor(node: EvaluatedNode, inputs: readonly (Known | null)[], opset: number) {
    this.operator = node.operator;
    this.inputs = inputs;
    this.opset = opset;
    this.outputs = node.outputs?.length ?? null;
    this.#attributes = node.attributes;
  }

  has(name: string): boolean {
    return this.#attributes.has(name);
  }

  /** The operator contradicts itself. */
  malformed(message: string): Error {
    return malformed(`${this.operator}: ${message}`, "The exporter wrote an operator that no runtime accepts; export the model again.");
  }

  /** Input `index`, which the operator cannot do without. */
  input(index: number): Known {
    const known = this.inputs[index];
    if (known === null || known === undefined) throw this.malformed(`expected an input ${index}, got ${this.inputs.length} inputs.`);
    return known;
  }

  /** Input `index`, or null where it is omitted. */
  optional(index: number): Known | null {
    return this.inputs[index] ?? null;
  }

  /** An integer attribute; `fallback` where it is absent. */
  integer<T>(name: string, fallback: T): number | T {
    const attribute = this.#attributes.get(name);
    if (attribute === undefined) return fallback;
    if (attribute.kind !== "int") throw this.#wrongKind(name, "an integer", attribute);
    return attribute.value;
  }

  /** A float attribute; `fallback` where it is absent. */
  float<T>(name: string, fallback: T): number | T {
    const attribute = this.#attributes.get(name);
    if (attribute === undefined) return fallback;
    if (attribute.kind !== "float") throw this.#wrongKind(name, "a float", attribute);
    return attribute.value;
  }

  /** A list of integers, or null where it is absent. */
  integers(name: string): readonly number[] | null {
    const attribute = this.#attributes.get(name);
    if (attribute === undefined) return null;
    if (attribute.kind !== "ints") throw this.#wrongKind(name, "integers", attribute);
    return attribute.value;
  }

  /** A list of floats, or null where it is absent. */
  floats(name: string): readonly number[] | null {
    const attribute = this.#attributes.get(name);
    if (attribute === undefined) return null;
    if (attribute.kind !== "floats") throw this.#wrongKind(name, "floats", attribute);
    return attribute.value;
  }

  /** A tensor attribute, or null where it is absent. */
  tensor(name: string): OnnxTensor | null {
    const attribute = this.#attributes.get(name);
    if (attribute === undefined) return null;
    if (attribute.kind !== "tensor") throw this.#wrongKind(name, "a tensor", attribute);
    return attribute.value;
  }

  /** A text attribute, or `fallback` where it is absent. */
  text(name: string, fallback: string): string {
    const attribute = this.#attributes.get(name);
    if (attribute === undefined) return fallback;
    if (attribute.kind !== "string") throw this.#wrongKind(name, "a string", attribute);
    return new TextDecoder().decode(attribute.value);
  }

  /**
   * Integers that older operator sets hold in the attribute `name` and newer ones in input `index`; null where neither is there.
   */
  list(name: string, index: number): readonly number[] | null {
    const attribute = this.integers(name);
    if (attribute !== null) return attribute;
    const known = this.optional(index);
    if (known === null) return null;
    if (known.shape.length > 1 || (known.type !== "int64" && known.type !== "int32"))
      throw this.malformed(`expected integers in input ${index}, got ${known.type} of shape [${known.shape}].`);
    return Array.from(known.data);
  }

  /** {@link list} of an operator that cannot do without. */
  requiredList(name: string, index: number): readonly number[] {
    const list = this.list(name, index);
    if (list === null) throw this.malformed(`expected integers in input ${index}, which is missing.`);
    return list;
  }

  /** The only number of input `index`, or null where the input is omitted. */
  only(index: number): number | null {
    const known = this.optional(index);
    if (known === null) return null;
    if (known.data.length !== 1) throw this.malformed(`expected one number in input ${index}, got shape [${known.shape}].`);
    return known.data[0]!;
  }

  #wrongKind(name: string, expected: string, attribute: OnnxAttribute): Error {
    return this.malformed(`attribute ${quote(name)}: expected ${expected}, got ${attribute.kind}.`);
  }
}

/** Whether a list can name axes or sizes of a tensor that is followed. */
export function isShort(list: readonly number[]): boolean {
  return list.length <= KNOWN_RANK_LIMIT;
}

const followed: readonly OnnxType[] = [
  "float32",
  "float64",
  "float16",
  "bfloat16",
  "int8",
  "uint8",
  "int16",
  "uint16",
  "int32",
  "uint32",
  "int64",
  "uint64",
  "bool",
];
const types: ReadonlyMap<number, OnnxType> = new Map(followed.map((type) => [elementNumber(type, type), type]));

/** The type of a `TensorProto.DataType` number; null for those whose content is not followed. */
export function typeOfNumber(number: number): OnnxType | null {
  return types.get(number) ?? null;
}
