/**
 * Numbers stored as small integers: their order may be secret, their values cannot be scaled; a scale per channel moves along.
 * @module
 */
import type { Laws } from "../laws.ts";
import { normalAxis, Opaque, restrictAll, type Operator, type Step } from "../operator.ts";
import type { Space } from "../space.ts";

function alignScales(step: Step): void {
  const input = step.input(0);
  for (const i of [1, 2]) {
    const scale = step.optional(i);
    if (!scale) continue;
    const size = scale.axes.reduce((product, space) => product * space.size, 1);
    if (size === 1) continue;
    if (scale.axes.length !== 1 || step.int("block_size", 0) !== 0) throw new Opaque("scales per block");
    (input.axes[normalAxis(step.int("axis", 1), input.axes.length)] as Space).unify(scale.axes[0] as Space);
  }
  step.give(0, input.axes);
}

/** integers -> numbers: y = (x - zero)·scale, so a channel's scale becomes the output's. */
const dequantise: Operator = {
  align: alignScales,
  law(step, laws) {
    const integers = step.input(0);
    restrictAll(laws, integers, "pointwise");
    const zero = step.optional(2);
    if (zero) restrictAll(laws, zero, "pointwise");
    scaleLaw(step, laws);
  },
};

function scaleLaw(step: Step, laws: Laws): void {
  const [integers, output, scale] = [step.input(0), step.output(), step.input(1)];
  const perChannel = scale.axes.length === 1 && scale.axes[0]!.size > 1 ? normalAxis(step.int("axis", 1), integers.axes.length) : null;
  output.places.forEach((place, axis) => {
    if (axis === perChannel)
      laws.balance([
        { place, power: 1 },
        { place: integers.axis(axis), power: -1 },
        { place: scale.axis(0), power: -1 },
      ]);
    else laws.relate(place, integers.axis(axis));
  });
}

/** numbers -> integers: rounding takes each number by itself. */
const quantise: Operator = {
  align: alignScales,
  law(step, laws) {
    for (const value of [step.output(), ...step.all]) restrictAll(laws, value, "pointwise");
  },
};

export const quantisation: Readonly<Record<string, Operator>> = { DequantizeLinear: dequantise, QuantizeLinear: quantise };
