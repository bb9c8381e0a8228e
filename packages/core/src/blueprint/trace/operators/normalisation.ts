/**
 * Normalisations. Their laws stand for the case that gains stay where they are; `norms.ts` replaces them where a gain
 * can be folded into the matrices behind it, which lets rotations pass.
 * @module
 */
import type { AxisPlace, Laws, Strictness } from "../laws.ts";
import { normalAxis, Opaque, type Operator, restrictAll, type Step, under } from "../operator.ts";
import { Space } from "../space.ts";
import type { Value } from "../value.ts";
import { addLaw, alignBroadcast } from "./elementwise.ts";

/** The axes that a layer normalisation runs over: from `axis` to the last. */
function firstNormAxis(step: Step): number {
  return normalAxis(step.int("axis", -1), step.input(0).axes.length);
}

/** y = n(x)∘gain + offset: the scale of y is that of n(x) times the gain's. */
function gainLaw(laws: Laws, output: Value, input: Value, gain: Value, offset: Value | null, from: number): void {
  const rank = output.axes?.length ?? 0;
  for (const out of output.places) {
    const source = input.axis(out.axis);
    if (out.axis < from) {
      // Statistics are taken for each of these coordinates apart; epsilon notices every scale.
      laws.relate(out, source);
      laws.restrict(out, "pointwise");
      continue;
    }
    const own = under(gain, out.axis, rank);
    if (own) {
      laws.balance([
        { place: out, power: 1 },
        { place: source, power: -1 },
        { place: own, power: -1 },
      ]);
    } else laws.relate(out, source);
  }
  if (offset) addLaw(laws, output, [offset]);
}

const layerNorm = (strictness: Strictness): Operator => ({
  align(step) {
    const input = step.input(0);
    const gain = step.input(1);
    const offset = step.optional(2);
    alignBroadcast(offset ? [input, gain, offset] : [input, gain]);
    step.give(0, input.axes);
    const from = firstNormAxis(step);
    for (const i of [1, 2])
      step.give(
        i,
        input.axes.map((space, axis) => (axis < from ? space : Space.leaf(1))),
      );
  },
  law(step, laws) {
    const [input, output] = [step.input(0), step.output()];
    const from = firstNormAxis(step);
    for (const place of input.places.slice(from)) laws.restrict(place, strictness);
    gainLaw(laws, output, input, step.input(1), step.optional(2), from);
    for (const i of [1, 2]) {
      const statistic = step.maybeOutput(i);
      for (const place of statistic?.places.slice(0, from) ?? []) laws.restrict(place, "pointwise");
    }
  },
});

/** Residual addition and normalisation in one: (input, skip, gain[, offset], [bias]). */
const skipLayerNorm = (centred: boolean): Operator => {
  const parts = (step: Step): { summed: (Value & { axes: readonly Space[] })[]; gain: Value; offset: Value | null } => {
    const bias = step.optional(centred ? 4 : 3);
    return {
      summed: [step.input(0), step.input(1), ...(bias ? [bias] : [])],
      gain: step.input(2),
      offset: centred ? step.optional(3) : null,
    };
  };
  return {
    align(step) {
      const { summed, gain, offset } = parts(step);
      const axes = alignBroadcast([
        ...summed,
        gain as Value & { axes: readonly Space[] },
        ...(offset ? [offset as Value & { axes: readonly Space[] }] : []),
      ]);
      step.give(0, axes);
      step.give(3, axes);
    },
    law(step, laws) {
      const { summed, gain, offset } = parts(step);
      const output = step.output();
      const rank = output.axes?.length ?? 0;
      const sum = step.maybeOutput(3) ?? sumOf(step, output);
      addLaw(laws, sum, summed);
      laws.restrict(sum.axis(-1), centred ? "centred-norm" : "norm");
      gainLaw(laws, output, sum, gain, offset, rank - 1);
    },
  };
};

/** The sum inside a fused node, which has no name of its own. */
function sumOf(step: Step, output: Value): Value {
  return Object.assign(Object.create(Object.getPrototypeOf(output) as object) as Value, output, { name: `${step.index}#sum` });
}

/** Rows of three tables, looked up by ids, segments and places, summed and normalised: (ids, segments, words, places, segment table, gain, offset). */
const embeddingNorm: Operator = {
  align(step) {
    const [ids, words, places, gain, offset] = [step.input(0), step.input(2), step.input(3), step.input(5), step.input(6)];
    const [batch, sequence] = ids.axes;
    const [vocabulary, width] = words.axes;
    if (!batch || !sequence || !vocabulary || !width) throw new Opaque("operands of unlike rank");
    if (ids.ids) ids.ids.index(vocabulary);
    else step.freeze([vocabulary], "rows picked by data");
    for (const i of [1, 8]) step.inputs[i]?.ids?.expose("EmbedLayerNormalization takes them as segments or places");
    for (const table of [places, step.optional(4)]) {
      if (!table) continue;
      step.freeze([table.axes[0] as Space], "rows picked by data");
      width.unify(table.axes[1] as Space);
    }
    for (const vector of [gain, offset]) width.unify(vector.axes[0] as Space);
    step.freeze([sequence], "positions");
    step.give(0, [batch, sequence, width]);
    step.give(1, [batch]);
    step.give(2, [batch, sequence, width]);
  },
  law(step, laws) {
    const output = step.output();
    const sum = step.maybeOutput(2) ?? sumOf(step, output);
    laws.restrict(step.input(2).axis(0), "pointwise");
    for (const i of [2, 3, 4]) {
      const table = step.optional(i);
      if (table) laws.relate(sum.axis(2), table.axis(1));
    }
    laws.restrict(sum.axis(2), "centred-norm");
    gainLaw(laws, output, sum, step.input(5), step.input(6), 2);
    laws.relate(sum.axis(0), step.input(0).axis(0));
    const mask = step.maybeOutput(1);
    if (mask) restrictAll(laws, mask, "pointwise");
  },
};

const instanceNorm: Operator = {
  align(step) {
    const input = step.input(0);
    const channels = input.axes[1];
    if (!channels) throw new Opaque("no channels");
    for (const i of [1, 2]) step.input(i).axes[0]?.unify(channels);
    step.give(0, input.axes);
  },
  law(step, laws) {
    const [input, output] = [step.input(0), step.output()];
    laws.relate(output.axis(0), input.axis(0));
    laws.restrict(input.axis(0), "pointwise");
    laws.restrict(input.axis(1), "odd");
    for (const place of input.places.slice(2)) {
      laws.restrict(place, "centred-norm");
      laws.relate(output.axis(place.axis), place);
    }
    laws.balance([
      { place: output.axis(1), power: 1 },
      { place: input.axis(1), power: -1 },
      { place: step.input(1).axis(0), power: -1 },
    ]);
    laws.relate(step.input(2).axis(0), output.axis(1));
  },
};

const groupNorm: Operator = {
  align(step) {
    const input = step.input(0);
    const channels = input.axes[1];
    const halves = channels?.divide(step.int("num_groups", 1));
    if (!channels || !halves) throw new Opaque("groups that do not fit the channels");
    for (const i of [1, 2]) {
      const own = step.input(i).axes[0];
      if (own?.size === channels.size) own.unify(channels);
      else if (own?.size === halves[0].size) own.unify(halves[0]);
      else throw new Opaque("a gain of neither channels nor groups");
    }
    step.give(0, input.axes);
  },
  law(step, laws) {
    const [input, output] = [step.input(0), step.output()];
    const channels = input.axis(1);
    laws.relate(output.axis(0), input.axis(0));
    laws.restrict(input.axis(0), "pointwise");
    laws.restrict(channels, "pointwise");
    for (const place of input.places.slice(2)) {
      laws.restrict(place, "centred-norm");
      laws.relate(output.axis(place.axis), place);
    }
    const places = [step.input(1).axis(0), step.input(2).axis(0)] as [AxisPlace, AxisPlace];
    if (places[0].space.size === channels.space.size) {
      laws.balance([
        { place: output.axis(1), power: 1 },
        { place: places[0], power: -1 },
      ]);
      laws.relate(places[1], output.axis(1));
    } else for (const place of [output.axis(1), ...places]) laws.restrict(place, "pointwise");
  },
};

/**
 * (x - mean)/√(variance + ε)·gain + offset. Scales pass once the variance has been folded into the gain, which the
 * plan does for every normalisation whose parameters are its own.
 */
const batchNorm: Operator = {
  align(step) {
    const input = step.input(0);
    const channels = input.axes[1];
    if (!channels) throw new Opaque("no channels");
    if (step.node.outputs.slice(1).some((name) => name !== "") && !isTraining(step)) throw new Opaque("statistics are asked for");
    for (const i of [1, 2, 3, 4]) {
      const own = step.input(i).axes;
      if (own.length !== 1) throw new Opaque("statistics that are not one for each channel");
      own[0]!.unify(channels);
    }
    step.give(0, input.axes);
    for (const i of [1, 2, 3, 4]) step.give(i, [channels]);
  },
  law(step, laws) {
    const [input, output] = [step.input(0), step.output()];
    if (isTraining(step)) trainingLaw(step, laws);
    for (const place of output.places) {
      if (place.axis === 1) continue;
      laws.relate(place, input.axis(place.axis));
      // Mean and offset are the same all along this axis.
      laws.restrict(place, "sum");
    }
    laws.balance([
      { place: output.axis(1), power: 1 },
      { place: input.axis(1), power: -1 },
      { place: step.input(1).axis(0), power: -1 },
    ]);
    laws.relate(step.input(2).axis(0), output.axis(1));
    if (!isTraining(step)) laws.relate(step.input(3).axis(0), input.axis(1));
    laws.restrict(step.input(4).axis(0), "pointwise");
  },
};

/** Statistics of the batch at hand, as weight standardisation takes them of weights. */
function isTraining(step: Step): boolean {
  return step.int("training_mode", 0) !== 0;
}

/** As an instance normalisation over all that is not the channel; the stored statistics only come in beside those at hand. */
function trainingLaw(step: Step, laws: Laws): void {
  const input = step.input(0);
  laws.restrict(input.axis(1), "odd");
  for (const place of input.places) if (place.axis !== 1) laws.restrict(place, "centred-norm");
  restrictAll(laws, step.input(3), "pointwise");
  for (const i of [1, 2, 3, 4]) {
    const statistic = step.maybeOutput(i);
    if (!statistic) continue;
    restrictAll(laws, statistic, "pointwise");
    restrictAll(laws, input, "pointwise");
  }
}

/** Each vector along one axis brought to length 1. */
const lpNorm: Operator = {
  align(step) {
    step.give(0, step.input(0).axes);
  },
  law(step, laws) {
    const [input, output] = [step.input(0), step.output()];
    const axis = normalAxis(step.int("axis", -1), input.axes.length);
    output.places.forEach((place, at) => {
      laws.relate(place, input.axis(at));
      if (at === axis) laws.restrict(place, step.int("p", 2) === 2 ? "norm" : "odd");
      else laws.restrict(place, "pointwise");
    });
  },
};

export const normalisations: Readonly<Record<string, Operator>> = {
  LayerNormalization: layerNorm("centred-norm"),
  SimplifiedLayerNormalization: layerNorm("norm"),
  "com.microsoft:SimplifiedLayerNormalization": layerNorm("norm"),
  RMSNormalization: layerNorm("norm"),
  "com.microsoft:EmbedLayerNormalization": embeddingNorm,
  "com.microsoft:SkipLayerNormalization": skipLayerNorm(true),
  "com.microsoft:SkipSimplifiedLayerNormalization": skipLayerNorm(false),
  InstanceNormalization: instanceNorm,
  GroupNormalization: groupNorm,
  BatchNormalization: batchNorm,
  LpNormalization: lpNorm,
};
