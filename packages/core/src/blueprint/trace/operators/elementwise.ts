/**
 * Functions of each coordinate alone, and arithmetic between values that are broadcast against each other.
 * @module
 */
import type { AxisPlace, Laws, Strictness } from "../laws.ts";
import { Opaque, restrictAll, under, type Operator, type Step } from "../operator.ts";
import { Space } from "../space.ts";
import type { Value } from "../value.ts";

type Shaped = Value & { readonly axes: readonly Space[] };

/** The axes of values broadcast against each other (NumPy's rules); axes that meet become one space. */
export function alignBroadcast(values: readonly Shaped[]): Space[] {
  const rank = Math.max(0, ...values.map(({ axes }) => axes.length));
  return Array.from({ length: rank }, (_, axis) => {
    const places = values.flatMap((value) => {
      const place = under(value, axis, rank);
      return place ? [{ space: place.space, isScalar: value.uniform !== null }] : [];
    });
    const sizes = new Set(places.map(({ space }) => space.size));
    if (sizes.size > 1) throw new Opaque(`sizes ${[...sizes].join(" and ")} cannot be broadcast`);
    const [first, ...others] = places.filter(({ isScalar }) => !isScalar);
    for (const { space } of others) first!.space.unify(space);
    return first?.space ?? Space.leaf(places[0]?.space.size ?? 1);
  });
}

/** Calls back for each axis of the output with the inputs that have it; null where an input is broadcast along it. */
function eachAxis(
  laws: Laws,
  output: Value,
  inputs: readonly Value[],
  visit: (out: AxisPlace, places: readonly (AxisPlace | null)[]) => void,
): void {
  const rank = output.axes?.length ?? 0;
  for (const out of output.places) {
    if (out.space.size === 1) continue;
    const places = inputs.map((input) => (input.uniform === null ? under(input, out.axis, rank) : null));
    // Only numbers that are the same everywhere reach along this axis: any order of its coordinates is right.
    if (places.every((place) => place === null)) laws.restrict(out, "pointwise");
    visit(out, places);
  }
}

/** Sums of values: every axis shares one map, and a constant along an axis needs a map that keeps constants. */
export function addLaw(laws: Laws, output: Value, inputs: readonly Value[]): void {
  eachAxis(laws, output, inputs, (out, places) => {
    places.forEach((place, i) => {
      if (place) laws.relate(out, place);
      else if (inputs[i]!.uniform !== 0) laws.restrict(out, "sum");
    });
  });
}

/** Products of powers of values, coordinate by coordinate. */
function productLaw(laws: Laws, output: Value, inputs: readonly { value: Value; power: number }[]): void {
  eachAxis(
    laws,
    output,
    inputs.map(({ value }) => value),
    (out, places) => {
      const there = places.flatMap((place, i) => (place ? [{ place, power: inputs[i]!.power }] : []));
      const [only] = there;
      // A factor that is constant along this axis commutes with every map of it.
      if (there.length === 1 && only?.power === 1) laws.relate(out, only.place);
      else laws.balance([{ place: out, power: 1 }, ...there.map(({ place, power }) => ({ place, power: -power }))]);
    },
  );
}

const broadcast = (law: (step: Step, laws: Laws) => void): Operator => ({
  align(step) {
    step.give(0, alignBroadcast(step.all));
  },
  law,
});

const unary = (law: (laws: Laws, output: Value, input: Value, step: Step) => void): Operator => ({
  align(step) {
    step.give(0, step.input(0).axes);
  },
  law(step, laws) {
    law(laws, step.output(), step.input(0), step);
  },
});

/** A function of each coordinate with one strictness on both sides. */
const pointFunction = (strictness: Strictness): Operator =>
  unary((laws, output, input) => {
    if (strictness !== "pointwise") output.places.forEach((place, axis) => laws.relate(place, input.axis(axis)));
    for (const value of [output, input]) restrictAll(laws, value, strictness);
  });

/** Linear in each coordinate with the same factor everywhere. */
export const identity: Operator = unary((laws, output, input) => {
  output.places.forEach((place, axis) => laws.relate(place, input.axis(axis)));
});

/** x^power, coordinate by coordinate. */
function powerLaw(laws: Laws, output: Value, input: Value, power: number): void {
  for (const out of output.places) {
    const place = input.axis(out.axis);
    if (power === 1) laws.relate(out, place);
    else if (Number.isInteger(power) && power !== 0 && Math.abs(power) <= 4) {
      laws.balance([
        { place: out, power: 1 },
        { place, power: -power },
      ]);
    } else if (power === 0.5 || power === -0.5) {
      for (const each of [out, place]) laws.restrict(each, "positive");
      laws.balance(
        [
          { place: out, power: 1 },
          { place, power: -power },
        ],
        "magnitudes",
      );
    } else for (const each of [out, place]) laws.restrict(each, "pointwise");
  }
}

const extremum = broadcast((step, laws) => {
  const output = step.output();
  eachAxis(laws, output, step.all, (out, places) => {
    places.forEach((place, i) => {
      if (place) {
        laws.relate(out, place);
        laws.restrict(out, "positive");
      } else laws.restrict(out, step.all[i]!.uniform === 0 ? "positive" : "pointwise");
    });
  });
});

/** Functions of pairs without any symmetry: comparisons, logic, remainders. */
const comparison = broadcast((step, laws) => {
  for (const value of [step.output(), ...step.all]) restrictAll(laws, value, "pointwise");
});

const where = broadcast((step, laws) => {
  const [condition, ...branches] = [step.input(0), step.input(1), step.input(2)];
  const output = step.output();
  restrictAll(laws, condition, "pointwise");
  eachAxis(laws, output, [condition, ...branches], (out, [decides, ...places]) => {
    if (decides) laws.restrict(out, "monomial");
    places.forEach((place, i) => {
      if (place) laws.relate(out, place);
      else if (branches[i]!.uniform !== 0) laws.restrict(out, "sum");
    });
  });
});

/** A choice between two values as wholes: (condition, value if so, value if not), one map for both. */
const choice: Operator = {
  align(step) {
    const [condition, one, other] = [step.inputs[0], step.inputs[1], step.inputs[2]];
    step.seen.add(0);
    if (!condition || !one || !other) throw new Opaque("its branches hold other inner graphs");
    const taken = condition.known?.data.length === 1 ? step.input(condition.known.data[0] === 0 ? 2 : 1) : null;
    const isAlike = one.axes && other.axes && one.shape.join() === other.shape.join();
    if (!isAlike) {
      const why = "its branches have unlike shapes";
      if (!taken) throw new Opaque(why);
      for (const value of [one, other]) step.freeze(value.axes ?? [], why);
      return step.give(
        0,
        taken.shape.map((size) => Space.frozen(size, `If: ${why}`)),
      );
    }
    const [yes, no] = [step.input(1), step.input(2)];
    yes.axes.forEach((space, axis) => space.unify(no.axes[axis] as Space));
    step.give(0, yes.axes);
  },
  law(step, laws) {
    const output = step.output();
    for (const value of [step.inputs[1], step.inputs[2]]) {
      if (value?.axes?.length === output.axes?.length) output.places.forEach((place, axis) => laws.relate(place, value!.axis(axis)));
    }
  },
};

const clip: Operator = unary((laws, output, input, step) => {
  const bound = (index: number, attribute: string): number | null | undefined =>
    step.number(attribute) ?? (step.inputs[index] ? step.inputs[index].uniform : undefined);
  const [low, high] = [bound(1, "min"), bound(2, "max")];
  // Bounds that are not reached count as none.
  const isNone = (limit: number | null | undefined): boolean => limit === undefined || (limit !== null && Math.abs(limit) > 3e38);
  const rectifies = (low === 0 && isNone(high)) || (high === 0 && isNone(low));
  if (rectifies) output.places.forEach((place, axis) => laws.relate(place, input.axis(axis)));
  for (const value of [output, input]) restrictAll(laws, value, rectifies ? "positive" : "pointwise");
});

const prelu: Operator = {
  align(step) {
    step.give(0, alignBroadcast([step.input(0), step.input(1)]));
  },
  law(step, laws) {
    identity.law(step, laws);
    restrictAll(laws, step.output(), "positive");
    restrictAll(laws, step.input(1), "pointwise");
  },
};

const pow: Operator = {
  align(step) {
    step.give(0, alignBroadcast(step.all));
  },
  law(step, laws) {
    const power = step.input(1).uniform;
    if (power !== null && step.input(1).axes.length <= step.input(0).axes.length) powerLaw(laws, step.output(), step.input(0), power);
    else for (const value of [step.output(), ...step.all]) restrictAll(laws, value, "pointwise");
  },
};

/** activation(x + bias) */
const biasedActivation: Operator = {
  align(step) {
    step.give(0, alignBroadcast(step.all));
  },
  law(step, laws) {
    addLaw(laws, step.output(), step.all);
    for (const value of [step.output(), ...step.all]) restrictAll(laws, value, "pointwise");
  },
};

const dropout: Operator = {
  align(step) {
    const { axes } = step.input(0);
    step.give(0, axes);
    step.give(1, axes);
  },
  law(step, laws) {
    identity.law(step, laws);
    const mask = step.maybeOutput(1);
    if (mask) restrictAll(laws, mask, "pointwise");
  },
};

const cast: Operator = {
  align(step) {
    const input = step.input(0);
    // 1 float, 10 float16, 11 double, 16 bfloat16; 6 int32, 7 int64
    const to = step.int("to", 1);
    if (input.ids && to !== 6 && to !== 7) input.ids.expose("Cast turns the ids into other numbers");
    step.give(0, input.axes, { ids: to === 6 || to === 7 ? input.ids : null });
  },
  law(step, laws) {
    identity.law(step, laws);
    const to = step.int("to", 1);
    if (![1, 10, 11, 16].includes(to)) for (const value of [step.output(), step.input(0)]) restrictAll(laws, value, "pointwise");
  },
};

/** Constants that ids are compared with are single ids, at most spread over a sequence. */
const COMPARED_ELEMENTS = 65_536;

const equal: Operator = {
  align(step) {
    const [a, b] = [step.input(0), step.input(1)];
    for (const [one, other, index] of [
      [a, b, 1],
      [b, a, 0],
    ] as const) {
      if (!one.ids) continue;
      // An id compared with a constant: the constant moves along.
      if (other.known && other.uniform !== null && Number.isInteger(other.uniform) && other.known.data.length <= COMPARED_ELEMENTS)
        one.ids.comparisons.push({ node: step.index, input: index });
      else if (other.ids !== one.ids) one.ids.expose("Equal compares the ids with numbers that are not known");
    }
    step.give(0, alignBroadcast([a, b]));
  },
  law: comparison.law,
};

const words = (text: string): readonly string[] => text.trim().split(/\s+/);

const ODD = words("Erf Tanh Sin Sinh Asin Asinh Atan Atanh Tan Sign Softsign");
const POSITIVE = words("Relu LeakyRelu");
const OTHERS = words(`
  Sigmoid HardSigmoid HardSwish Elu Selu Celu Mish Softplus ThresholdedRelu Shrink Gelu QuickGelu Swish
  Exp Log Cos Cosh Acos Acosh Floor Ceil Round Not BitwiseNot IsNaN IsInf Softmax LogSoftmax
`);

/** Odd functions let signs pass, positively homogeneous ones positive scales; all others move no more than coordinates. */
const POINT_FUNCTIONS: ReadonlyMap<string, Strictness> = new Map<string, Strictness>([
  ...ODD.map((name) => [name, "odd"] as const),
  ...POSITIVE.map((name) => [name, "positive"] as const),
  ...OTHERS.map((name) => [name, "pointwise"] as const),
]);

/** Old forms (before operator set 13) flatten the trailing axes; both are covered by permutations of all axes. */
export const elementwise: Readonly<Record<string, Operator>> = {
  ...Object.fromEntries([...POINT_FUNCTIONS].map(([name, strictness]) => [name, pointFunction(strictness)])),
  Identity: {
    align(step) {
      step.give(0, step.input(0).axes, { ids: step.input(0).ids });
    },
    law: identity.law,
  },
  Neg: identity,
  Dropout: dropout,
  Cast: cast,
  Abs: unary((laws, output, input) => {
    for (const out of output.places) {
      const place = input.axis(out.axis);
      laws.restrict(out, "positive");
      laws.balance(
        [
          { place: out, power: 1 },
          { place, power: -1 },
        ],
        "magnitudes",
      );
    }
  }),
  Sqrt: unary((laws, output, input) => powerLaw(laws, output, input, 0.5)),
  Reciprocal: unary((laws, output, input) => powerLaw(laws, output, input, -1)),
  Pow: pow,
  Clip: clip,
  PRelu: prelu,
  Add: broadcast((step, laws) => addLaw(laws, step.output(), step.all)),
  Sub: broadcast((step, laws) => addLaw(laws, step.output(), step.all)),
  Sum: broadcast((step, laws) => addLaw(laws, step.output(), step.all)),
  Mul: broadcast((step, laws) =>
    productLaw(
      laws,
      step.output(),
      step.all.map((value) => ({ value, power: 1 })),
    ),
  ),
  Div: broadcast((step, laws) =>
    productLaw(
      laws,
      step.output(),
      step.all.map((value, i) => ({ value, power: i === 0 ? 1 : -1 })),
    ),
  ),
  Max: extremum,
  Min: extremum,
  Where: where,
  If: choice,
  Equal: equal,
  ...Object.fromEntries(
    ["Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Xor", "Mod", "BitShift"].map((name) => [name, comparison]),
  ),
  "com.microsoft:BiasGelu": biasedActivation,
  "com.microsoft:FastGelu": biasedActivation,
  "com.microsoft:Gelu": pointFunction("pointwise"),
  "com.microsoft:QuickGelu": pointFunction("pointwise"),
};
