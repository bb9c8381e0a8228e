/**
 * Operators that join, cut and pick coordinates.
 * @module
 */
import type { AxisPlace, Laws } from "../laws.ts";
import { normalAxis, Opaque, type Operator, type Step } from "../operator.ts";
import { factors, Space } from "../space.ts";
import type { Value } from "../value.ts";
import { CUT, fill } from "./reshape.ts";

/** Coordinates that an operator drops still have a map; their place in the laws. */
function dropped(step: Step, what: string, space: Space): AxisPlace {
  return { value: `${step.index}#${what}`, axis: 0, space };
}

const concat: Operator = {
  align(step) {
    const { all } = step;
    const [first, ...others] = all;
    if (!first) throw new Opaque("nothing to join");
    const axis = normalAxis(step.int("axis", 0), first.axes.length);
    for (const other of others) {
      if (other.axes.length !== first.axes.length) throw new Opaque("values of unlike rank");
      other.axes.forEach((space, at) => {
        const partner = first.axes[at] as Space;
        if (at === axis) return;
        if (space.size !== partner.size) throw new Opaque("values of unlike sizes");
        partner.unify(space);
      });
    }
    const joined = Space.sum(all.map((value) => value.axes[axis] as Space));
    step.give(
      0,
      first.axes.map((space, at) => (at === axis ? joined : space)),
    );
  },
  law(step, laws) {
    const { all } = step;
    const output = step.output();
    const axis = normalAxis(step.int("axis", 0), output.axes?.length ?? 0);
    output.places.forEach((out, at) => {
      if (at !== axis) for (const value of all) laws.relate(out, value.axis(at));
    });
    laws.relateAll(
      all.map((value) => value.axis(axis)),
      [output.axis(axis)],
    );
  },
};

/** Cuts an axis at ascending places; null where that goes through the parts of a product. */
function cutAt(space: Space, places: readonly number[]): Space[] | null {
  const parts: Space[] = [];
  let rest = space;
  let start = 0;
  for (const place of places) {
    const halves = rest.cut(place - start);
    if (!halves) return null;
    parts.push(halves[0]);
    rest = halves[1];
    start = place;
  }
  return [...parts, rest];
}

function splitSizes(step: Step, size: number): readonly number[] {
  const given = step.wholeNumbers("split", 1);
  if (given) return given;
  const count = step.node.outputs.length;
  if (step.int("num_outputs", count) !== count) throw new Opaque("num_outputs is not the number of its outputs");
  const each = Math.ceil(size / count);
  return Array.from({ length: count }, (_, i) => Math.min(each, size - i * each));
}

const split: Operator = {
  align(step) {
    const input = step.input(0);
    const axis = normalAxis(step.int("axis", 0), input.axes.length);
    const space = input.axes[axis] as Space;
    const sizes = splitSizes(step, space.size);
    if (sizes.some((size) => size < 0) || sizes.reduce((sum, size) => sum + size, 0) !== space.size)
      throw new Opaque("the parts do not add up");
    let end = 0;
    const ends = sizes.slice(0, -1).map((size) => (end += size));
    let parts = cutAt(space, ends);
    if (!parts) {
      step.freeze([space], CUT);
      parts = sizes.map((size) => Space.frozen(size, `Split: ${CUT}`));
    }
    parts.forEach((part, i) =>
      step.give(
        i,
        input.axes.map((own, at) => (at === axis ? part : own)),
        { ids: input.ids },
      ),
    );
  },
  law(step, laws) {
    const input = step.input(0);
    const axis = normalAxis(step.int("axis", 0), input.axes.length);
    const outputs = step.node.outputs.map((_, i) => step.maybeOutput(i));
    for (const output of outputs) {
      output?.places.forEach((place, at) => {
        if (at !== axis) laws.relate(place, input.axis(at));
      });
    }
    if (outputs.every((output) => output !== null)) {
      laws.relateAll(
        [input.axis(axis)],
        outputs.map((output) => output.axis(axis)),
      );
    } else laws.restrict(input.axis(axis), "fixed");
  },
};

interface Range {
  readonly axis: number;
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

/** What a `Slice` keeps of each axis it names, as ONNX clamps it. */
function sliceRanges(step: Step): Range[] {
  const { shape } = step.input(0);
  const starts = step.wholeNumbers("starts", 1);
  const ends = step.wholeNumbers("ends", 2);
  if (!starts || !ends) throw new Opaque("starts or ends are missing");
  const axes = step.wholeNumbers("axes", 3) ?? starts.map((_, i) => i);
  const steps = step.wholeNumbers("steps", 4) ?? starts.map(() => 1);
  return axes.map((given, i): Range => {
    const axis = normalAxis(given, shape.length);
    const size = shape[axis] as number;
    const by = steps[i] ?? 1;
    if (by === 0) throw new Opaque("a step of 0");
    const from = (starts[i] as number) < 0 ? (starts[i] as number) + size : (starts[i] as number);
    const to = (ends[i] as number) < 0 ? (ends[i] as number) + size : (ends[i] as number);
    const clamp = (value: number, low: number, high: number): number => Math.min(Math.max(value, low), high);
    return by > 0
      ? { axis, start: clamp(from, 0, size), end: clamp(to, 0, size), step: by }
      : { axis, start: clamp(from, 0, size - 1), end: clamp(to, -1, size - 1), step: by };
  });
}

/** Keeps `[start, end)` of one axis: [before, kept, after]. */
function keep(step: Step, space: Space, start: number, end: number): Space {
  const parts = cutAt(space, [start, end]);
  if (parts) return parts[1] as Space;
  step.freeze([space], CUT);
  return Space.frozen(end - start, `${step.node.operator}: ${CUT}`);
}

/** Relates an axis with what a slice kept of it. */
function keepLaw(step: Step, laws: Laws, from: AxisPlace, to: AxisPlace | null, start: number, end: number): void {
  const parts = from.space.frozen === null ? cutAt(from.space, [start, end]) : null;
  if (!parts) return;
  const [before, kept, after] = parts as [Space, Space, Space];
  laws.relateAll(
    [from],
    [
      dropped(step, `before${from.axis}`, before),
      to ?? dropped(step, `kept${from.axis}`, kept),
      dropped(step, `after${from.axis}`, after),
    ].filter(({ space }) => space.size > 0),
  );
}

const slice: Operator = {
  align(step) {
    const input = step.input(0);
    const axes = [...input.axes];
    for (const { axis, start, end, step: by } of sliceRanges(step)) {
      const space = axes[axis] as Space;
      if (by === 1) {
        axes[axis] = end <= start ? Space.leaf(0) : keep(step, space, start, end);
        continue;
      }
      const size = Math.max(0, Math.ceil((end - start) / by));
      if (input.ids) input.ids.reordered = true;
      step.freeze([space], "takes every n-th coordinate");
      axes[axis] = Space.frozen(size, "Slice: takes every n-th coordinate");
    }
    step.give(0, axes, { ids: input.ids });
  },
  law(step, laws) {
    const input = step.input(0);
    const ranges = new Map(sliceRanges(step).map((range) => [range.axis, range]));
    step.output().places.forEach((place, axis) => {
      const range = ranges.get(axis);
      if (!range) laws.relate(place, input.axis(axis));
      else if (range.step === 1 && range.end > range.start) keepLaw(step, laws, input.axis(axis), place, range.start, range.end);
    });
  },
};

/** Whether known indices change along one of their axes. */
function isSpread(indices: Value, axis: number): boolean {
  const { shape } = indices;
  const [size, inner] = [shape[axis] as number, shape.slice(axis + 1).reduce((product, each) => product * each, 1)];
  const data = indices.known?.data ?? [];
  return size > 1 && !Array.from(data).every((value, i) => value === data[i - (Math.floor(i / inner) % size) * inner]);
}

/**
 * Known indices that list all places of an axis once, in order, over several axes of their own and again along others: a reshape
 * in disguise, as exporters write masks. The sizes of the axes that list; null for other indices.
 */
function listing(indices: Value, count: number): number[] | null {
  const data = indices.known?.data;
  if (!data || indices.shape.length < 2) return null;
  const spread = indices.shape.map((_, axis) => isSpread(indices, axis));
  const sizes = indices.shape.filter((_, axis) => spread[axis]);
  if (sizes.length === 0 || sizes.reduce((product, size) => product * size, 1) !== count) return null;
  const strides = spread.map(() => 0);
  for (let axis = spread.length - 1, stride = 1; axis >= 0; axis--) {
    if (!spread[axis]) continue;
    strides[axis] = stride;
    stride *= indices.shape[axis] as number;
  }
  const inOrder = data.every((value, i) => {
    let expected = 0;
    let rest = i;
    for (let axis = spread.length - 1; axis >= 0; axis--) {
      const size = indices.shape[axis] as number;
      expected += (rest % size) * (strides[axis] as number);
      rest = Math.floor(rest / size);
    }
    return value === expected;
  });
  return inOrder ? sizes : null;
}

/** Known whole numbers that count up by one, in one row. */
function isRun(value: Value): boolean {
  const indices = value.known?.data ?? [];
  if (value.shape.slice(0, -1).some((size) => size !== 1)) return false;
  for (let i = 1; i < indices.length; i++) if ((indices[i] as number) !== (indices[i - 1] as number) + 1) return false;
  return indices.length > 0;
}

const gather: Operator = {
  align(step) {
    const [data, indices] = [step.input(0), step.input(1)];
    const axis = normalAxis(step.int("axis", 0), data.axes.length);
    const space = data.axes[axis] as Space;
    let picked: readonly Space[] = indices.axes;
    if (indices.ids && !data.ids) indices.ids.index(space);
    else {
      indices.ids?.expose("Gather picks from the ids by themselves");
      if (data.ids) data.ids.reordered = true;
      const places = indices.known?.data;
      const [first = 0] = places ?? [];
      const start = first < 0 ? first + space.size : first;
      const listed = listing(indices, space.size);
      const spread = listed && fill(factors([space]), listed);
      if (spread) {
        const parts = [...spread];
        picked = indices.axes.map(({ size }, at) => (isSpread(indices, at) ? (parts.shift() as Space) : Space.leaf(size)));
      } else if (places && isRun(indices) && start >= 0 && start + places.length <= space.size) {
        const kept = keep(step, space, start, start + places.length);
        picked = indices.axes.length === 0 ? [] : [...indices.axes.slice(0, -1), kept];
      } else step.freeze([space], indices.known ? "picks coordinates out of order" : "picks coordinates by data");
    }
    step.give(0, [...data.axes.slice(0, axis), ...picked, ...data.axes.slice(axis + 1)], { ids: data.ids });
  },
  law(step, laws) {
    const [data, indices] = [step.input(0), step.input(1)];
    const output = step.output();
    const axis = normalAxis(step.int("axis", 0), data.axes.length);
    const extra = indices.axes.length - 1;
    output.places.forEach((place, at) => {
      if (at < axis) laws.relate(place, data.axis(at));
      else if (at > axis + extra) laws.relate(place, data.axis(at - extra));
    });
    if (indices.ids && !data.ids) {
      laws.restrict(data.axis(axis), "pointwise");
      indices.places.forEach((place, at) => {
        laws.relate(output.axis(axis + at), place);
        laws.restrict(place, "pointwise");
      });
      return;
    }
    const places = indices.known?.data;
    const listed = listing(indices, data.shape[axis] as number);
    if (listed && data.axes[axis]!.frozen === null) {
      const out = indices.axes.map((_, at) => output.axis(axis + at));
      laws.relateAll(
        [data.axis(axis)],
        out.filter((_, at) => isSpread(indices, at)),
      );
      for (const [at, place] of out.entries()) if (!isSpread(indices, at)) laws.restrict(place, "pointwise");
    } else if (places && isRun(indices)) {
      const first = places[0] as number;
      const start = first < 0 ? first + (data.shape[axis] as number) : first;
      keepLaw(step, laws, data.axis(axis), indices.axes.length > 0 ? output.axis(axis + extra) : null, start, start + places.length);
    } else {
      indices.places.forEach((place, at) => {
        laws.relate(output.axis(axis + at), place);
        laws.restrict(place, "pointwise");
      });
    }
  },
};

/** By name. */
export const joining: Readonly<Record<string, Operator>> = {
  Concat: concat,
  Split: split,
  Slice: slice,
  Gather: gather,
};
