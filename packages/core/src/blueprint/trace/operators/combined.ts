/**
 * Operators that are another one with something around it: what ONNX Runtime's optimiser fuses, and arithmetic on small integers.
 * Each is described by the operator inside and by what is added to its law.
 * @module
 */
import type { Strictness } from "../laws.ts";
import { Opaque, restrictAll, Step, type Operator } from "../operator.ts";
import type { Space } from "../space.ts";
import { contraction, fusedMatMul } from "./contraction.ts";
import { convolutions } from "./convolution.ts";
import { addLaw, alignBroadcast, elementwise } from "./elementwise.ts";
import { layout } from "./layout.ts";
import { reductions } from "./reduction.ts";
import { Value } from "../value.ts";

/** A node seen as another operator's: that takes these inputs, in this order. */
function viewed(step: Step, order: readonly number[]): Step {
  const view = new Step(
    step.node,
    step.index,
    step.opset,
    order.map((index) => step.inputs[index] ?? null),
  );
  view.results.splice(0, view.results.length, ...step.results);
  return view;
}

interface Combined {
  /** The operator inside. */
  readonly inner: Operator | undefined;
  /** Its inputs among those of the node. */
  readonly order: readonly number[] | ((step: Step) => readonly number[]);
  /** Inputs with one number in all, or one for each coordinate of an axis: of an input, or of the result where that is null. */
  readonly scales?: readonly { readonly input: number; readonly of: number | null; readonly axis: number }[];
  /** Something that is added to the result. */
  readonly added?: number;
  /** What happens to each number of the result. */
  readonly activation?: (step: Step) => Strictness | null;
  /** Whole numbers, which can only change places. */
  readonly isInteger?: boolean;
}

const combined = ({ inner, order, scales = [], added, activation, isInteger = false }: Combined): Operator => {
  const orderOf = (step: Step): readonly number[] => (typeof order === "function" ? order(step) : order);
  return {
    align(step) {
      const view = viewed(step, orderOf(step));
      inner!.align(view);
      view.results.forEach((result, i) => (step.results[i] = result));
      for (const index of orderOf(step)) step.seen.add(index);
      const axes = step.results[0]!.axes as readonly Space[];
      for (const { input, of, axis } of scales) {
        const scale = step.optional(input);
        if (!scale || scale.shape.every((size) => size === 1)) continue;
        const partner = (of === null ? axes : step.input(of).axes).at(axis);
        if (scale.axes.length !== 1 || !partner) throw new Opaque("scales of several axes");
        (scale.axes[0] as Space).unify(partner);
      }
      const extra = added === undefined ? null : step.optional(added);
      if (!extra) return;
      const sum = alignBroadcast([new Value("", axes) as typeof extra, extra]);
      if (sum.some((space, axis) => space.size !== axes[axis]?.size)) throw new Opaque("the sum has another shape");
    },
    law(step, laws) {
      inner!.law(viewed(step, orderOf(step)), laws);
      const output = step.output();
      const extra = added === undefined ? null : step.optional(added);
      if (extra) addLaw(laws, output, [extra]);
      const strictness = activation?.(step) ?? null;
      if (strictness) restrictAll(laws, output, strictness);
      if (!isInteger) return;
      for (const value of [...step.all, ...step.results.flatMap((result) => result?.value ?? [])]) restrictAll(laws, value, "pointwise");
    },
  };
};

/** The activation that an optimiser put behind a product. */
function activationOf(step: Step): Strictness | null {
  const name = step.text("activation");
  if (name === "") return null;
  return name === "Relu" || name === "LeakyRelu" ? "positive" : "pointwise";
}

/** One number, or one for each column of the second factor. */
const columns = (input: number, of: number): NonNullable<Combined["scales"]>[number] => ({ input, of, axis: -1 });
/** One number, or one for each row of the first factor. */
const rows = (input: number, of: number): NonNullable<Combined["scales"]>[number] => ({ input, of, axis: -2 });
/** One number, or one for each filter. */
const filters = (input: number, of: number): NonNullable<Combined["scales"]>[number] => ({ input, of, axis: 0 });

const { MatMul, Gemm } = contraction;
const { Conv, GlobalAveragePool, AveragePool } = convolutions;
const integers = (parts: Omit<Combined, "isInteger">): Operator => combined({ ...parts, isInteger: true });
/** A function of each number, on whole numbers with scales. */
const function1 = (name: string): Operator => integers({ inner: elementwise[name], order: [0] });
const function2 = (name: string): Operator => integers({ inner: elementwise[name], order: [0, 3] });

/** Pictures in the order of ONNX alone. */
function channelsFirst(step: Step): readonly number[] {
  if (step.int("channels_last", 0) !== 0) throw new Opaque("channels come last");
  return [0];
}

/** numbers -> integers, and the one scale and zero for all of them. */
const dynamicQuantise: Operator = {
  align(step) {
    step.give(0, step.input(0).axes);
    for (const i of [1, 2]) step.give(i, []);
  },
  law(step, laws) {
    for (const value of [step.input(0), step.output()]) restrictAll(laws, value, "pointwise");
  },
};

/**
 * x · (integers of few bits, with a scale for each block of a row): rows permute, and blocks among themselves where no zero points are packed
 * into bytes.
 */
const blockProduct: Operator = {
  align(step) {
    const [data, weight, scales] = [step.input(0), step.input(1), step.input(2)];
    const [count, blocks] = weight.axes;
    const width = data.axes.at(-1);
    if (!count || !blocks || !width || width.size !== step.int("K") || count.size !== step.int("N"))
      throw new Opaque("operands of unlike sizes");
    if (step.inputs.slice(4, 5).some((each) => each)) throw new Opaque("rows in another order");
    const isFull = width.size === blocks.size * step.int("block_size", 0);
    const halves = isFull ? width.divide(blocks.size) : null;
    if (halves) halves[0].unify(blocks);
    else step.freeze([width, blocks], isFull ? "blocks that do not fit the width" : "a last block that is not full");
    step.freeze([...(halves?.slice(1) ?? []), ...weight.axes.slice(2)], "places in a block");
    unifyBlocks(scales.axes, count, blocks);
    const zeros = step.optional(3);
    if (zeros) {
      step.freeze([blocks], "zero points in bytes");
      const each = zeros.axes.length === 1 ? zeros.axes[0]!.divide(count.size) : zeros.axes;
      if (!each || each.length !== 2) throw new Opaque("zero points of another form");
      each[0]!.unify(count);
      step.freeze([each[1] as Space], "zero points in bytes");
    }
    step.optional(5)?.axes[0]?.unify(count);
    step.give(0, [...data.axes.slice(0, -1), count]);
  },
  law(step, laws) {
    const [data, output] = [step.input(0), step.output()];
    output.places.slice(0, -1).forEach((place) => laws.relate(place, data.axis(place.axis)));
    if (step.optional(5)) restrictAll(laws, output, "pointwise");
    for (const value of step.all.slice(1)) restrictAll(laws, value, "pointwise");
    for (const value of [data, output]) laws.restrict(value.axis(-1), "pointwise");
  },
};

function unifyBlocks(axes: readonly Space[], count: Space, blocks: Space): void {
  const [first, second] = axes.length === 1 ? (axes[0]!.divide(count.size) ?? []) : axes;
  if (!first || !second || first.size !== count.size || second.size !== blocks.size) throw new Opaque("scales of another form");
  first.unify(count);
  second.unify(blocks);
}

/** Inputs that hold values come in threes, behind the scale and zero of the result: value, scale, zero. */
function everyThird(step: Step): readonly number[] {
  return step.inputs.flatMap((_, index) => (index >= 2 && (index - 2) % 3 === 0 ? [index] : []));
}

export const combinations: Readonly<Record<string, Operator>> = {
  "com.microsoft:FusedMatMul": fusedMatMul,
  "com.microsoft:FusedGemm": combined({ inner: Gemm, order: [0, 1, 2], activation: activationOf }),
  "com.microsoft:FusedConv": combined({ inner: Conv, order: [0, 1, 2], added: 3, activation: activationOf }),
  "com.microsoft:MatMulNBits": blockProduct,
  DynamicQuantizeLinear: dynamicQuantise,
  MatMulInteger: integers({ inner: MatMul, order: [0, 1], scales: [rows(2, 0), columns(3, 1)] }),
  ConvInteger: integers({ inner: Conv, order: [0, 1], scales: [filters(3, 1)] }),
  QLinearMatMul: integers({ inner: MatMul, order: [0, 3], scales: [rows(1, 0), rows(2, 0), columns(4, 3), columns(5, 3)] }),
  QLinearConv: integers({ inner: Conv, order: [0, 3, 8], scales: [filters(4, 3), filters(5, 3)] }),
  "com.microsoft:QGemm": integers({
    inner: Gemm,
    order: [0, 3, 6],
    scales: [
      { input: 4, of: null, axis: 1 },
      { input: 5, of: null, axis: 1 },
    ],
  }),
  "com.microsoft:MatMulIntegerToFloat": integers({ inner: MatMul, order: [0, 1], scales: [columns(3, 1), columns(5, 1)], added: 6 }),
  "com.microsoft:DynamicQuantizeMatMul": integers({ inner: MatMul, order: [0, 1], scales: [columns(2, 1), columns(3, 1)], added: 4 }),
  "com.microsoft:QLinearAdd": function2("Add"),
  "com.microsoft:QLinearMul": function2("Mul"),
  "com.microsoft:QLinearSigmoid": function1("Sigmoid"),
  "com.microsoft:QLinearLeakyRelu": function1("LeakyRelu"),
  "com.microsoft:QLinearSoftmax": function1("Softmax"),
  "com.microsoft:QLinearGlobalAveragePool": integers({ inner: GlobalAveragePool, order: channelsFirst }),
  "com.microsoft:QLinearAveragePool": integers({ inner: AveragePool, order: channelsFirst }),
  "com.microsoft:QLinearReduceMean": integers({ inner: reductions["ReduceMean"], order: [0] }),
  "com.microsoft:QLinearConcat": integers({ inner: layout["Concat"], order: everyThird }),
};

/** Operators that read stored integers as numbers, besides those that only move them. */
export const READS_INTEGERS: ReadonlySet<string> = new Set(
  `DequantizeLinear MatMulInteger ConvInteger QLinearMatMul QLinearConv QGemm MatMulIntegerToFloat DynamicQuantizeMatMul QLinearAdd QLinearMul
  QLinearConcat MatMulNBits`.split(/\s+/),
);
