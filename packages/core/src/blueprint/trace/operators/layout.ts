/**
 * Operators that move, cut, join or repeat coordinates without computing anything.
 * @module
 */
import type { AxisPlace, Laws } from "../laws.ts";
import { normalAxis, Opaque, restrictAll, type Operator, type Step } from "../operator.ts";
import { factors, Space } from "../space.ts";
import { Value } from "../value.ts";
import { alignBroadcast, identity } from "./elementwise.ts";

/** Coordinates that an operator drops still have a map; their place in the laws. */
function dropped(step: Step, what: string, space: Space): AxisPlace {
  return { value: `${step.index}#${what}`, axis: 0, space };
}

const CUT = "cuts through the parts of a space";

/**
 * The axes of a reshape: groups of input and output axes with equal products, each group brought to common factors.
 */
function reshapeAxes(step: Step, input: readonly Space[], shape: readonly number[]): Space[] {
  const output: Space[] = [];
  let left = factors(input);
  const count = (sizes: readonly number[]): number => sizes.reduce((product, size) => product * size, 1);
  if (count(input.map(({ size }) => size)) !== count(shape)) throw new Opaque("the shape does not hold as many elements as the input");
  if (count(shape) === 0) return shape.map((size) => Space.frozen(size, "empty"));
  let group: { from: Space[]; to: number[] } = { from: [], to: [] };
  const flush = (): void => {
    output.push(...(fill(group.from, group.to) ?? freezeGroup(step, group.from, group.to)));
    group = { from: [], to: [] };
  };
  for (const size of shape) {
    group.to.push(size);
    while (count(group.from.map((space) => space.size)) < count(group.to)) {
      const [next, ...rest] = left;
      if (!next) break;
      group.from.push(next);
      left = rest;
    }
    if (count(group.from.map((space) => space.size)) === count(group.to)) flush();
  }
  if (group.to.length > 0) flush();
  return output;
}

/** Deals the factors `from` out to axes of the sizes `to`, taking factors apart where an axis ends inside one. */
function fill(from: readonly Space[], to: readonly number[]): Space[] | null {
  let left = [...from];
  const axes: Space[] = [];
  for (const size of to) {
    const taken: Space[] = [];
    let have = 1;
    while (have < size) {
      const [next, ...rest] = left;
      if (!next || size % have !== 0) return null;
      if (have * next.size <= size) {
        taken.push(next);
        have *= next.size;
        left = rest;
      } else {
        const halves = next.divide(size / have);
        if (!halves) return null;
        left = [...factors(halves), ...rest];
      }
    }
    if (have !== size) return null;
    axes.push(Space.product(taken));
  }
  return left.length === 0 ? axes : null;
}

function freezeGroup(step: Step, from: readonly Space[], to: readonly number[]): Space[] {
  step.freeze(from, CUT);
  return to.map((size) => Space.frozen(size, `${step.node.operator}: ${CUT}`));
}

const reshapeLaw = (step: Step, laws: Laws): void => laws.relateAll(step.input(0).places, step.output().places);

const reshape: Operator = {
  align(step) {
    const input = step.input(0);
    const wanted = step.wholeNumbers("shape", 1);
    if (!wanted) throw new Opaque("no shape is given");
    const zeroCopies = step.int("allowzero", 0) === 0;
    const sizes = wanted.map((size, axis) => (size === 0 && zeroCopies ? (input.shape[axis] ?? 0) : size));
    const total = input.shape.reduce((product, size) => product * size, 1);
    const known = sizes.reduce((product, size) => (size === -1 ? product : product * size), 1);
    const shape = sizes.map((size) => (size === -1 ? total / known : size));
    if (!shape.every((size) => Number.isInteger(size) && size >= 0)) throw new Opaque("the shape does not divide the input");
    step.give(0, reshapeAxes(step, input.axes, shape), { ids: input.ids });
  },
  law: reshapeLaw,
};

const flatten: Operator = {
  align(step) {
    const input = step.input(0);
    const axis = step.int("axis", 1);
    const at = axis < 0 ? axis + input.axes.length : axis;
    if (at < 0 || at > input.axes.length) throw new Opaque(`axis ${axis} lies outside the rank`);
    const half = (axes: readonly Space[]): number => axes.reduce((product, { size }) => product * size, 1);
    step.give(0, reshapeAxes(step, input.axes, [half(input.axes.slice(0, at)), half(input.axes.slice(at))]), { ids: input.ids });
  },
  law: reshapeLaw,
};

const squeeze: Operator = {
  align(step) {
    const input = step.input(0);
    const given = step.wholeNumbers("axes", 1)?.map((axis) => normalAxis(axis, input.axes.length));
    if (given?.some((axis) => input.axes[axis]!.size !== 1)) throw new Opaque("an axis to drop has more than one element");
    step.give(
      0,
      input.axes.filter((space, axis) => (given ? !given.includes(axis) : space.size !== 1)),
      { ids: input.ids },
    );
  },
  law: reshapeLaw,
};

const unsqueeze: Operator = {
  align(step) {
    const input = step.input(0);
    const axes = step.wholeNumbers("axes", 1);
    if (!axes) throw new Opaque("no axes are given");
    const rank = input.axes.length + axes.length;
    const added = new Set(axes.map((axis) => normalAxis(axis, rank)));
    const left = [...input.axes];
    step.give(
      0,
      Array.from({ length: rank }, (_, axis) => (added.has(axis) ? Space.leaf(1) : (left.shift() as Space))),
      { ids: input.ids },
    );
  },
  law: reshapeLaw,
};

function transposeOrder(step: Step): readonly number[] {
  const { axes } = step.input(0);
  const order = step.ints("perm") ?? axes.map((_, axis) => axes.length - 1 - axis);
  if (order.length !== axes.length || new Set(order).size !== order.length || order.some((axis) => !axes[axis]))
    throw new Opaque("perm is not an order of the axes");
  return order;
}

const transpose: Operator = {
  align(step) {
    const { axes, ids } = step.input(0);
    if (ids) ids.reordered = true;
    step.give(
      0,
      transposeOrder(step).map((axis) => axes[axis] as Space),
      { ids },
    );
  },
  law(step, laws) {
    transposeOrder(step).forEach((from, axis) => laws.relate(step.output().axis(axis), step.input(0).axis(from)));
  },
};

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

const expand: Operator = {
  align(step) {
    const input = step.input(0);
    const shape = step.inputs[1]?.known?.data;
    if (!shape) throw new Opaque("its shape depends on the data");
    // A shape alone meets every space without binding it, as a scalar does.
    const wanted = new Value(
      "",
      [...shape].map((size) => Space.leaf(size)),
      { known: { type: "bool", shape: [], data: new Float64Array(1) } },
    );
    const axes = alignBroadcast([input, wanted as Value & { axes: readonly Space[] }]);
    // Repeated ids may have the shape of all of them again.
    if (input.ids && axes.some(({ size }, axis) => size !== input.shape[axis])) input.ids.reordered = true;
    step.give(0, axes, { ids: input.ids });
  },
  law(step, laws) {
    const [input, output] = [step.input(0), step.output()];
    repeatLaw(laws, input, output);
  },
};

/** Along an axis that only repeats, every coordinate is the same, so any order of them is right. */
function repeatLaw(laws: Laws, input: Value, output: Value): void {
  const offset = (output.axes?.length ?? 0) - (input.axes?.length ?? 0);
  output.places.forEach((place, axis) => {
    const from = axis < offset ? null : input.axis(axis - offset);
    if (from && from.space.size === place.space.size) laws.relate(place, from);
    else laws.restrict(place, "pointwise");
  });
}

/** Copies of an axis that are followed (CWE-770). */
const MAXIMUM_REPEATS = 256;

const tile: Operator = {
  align(step) {
    const input = step.input(0);
    const repeats = step.inputs[1]?.known?.data;
    if (!repeats || repeats.length !== input.axes.length) throw new Opaque("its repeats depend on the data");
    step.give(
      0,
      input.axes.map((space, axis) => {
        const times = repeats[axis] as number;
        if (times === 1) return space;
        if (space.size === 1) return Space.leaf(times);
        if (times <= MAXIMUM_REPEATS && times >= 0) return Space.sum(Array.from({ length: times }, () => space));
        step.freeze([space], "repeats too often to be followed");
        return Space.frozen(space.size * times, "Tile: repeats too often to be followed");
      }),
    );
  },
  law(step, laws) {
    const [input, output] = [step.input(0), step.output()];
    output.places.forEach((place, axis) => {
      const from = input.axis(axis);
      if (from.space.size === 1 && place.space.size > 1) laws.restrict(place, "pointwise");
      else if (from.space.frozen === null)
        laws.relateAll(
          Array.from({ length: place.space.size / from.space.size }, () => from),
          [place],
        );
    });
  },
};

function padAmounts(step: Step): { before: number[]; after: number[] } {
  const { axes } = step.input(0);
  const given = step.wholeNumbers("pads", 1);
  if (!given) throw new Opaque("no pads are given");
  const named = step.inputs[3]?.known?.data;
  if (step.inputs[3] && !named) throw new Opaque("its axes depend on the data");
  const which = named ? [...named].map((axis) => normalAxis(axis, axes.length)) : axes.map((_, axis) => axis);
  const before = axes.map(() => 0);
  const after = axes.map(() => 0);
  which.forEach((axis, i) => {
    before[axis] = given[i] ?? 0;
    after[axis] = given[i + which.length] ?? 0;
  });
  return { before, after };
}

function addsZeros(step: Step): boolean {
  const constant = step.inputs[2] ? step.inputs[2].uniform : (step.number("value") ?? 0);
  return step.text("mode", "constant") === "constant" && constant === 0;
}

const pad: Operator = {
  align(step) {
    const { axes } = step.input(0);
    const { before, after } = padAmounts(step);
    step.give(
      0,
      axes.map((space, axis) => {
        const [first, last] = [before[axis] as number, after[axis] as number];
        if (first === 0 && last === 0) return space;
        // Zeros beside channels stay zeros whatever acts on them.
        if (space.frozen === null && addsZeros(step) && first >= 0 && last >= 0)
          return Space.sum([Space.leaf(first), space, Space.leaf(last)]);
        step.freeze([space], "adds coordinates");
        return Space.frozen(space.size + first + last, "Pad: adds coordinates");
      }),
    );
  },
  law(step, laws) {
    const { before, after } = padAmounts(step);
    const [input, output] = [step.input(0), step.output()];
    const fills = step.text("mode", "constant") === "constant" && !addsZeros(step);
    output.places.forEach((place, axis) => {
      const [first, last] = [before[axis] as number, after[axis] as number];
      if (first !== 0 || last !== 0) {
        if (place.space.frozen !== null || input.axes[axis]!.frozen !== null) return;
        const zeros = [first, last].map((size, i) => {
          const part = i === 0 ? place.space.cut(size)?.[0] : place.space.cut(place.space.size - size)?.[1];
          return { value: `${step.index}#zeros${i}`, axis, space: part ?? Space.leaf(size) };
        }) as [AxisPlace, AxisPlace];
        laws.relateAll(
          [zeros[0], input.axis(axis), zeros[1]].filter(({ space }) => space.size > 0),
          [place],
        );
        return;
      }
      laws.relate(place, input.axis(axis));
      // What is put in is the same for every coordinate of this axis.
      if (fills) laws.restrict(place, "sum");
    });
  },
};

/** Blocks of pixels become channels or the other way round. */
const depthToSpace: Operator = {
  align(step) {
    const [batch, channels, height, width] = step.input(0).axes as [Space, Space, Space, Space];
    const block = step.int("blocksize", 1);
    if (!width || block < 1 || channels.size % (block * block) !== 0) throw new Opaque("not four axes of fitting sizes");
    step.freeze([height, width], "changes the picture's size");
    const inner =
      step.text("mode", "DCR") === "DCR" ? channels.divide(block * block)?.[1] : channels.divide(channels.size / block ** 2)?.[0];
    if (!inner) throw new Opaque(CUT);
    step.give(0, [batch, inner, Space.frozen(height.size * block, "pixels"), Space.frozen(width.size * block, "pixels")]);
  },
  law(step, laws) {
    const [input, output] = [step.input(0), step.output()];
    const channels = input.axes[1] as Space;
    const block = step.int("blocksize", 1) ** 2;
    const depthFirst = step.text("mode", "DCR") === "DCR";
    const halves = channels.divide(depthFirst ? block : channels.size / block);
    if (!halves) return restrictAll(laws, input, "fixed");
    const parts = halves.map((space, i): AxisPlace => ({ value: `${step.index}#blocks`, axis: i, space }));
    laws.relateAll([input.axis(1)], parts);
    laws.restrict(parts[depthFirst ? 0 : 1] as AxisPlace, "fixed");
    laws.relate(output.axis(1), parts[depthFirst ? 1 : 0] as AxisPlace);
    laws.relate(output.axis(0), input.axis(0));
  },
};

/** Keeps a triangle of the last two axes. */
const trilu: Operator = {
  align(step) {
    const { axes } = step.input(0);
    step.freeze(axes.slice(-2), "keeps a triangle");
    step.give(0, axes);
  },
  law: identity.law,
};

export const layout: Readonly<Record<string, Operator>> = {
  Reshape: reshape,
  Flatten: flatten,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Transpose: transpose,
  Concat: concat,
  Split: split,
  Slice: slice,
  Gather: gather,
  Expand: expand,
  Tile: tile,
  Pad: pad,
  DepthToSpace: depthToSpace,
  Trilu: trilu,
};
