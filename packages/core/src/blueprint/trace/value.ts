/**
 * A value of a graph while it is traced.
 * @module
 */
import type { Known } from "./known.ts";
import type { AxisPlace } from "./laws.ts";
import { Space } from "./space.ts";

/** Where a value comes from. */
export type Origin =
  /** Given by whoever runs the model. */
  | "input"
  /** Stored numbers that encryption may rewrite. */
  | "parameter"
  | "computed";

/** The space of the numbers inside an integer tensor: ids, and where they come from. */
export class IdSpace {
  /** Graph input that the ids enter by. */
  readonly input: string;
  /** The axis they index; null until a table is found. */
  space: Space | null = null;
  /** Why they cannot be permuted, once something else than a table reads them. */
  exposed: string | null = null;
  /** Constants that are compared with these ids: index of the node, of its input. */
  readonly comparisons: { node: number; input: number }[] = [];
  /** ArgMax nodes over these ids: the place of the highest id, by index of the node. */
  readonly peaks: number[] = [];

  /** Something turned their order round. */
  reordered = false;
  readonly #shape: readonly number[];

  constructor(input: string, shape: readonly number[]) {
    this.input = input;
    this.#shape = shape;
  }

  /** Whether a value of ids has the shape they came in: then it holds all of them in their order. */
  isWhole(axes: readonly Space[]): boolean {
    return !this.reordered && axes.length === this.#shape.length && axes.every(({ size }, axis) => size === this.#shape[axis]);
  }

  expose(reason: string): void {
    this.exposed ??= reason;
    this.space?.freeze(reason);
  }

  index(axis: Space): void {
    if (this.exposed !== null) axis.freeze(this.exposed);
    if (this.space === null) this.space = axis;
    else if (this.space.size === axis.size) this.space.unify(axis);
    else {
      axis.freeze("the same ids index tables of different lengths");
      this.expose("the same ids index tables of different lengths");
    }
  }
}

export class Value {
  readonly name: string;
  readonly origin: Origin;
  /** One space per axis; null where the shape cannot be told. */
  readonly axes: readonly Space[] | null;
  /** Its content, where that is known without running the model. */
  readonly known: Known | null;
  readonly ids: IdSpace | null;

  constructor(name: string, axes: readonly Space[] | null, options: { origin?: Origin; known?: Known | null; ids?: IdSpace | null } = {}) {
    this.name = name;
    this.axes = axes;
    this.origin = options.origin ?? "computed";
    this.known = options.known ?? null;
    this.ids = options.ids ?? null;
  }

  get shape(): readonly number[] {
    return (this.axes ?? []).map(({ size }) => size);
  }

  /** One axis; negative counts from the last. @throws RangeError outside */
  axis(index: number): AxisPlace {
    const axis = index < 0 ? index + (this.axes?.length ?? 0) : index;
    const space = this.axes?.[axis];
    if (!space) throw new RangeError(`axis ${index} of a value of rank ${this.axes?.length ?? 0}`);
    return { value: this.name, axis, space };
  }

  get places(): AxisPlace[] {
    return (this.axes ?? []).map((space, axis) => ({ value: this.name, axis, space }));
  }

  /** Whether every element is the same number, so that the value acts as a scalar. */
  get uniform(): number | null {
    const data = this.known?.data;
    if (!data || data.length === 0 || this.origin === "parameter") return null;
    const [first] = data;
    return data.every((number) => Object.is(number, first)) ? (first as number) : null;
  }
}
