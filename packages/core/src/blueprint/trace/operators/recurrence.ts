/**
 * Recurrent layers: `LSTM`, `GRU`, `RNN`. Their gates apply functions to each hidden coordinate by itself, so hidden coordinates
 * permute; what comes in is multiplied with a stored matrix, so every map of it passes.
 * @module
 */
import { Opaque, restrictAll, type Operator, type Step } from "../operator.ts";
import { Space } from "../space.ts";

/** Inputs by place: X, W, R, B, lengths, initial state, then those of the LSTM alone: initial cell, peepholes. */
const [BIAS, LENGTHS, STATE, CELL, PEEPHOLES] = [3, 4, 5, 6, 7];

/** Blocks of one hidden coordinate after the other: the gates stay in their order. */
function hiddenOf(step: Step, space: Space, blocks: number): Space {
  const halves = space.divide(blocks);
  if (!halves) throw new Opaque("gates that do not fit the width");
  step.freeze([halves[0]], "gates");
  return halves[1];
}

const recurrent = (gates: number): Operator => ({
  align(step) {
    const [data, weight, loop] = [step.input(0), step.input(1), step.input(2)];
    const batchFirst = step.int("layout", 0) !== 0;
    const [outer, inner, features] = data.axes;
    const [directions, rows, columns] = weight.axes;
    const hidden = loop.axes[2];
    if (!outer || !inner || !features || !directions || !rows || !columns || !hidden) throw new Opaque("operands of unlike rank");
    const [sequence, batch] = batchFirst ? [inner, outer] : [outer, inner];
    if (hidden.size * gates !== rows.size || features.size !== columns.size) throw new Opaque("operands of unlike sizes");
    features.unify(columns);
    const spaces = [hiddenOf(step, rows, gates), hiddenOf(step, loop.axes[1] as Space, gates)];
    const bias = step.optional(BIAS);
    if (bias) spaces.push(hiddenOf(step, bias.axes[1] as Space, 2 * gates));
    const peepholes = step.optional(PEEPHOLES);
    if (peepholes) spaces.push(hiddenOf(step, peepholes.axes[1] as Space, 3));
    for (const place of [STATE, CELL]) {
      const state = step.optional(place);
      if (!state) continue;
      spaces.push(state.axes[2] as Space);
      if (state.uniform === null) state.axes[batchFirst ? 0 : 1]!.unify(batch);
    }
    step.optional(LENGTHS)?.axes[0]?.unify(batch);
    for (const space of spaces) hidden.unify(space);
    step.freeze([sequence, directions], "takes steps in their order");
    for (const value of [loop, bias, peepholes]) step.freeze(value ? [value.axes[0] as Space] : [], "directions");
    step.give(0, batchFirst ? [batch, sequence, directions, hidden] : [sequence, directions, batch, hidden]);
    for (const output of [1, 2]) step.give(output, batchFirst ? [batch, directions, hidden] : [directions, batch, hidden]);
  },
  law(step, laws) {
    const [data, weight] = [step.input(0), step.input(1)];
    laws.relate(data.axis(2), weight.axis(2), true);
    laws.confine([data.axis(2), weight.axis(2)], []);
    for (const value of [data, weight]) restrictAll(laws, value, "pointwise", [2]);
    for (const value of step.all.slice(2)) restrictAll(laws, value, "pointwise");
    for (const output of [0, 1, 2]) {
      const value = step.maybeOutput(output);
      if (value) restrictAll(laws, value, "pointwise");
    }
  },
});

export const recurrence: Readonly<Record<string, Operator>> = { LSTM: recurrent(4), GRU: recurrent(3), RNN: recurrent(1) };
