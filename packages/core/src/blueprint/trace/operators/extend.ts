/**
 * Operators that repeat coordinates, or put others around or in place of them.
 * @module
 */
import type { AxisPlace, Laws } from "../laws.ts";
import { normalAxis, Opaque, type Operator, type Step } from "../operator.ts";
import { Space } from "../space.ts";
import { Value } from "../value.ts";
import { alignBroadcast, identity } from "./elementwise.ts";

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

/** Keeps a triangle of the last two axes. */
const trilu: Operator = {
  align(step) {
    const { axes } = step.input(0);
    step.freeze(axes.slice(-2), "keeps a triangle");
    step.give(0, axes);
  },
  law: identity.law,
};

/** By name. */
export const extending: Readonly<Record<string, Operator>> = {
  Expand: expand,
  Tile: tile,
  Pad: pad,
  Trilu: trilu,
};
