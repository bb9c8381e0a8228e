/**
 * How an operator is described: which axes hold the same coordinates, and which maps pass.
 * @module
 */
import type { OnnxAttribute, OnnxNode } from "../../checkpoint/onnx.ts";
import type { Known } from "./known.ts";
import type { AxisPlace, Laws, Strictness } from "./laws.ts";
import type { Space } from "./space.ts";
import type { IdSpace, Value } from "./value.ts";

/** Thrown inside a description where the operator or this use of it is not covered: its axes are then frozen. */
export class Opaque extends Error {}

/** An operator in the two passes of the tracer. */
export interface Operator {
  /** First pass, in topological order: the axes of the outputs, and which axes are one space. Throws `Opaque`. */
  align(step: Step): void;
  /** Second pass, when all structure is known: the laws between the maps. */
  law(step: Step, laws: Laws): void;
}

/** Axes of one value that are followed (CWE-770). */
const MAXIMUM_RANK = 64;

/** One node with its values. */
export class Step {
  readonly node: OnnxNode;
  /** Index of the node in file order. */
  readonly index: number;
  readonly opset: number;
  readonly inputs: readonly (Value | null)[];
  readonly results: (Result | null)[];
  /** Inputs that the operator's description has looked at as data. */
  readonly seen = new Set<number>();

  constructor(node: OnnxNode, index: number, opset: number, inputs: readonly (Value | null)[]) {
    this.node = node;
    this.index = index;
    this.opset = opset;
    this.inputs = inputs;
    this.results = node.outputs.map(() => null);
  }

  /** A required input with a known rank. */
  input(index: number): Value & { readonly axes: readonly Space[] } {
    const value = this.inputs[index];
    this.seen.add(index);
    if (!value) throw new Opaque(`input ${index} is missing`);
    if (!value.axes) throw new Opaque("the shape of an input is unknown");
    return value as Value & { readonly axes: readonly Space[] };
  }

  /** An input that may be left out. */
  optional(index: number): (Value & { readonly axes: readonly Space[] }) | null {
    return this.inputs[index] ? this.input(index) : null;
  }

  /** All inputs. */
  get all(): (Value & { readonly axes: readonly Space[] })[] {
    return this.inputs.flatMap((value, index) => (value ? [this.input(index)] : []));
  }

  /** In the second pass: an output value that exists. */
  output(index = 0): Value {
    const value = this.results[index]?.value;
    if (!value) throw new Opaque("an output is missing");
    return value;
  }

  /** In the second pass: an output, or null where nobody asked for it. */
  maybeOutput(index: number): Value | null {
    return this.results[index]?.value ?? null;
  }

  /** In the first pass: gives an output its axes. */
  give(index: number, axes: readonly Space[], extra: { known?: Known | null; ids?: IdSpace | null } = {}): void {
    if (axes.length > MAXIMUM_RANK) throw new Opaque(`a result of ${axes.length} axes`);
    if (index < this.results.length) this.results[index] = { axes, known: extra.known ?? null, ids: extra.ids ?? null, value: null };
  }

  /** A whole-number attribute. */
  int(name: string): number | undefined;
  int(name: string, fallback: number): number;
  int(name: string, fallback?: number): number | undefined {
    const attribute = this.#attribute(name, "int");
    return attribute ? (attribute.value as number) : fallback;
  }

  ints(name: string): readonly number[] | undefined {
    const attribute = this.#attribute(name, "ints");
    return attribute && (attribute.value as number[]);
  }

  text(name: string, fallback = ""): string {
    const attribute = this.#attribute(name, "string");
    return attribute ? Buffer.from(attribute.value as Uint8Array).toString("latin1") : fallback;
  }

  number(name: string): number | undefined {
    const attribute = this.node.attributes.get(name);
    return attribute?.kind === "float" || attribute?.kind === "int" ? attribute.value : undefined;
  }

  #attribute(name: string, kind: OnnxAttribute["kind"]): { readonly value: unknown } | undefined {
    const attribute = this.node.attributes.get(name);
    if (attribute && attribute.kind !== kind) throw new Opaque(`attribute ${name} is not of kind ${kind}`);
    return attribute as { readonly value: unknown } | undefined;
  }

  /** The whole numbers of an attribute or, in newer operator sets, of an input. Undefined where neither is given. */
  wholeNumbers(attribute: string, input: number): readonly number[] | undefined {
    const given = this.ints(attribute);
    if (given) return given;
    const value = this.inputs[input];
    if (!value) return undefined;
    if (!value.known) throw new Opaque(`its ${attribute} depend on the data`);
    return [...value.known.data];
  }

  /** Freezes axes with this operator as the reason. */
  freeze(axes: readonly Space[], why: string): void {
    for (const axis of axes) axis.freeze(`${this.node.operator}: ${why}`);
  }
}

/** What the first pass found out about an output. */
export interface Result {
  readonly axes: readonly Space[] | null;
  readonly known: Known | null;
  readonly ids: IdSpace | null;
  value: Value | null;
}

/** Restricts every axis of a value. */
export function restrictAll(laws: Laws, value: Value, strictness: Strictness, except: readonly number[] = []): void {
  for (const place of value.places) if (!except.includes(place.axis)) laws.restrict(place, strictness);
}

/** A negative axis counted from the last. @throws Opaque outside the rank */
export function normalAxis(axis: number, rank: number): number {
  const normal = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(normal) || normal < 0 || normal >= rank) throw new Opaque(`axis ${axis} lies outside rank ${rank}`);
  return normal;
}

/** The input axis that lies under an output axis by NumPy's rules; null where the input is broadcast. */
export function under(value: Value, axis: number, rank: number): AxisPlace | null {
  const index = axis - (rank - (value.axes?.length ?? 0));
  if (index < 0) return null;
  const place = value.axis(index);
  return place.space.size === 1 ? null : place;
}
