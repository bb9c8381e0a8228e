/**
 * Reductions along axes.
 * @module
 */
import type { Strictness } from "../laws.ts";
import { normalAxis, Opaque, restrictAll, type Operator, type Step } from "../operator.ts";
import { Space } from "../space.ts";

function reducedAxes(step: Step): Set<number> {
  const rank = step.input(0).axes.length;
  const given = step.wholeNumbers("axes", 1);
  if (given && given.length > 0) return new Set(given.map((axis) => normalAxis(axis, rank)));
  if (step.int("noop_with_empty_axes", 0) !== 0) return new Set();
  return new Set(Array.from({ length: rank }, (_, axis) => axis));
}

/** How an operator treats the axes that it keeps. */
type Kept =
  /** Linear: every map passes. */
  | "linear"
  /** Positive scales pass. */
  | "positive"
  /** Squares: scales pass squared. */
  | "square"
  /** Permutations alone. */
  | "pointwise";

const reduction = (reduced: Strictness, kept: Kept): Operator => ({
  align(step) {
    const { axes } = step.input(0);
    const gone = reducedAxes(step);
    const keepsDimensions = step.int("keepdims", 1) !== 0;
    step.give(
      0,
      axes.flatMap((space, axis) => (gone.has(axis) ? (keepsDimensions ? [Space.leaf(1)] : []) : [space])),
    );
  },
  law(step, laws) {
    const [input, output] = [step.input(0), step.output()];
    const gone = reducedAxes(step);
    const keepsDimensions = step.int("keepdims", 1) !== 0;
    let at = 0;
    for (const place of input.places) {
      if (gone.has(place.axis)) {
        laws.restrict(place, reduced);
        if (keepsDimensions) at++;
        continue;
      }
      const out = output.axis(at++);
      if (kept === "square") {
        laws.balance([
          { place: out, power: 1 },
          { place, power: -2 },
        ]);
        continue;
      }
      laws.relate(out, place);
      if (kept !== "linear") laws.restrict(place, kept);
    }
  },
});

/** Which coordinate is the largest or smallest. */
const argument: Operator = {
  align(step) {
    const input = step.input(0);
    const axis = normalAxis(step.int("axis", 0), input.axes.length);
    if (input.ids) {
      // The client can say where its highest id stands, if that is all the graph wants to know.
      const isWhole = step.node.operator === "ArgMax" && input.axes.length === 2 && axis === 1 && step.int("select_last_index", 0) === 0;
      if (isWhole && input.ids.isWhole(input.axes)) input.ids.peaks.push(step.index);
      else input.ids.expose(`${step.node.operator} orders the ids`);
    }
    step.freeze([input.axes[axis] as Space], "names a coordinate by its place");
    step.give(
      0,
      input.axes.flatMap((space, at) => (at !== axis ? [space] : step.int("keepdims", 1) !== 0 ? [Space.leaf(1)] : [])),
    );
  },
  law(step, laws) {
    for (const value of [step.input(0), step.output()]) restrictAll(laws, value, "pointwise");
  },
};

/** 1 at the first of the largest, 0 elsewhere: which one is first, an order decides. Old forms flatten the axes behind. */
const hardmax: Operator = {
  align(step) {
    const { axes } = step.input(0);
    const axis = normalAxis(step.int("axis", step.opset < 13 ? 1 : -1), axes.length);
    step.freeze(step.opset < 13 ? axes.slice(axis) : [axes[axis] as Space], "names a coordinate by its place");
    step.give(0, axes);
  },
  law(step, laws) {
    for (const value of [step.input(0), step.output()]) restrictAll(laws, value, "pointwise");
  },
};

const cumulative: Operator = {
  align(step) {
    const input = step.input(0);
    const axis = step.inputs[1]?.known?.data[0];
    if (axis === undefined) throw new Opaque("its axis depends on the data");
    step.freeze([input.axes[normalAxis(axis, input.axes.length)] as Space], "adds up in order");
    step.give(0, input.axes);
  },
  law(step, laws) {
    step.output().places.forEach((place, axis) => laws.relate(place, step.input(0).axis(axis)));
  },
};

export const reductions: Readonly<Record<string, Operator>> = {
  ReduceSum: reduction("sum", "linear"),
  ReduceMean: reduction("sum", "linear"),
  ReduceMax: reduction("pointwise", "positive"),
  ReduceMin: reduction("pointwise", "positive"),
  ReduceL1: reduction("odd", "positive"),
  ReduceL2: reduction("norm", "positive"),
  ReduceSumSquare: reduction("norm", "square"),
  ReduceProd: reduction("pointwise", "pointwise"),
  ReduceLogSum: reduction("pointwise", "pointwise"),
  ReduceLogSumExp: reduction("pointwise", "pointwise"),
  ArgMax: argument,
  ArgMin: argument,
  Hardmax: hardmax,
  CumSum: cumulative,
};
