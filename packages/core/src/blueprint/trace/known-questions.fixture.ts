/**
 * For tests: random cases of every operator that `evaluate` covers, in types that ONNX Runtime's CPU kernels accept.
 * One file, long as it is, since all operators draw from the same few shapes and contents.
 * @module
 */
import * as fc from "fast-check";
import { elementNumber } from "../../checkpoint/onnx-types.ts";
import type { OnnxType } from "../../checkpoint/onnx.ts";
import type { Known } from "./known.ts";
import type { Attribute, Question } from "./one-node.fixture.ts";

type Shape = readonly number[];

/** A tensor of given content. */
export function known(type: OnnxType, shape: Shape, data: readonly number[]): Known {
  return { type, shape, data: Float64Array.from(data) };
}

/** A list of int64. */
export function list(...values: number[]): Known {
  return known("int64", [values.length], values);
}

function elements(type: OnnxType): fc.Arbitrary<number> {
  switch (type) {
    case "bool":
      return fc.nat(1);
    case "uint8":
      return fc.nat(255);
    case "int8":
      return fc.integer({ min: -128, max: 127 });
    case "float32":
    case "float64":
      // Halves, zeros of both signs and many equal numbers, so that ties and rounding are met.
      return fc.oneof(
        fc.integer({ min: -12, max: 12 }).map((n) => n / 2),
        fc.double({ min: -8, max: 8, noNaN: true }).map(Math.fround),
      );
    default:
      return fc.integer({ min: -20, max: 20 });
  }
}

function fill(type: OnnxType, shape: Shape, element = elements(type)): fc.Arbitrary<Known> {
  const count = shape.reduce((product, size) => product * size, 1);
  return fc.array(element, { minLength: count, maxLength: count }).map((data) => known(type, shape, data));
}

/** Sizes 0 to 4; empty axes are seldom, so that most cases have content. */
function shapes(minimum = 0, maximum = 4, least = 0): fc.Arbitrary<number[]> {
  const size = fc.oneof(
    { arbitrary: fc.integer({ min: 1, max: 4 }), weight: 9 },
    { arbitrary: fc.integer({ min: least, max: 4 }), weight: 1 },
  );
  return fc.array(size, { minLength: minimum, maxLength: maximum });
}

/** Shapes that broadcast together: leading axes dropped and sizes set to 1. */
function broadcasting(count: number, least = 0): fc.Arbitrary<number[][]> {
  return shapes(0, 4, least).chain((shape) =>
    fc.array(
      fc
        .record({ dropped: fc.nat(shape.length), ones: fc.array(fc.boolean(), { minLength: shape.length, maxLength: shape.length }) })
        .map(({ dropped, ones }) => shape.map((size, axis) => (ones[axis] ? 1 : size)).slice(dropped)),
      { minLength: count, maxLength: count },
    ),
  );
}

export function question(
  operator: string,
  inputs: readonly (Known | null)[],
  attributes: Readonly<Record<string, Attribute>> = {},
  opset = 17,
  outputs = 1,
): Question {
  return { operator, inputs, attributes, opset, outputs };
}

const flag = fc.constantFrom(0, 1);

function axisOf(rank: number): fc.Arbitrary<number> {
  return fc.integer({ min: -rank, max: rank - 1 });
}

function axesOf(rank: number): fc.Arbitrary<number[]> {
  return fc
    .subarray(Array.from({ length: rank }, (_, axis) => axis))
    .chain((axes) =>
      fc
        .array(fc.boolean(), { minLength: axes.length, maxLength: axes.length })
        .map((negative) => axes.map((axis, i) => (negative[i] ? axis - rank : axis))),
    );
}

function unary(operator: string, types: readonly OnnxType[], element?: fc.Arbitrary<number>): fc.Arbitrary<Question> {
  return fc
    .tuple(fc.constantFrom(...types), shapes())
    .chain(([type, shape]) => fill(type, shape, element))
    .map((input) => question(operator, [input]));
}

interface BinaryChoices {
  readonly second?: (type: OnnxType) => fc.Arbitrary<number>;
  readonly first?: (type: OnnxType) => fc.Arbitrary<number>;
  readonly attributes?: (type: OnnxType) => fc.Arbitrary<Record<string, Attribute>>;
}

function binary(operator: string, types: readonly OnnxType[], choices: BinaryChoices = {}): fc.Arbitrary<Question> {
  return fc
    .tuple(fc.constantFrom(...types), broadcasting(2))
    .chain(([type, [left, right]]) =>
      fc
        .tuple(
          fill(type, left!, choices.first?.(type)),
          fill(type, right!, choices.second?.(type)),
          choices.attributes?.(type) ?? fc.constant<Record<string, Attribute>>({}),
        )
        .map(([a, b, attributes]) => question(operator, [a, b], attributes)),
    );
}

function variadic(operator: string, types: readonly OnnxType[]): fc.Arbitrary<Question> {
  return fc
    .tuple(
      fc.constantFrom(...types),
      fc.integer({ min: 1, max: 4 }).chain((count) => broadcasting(count)),
    )
    .chain(([type, all]) => fc.tuple(...all.map((shape) => fill(type, shape))))
    .map((inputs) => question(operator, inputs));
}

function reduction(operator: string, types: readonly OnnxType[], firstWithInput: number): fc.Arbitrary<Question> {
  return fc.tuple(fc.constantFrom(...types), shapes(0, 4, 1)).chain(([type, shape]) =>
    fc
      .record({
        input: fill(type, shape, operator === "ReduceProd" ? fc.integer({ min: -3, max: 3 }) : undefined),
        axes: fc.option(axesOf(shape.length)),
        keepdims: flag,
        noop: flag,
        old: fc.boolean(),
      })
      .map(({ input, axes, keepdims, noop, old }) => {
        if (old && type !== "float64") {
          const named = axes === null || axes.length === 0 ? {} : { axes };
          return question(operator, [input], { keepdims, ...named }, firstWithInput - 1);
        }
        return question(operator, axes === null ? [input] : [input, list(...axes)], { keepdims, noop_with_empty_axes: noop }, 18);
      }),
  );
}

const real: readonly OnnxType[] = ["float32", "float64"];
const numbers: readonly OnnxType[] = ["float32", "float64", "int32", "int64"];
const positive = fc.double({ min: 0.01, max: 20, noNaN: true }).map(Math.fround);
const special = fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -0, 1, -2.5, 0.5, 1.5, 2.5, -0.5, -1.5);
const anyReal = fc.oneof(elements("float32"), special);
const movable: readonly OnnxType[] = ["float32", "float64", "int32", "int64", "bool", "float16", "uint8"];

function nonZeroDivisor(type: OnnxType): fc.Arbitrary<number> {
  return elements(type).map((value) => (value === 0 ? 3 : value));
}

function moved(minimum = 0): fc.Arbitrary<Known> {
  return fc.tuple(fc.constantFrom(...movable), shapes(minimum)).chain(([type, shape]) => fill(type, shape));
}

/** Indices of some shape into an axis. */
function indices(shape: Shape, size: number): fc.Arbitrary<Known> {
  return fc
    .constantFrom<OnnxType>("int64", "int32")
    .chain((type) => fill(type, shape, fc.integer({ min: -size, max: Math.max(size - 1, -size) })));
}

const gather = fc
  .tuple(fc.constantFrom(...movable), shapes(1, 3, 1), shapes(0, 2))
  .chain(([type, shape, picked]) =>
    axisOf(shape.length).chain((axis) =>
      fc.tuple(fill(type, shape), indices(picked, shape.at(axis)!)).map(([data, chosen]) => question("Gather", [data, chosen], { axis })),
    ),
  );

const gatherElements = fc
  .tuple(fc.constantFrom(...movable), shapes(1, 3, 1))
  .chain(([type, shape]) =>
    axisOf(shape.length).chain((axis) =>
      fc
        .tuple(
          ...shape.map((size, other) =>
            other === (axis + shape.length) % shape.length ? fc.integer({ min: 1, max: 5 }) : fc.integer({ min: 1, max: size }),
          ),
        )
        .chain((picked) =>
          fc
            .tuple(fill(type, shape), indices(picked, shape.at(axis)!))
            .map(([data, chosen]) => question("GatherElements", [data, chosen], { axis })),
        ),
    ),
  );

/** Updates without two for one place, whose order no runtime promises, unless a sum makes it irrelevant. */
const scatterElements = fc.tuple(shapes(1, 3, 1), fc.constantFrom("none", "add", "mul", "min", "max")).chain(([shape, reduction]) =>
  axisOf(shape.length).chain((axis) => {
    const size = shape.at(axis)!;
    const picked = shape.with(axis, reduction === "none" ? 1 : size);
    return fc
      .tuple(fill("float32", shape), indices(picked, size), fill("float32", picked))
      .map(([data, chosen, updates]) => question("ScatterElements", [data, chosen, updates], { axis, reduction }, 18));
  }),
);

/** Index rows for the axes of a shape. */
function rowsFor(axes: Shape, rows: Shape, unique: boolean): fc.Arbitrary<Known> {
  const count = rows.reduce((product, size) => product * size, 1);
  const row = fc.tuple(...axes.map((size) => fc.integer({ min: -size, max: size - 1 })));
  const selector = (one: readonly number[]): string => one.map((index, i) => (index + axes[i]!) % axes[i]!).join();
  const array = unique ? fc.uniqueArray(row, { maxLength: count, selector }) : fc.array(row, { minLength: count, maxLength: count });
  return array.map((all) => known("int64", unique ? [all.length, axes.length] : [...rows, axes.length], all.flat()));
}

const gatherNd = fc
  .tuple(fc.constantFrom<OnnxType>("float32", "int64", "bool"), shapes(1, 4, 1), fc.nat(2))
  .chain(([type, shape, wanted]) => {
    const batch = Math.min(wanted, shape.length - 1);
    return fc
      .tuple(fc.integer({ min: 1, max: shape.length - batch }), fc.integer({ min: 1, max: 3 }))
      .chain(([depth, rows]) =>
        fc
          .tuple(fill(type, shape), rowsFor(shape.slice(batch, batch + depth), [...shape.slice(0, batch), rows], false))
          .map(([data, chosen]) => question("GatherND", [data, chosen], { batch_dims: batch })),
      );
  });

const scatterNd = fc.tuple(shapes(1, 3, 1), fc.constantFrom("none", "add", "mul", "min", "max")).chain(([shape, reduction]) =>
  fc.integer({ min: 1, max: shape.length }).chain((depth) =>
    rowsFor(shape.slice(0, depth), [3], reduction === "none")
      .filter((chosen) => chosen.shape[0]! > 0)
      .chain((chosen) =>
        fc
          .tuple(fill("float32", shape), fill("float32", [chosen.shape[0]!, ...shape.slice(depth)]))
          .map(([data, updates]) => question("ScatterND", [data, chosen, updates], { reduction }, 18)),
      ),
  ),
);

const concat = fc
  .tuple(fc.constantFrom(...movable), shapes(1, 3))
  .chain(([type, shape]) =>
    fc
      .tuple(axisOf(shape.length), fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 4 }))
      .chain(([axis, sizes]) =>
        fc.tuple(...sizes.map((size) => fill(type, shape.with(axis, size)))).map((inputs) => question("Concat", inputs, { axis })),
      ),
  );

/** Starts and ends inside, outside and at the extremes that exporters write for "to the end". */
const bound = fc.oneof(
  fc.integer({ min: -7, max: 7 }),
  fc.constantFrom(Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER, 2 ** 31 - 1, -(2 ** 31)),
);
const slice = moved(1).chain((input) =>
  fc
    .record({ axes: axesOf(input.shape.length), form: fc.constantFrom("old", "new", "whole") })
    .filter(({ axes }) => axes.length > 0)
    .chain(({ axes, form }) => {
      const count = form === "whole" ? input.shape.length : axes.length;
      const bounds = fc.array(bound, { minLength: count, maxLength: count });
      const steps = fc.array(fc.constantFrom(1, 2, 3, -1, -2, -3, Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER), {
        minLength: count,
        maxLength: count,
      });
      return fc.tuple(bounds, bounds, steps).map(([starts, ends, stepped]) => {
        if (form === "old") return question("Slice", [input], { starts, ends, axes }, 9);
        if (form === "whole") return question("Slice", [input, list(...starts), list(...ends)]);
        return question("Slice", [input, list(...starts), list(...ends), list(...axes), list(...stepped)]);
      });
    }),
);

const split = fc.tuple(fc.constantFrom<OnnxType>("float32", "int64", "int32"), shapes(1, 3, 1)).chain(([type, shape]) =>
  fc
    .record({
      axis: axisOf(shape.length),
      sizes: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 4 }),
      form: fc.constantFrom("attribute", "input", "equal", "number"),
    })
    .chain(({ axis, sizes, form }) => {
      const count = sizes.length;
      const total = sizes.reduce((sum, size) => sum + size, 0);
      if (form === "equal") {
        return fill(type, shape.with(axis, 2 * count)).map((input) => question("Split", [input], { axis }, 13, count));
      }
      if (form === "number") {
        return fill(type, shape.with(axis, 3 * count - (count > 1 ? 1 : 0))).map((input) =>
          question("Split", [input], { axis, num_outputs: count }, 18, count),
        );
      }
      return fill(type, shape.with(axis, total)).map((input) =>
        form === "attribute"
          ? question("Split", [input], { axis, split: sizes }, 11, count)
          : question("Split", [input, list(...sizes)], { axis }, 13, count),
      );
    }),
);

const reshape = moved().chain((input) => {
  const count = input.data.length;
  return fc
    .record({ kind: fc.constantFrom("flat", "same", "open", "keep", "zero"), place: fc.nat(input.shape.length), allowzero: flag })
    .map(({ kind, place, allowzero }) => {
      const named = (shape: Shape): Question => question("Reshape", [input, list(...shape)], { allowzero: count === 0 ? 1 : allowzero });
      if (kind === "flat" || count === 0) return named([count]);
      if (kind === "same") return named(input.shape);
      if (kind === "open") return named(input.shape.toSpliced(place, 1, -1));
      if (kind === "keep" && allowzero === 0) return named(input.shape.map((size, axis) => (axis === place ? 0 : size)));
      return named([1, count, 1]);
    });
});

const squeeze = moved().chain((input) => {
  const ones = input.shape.flatMap((size, axis) => (size === 1 ? [axis] : []));
  return fc.tuple(fc.subarray(ones), fc.constantFrom("none", "attribute", "input"), fc.boolean()).map(([axes, form, negative]) => {
    const named = negative ? axes.map((axis) => axis - input.shape.length) : axes;
    if (form === "none" || axes.length === 0) return question("Squeeze", [input], {}, 13);
    return form === "attribute" ? question("Squeeze", [input], { axes: named }, 11) : question("Squeeze", [input, list(...named)]);
  });
});

const unsqueeze = moved().chain((input) =>
  fc.integer({ min: 1, max: 3 }).chain((added) =>
    fc
      .tuple(axesOf(input.shape.length + added), fc.boolean())
      .filter(([axes]) => axes.length === added)
      .map(([axes, old]) => (old ? question("Unsqueeze", [input], { axes }, 11) : question("Unsqueeze", [input, list(...axes)]))),
  ),
);

const pad = fc.tuple(fc.constantFrom<OnnxType>("float32", "float64", "int64", "int32", "bool"), shapes(1, 3, 1)).chain(([type, shape]) =>
  fc
    .record({
      form: fc.constantFrom("old", "plain", "value", "axes"),
      axes: axesOf(shape.length),
      input: fill(type, shape),
      value: fill(type, []),
    })
    .chain(({ form, axes, input, value }) => {
      const padded = form === "axes" ? axes : shape.map((_, axis) => axis);
      const before = fc.tuple(...padded.map((axis) => fc.integer({ min: 1 - shape.at(axis)!, max: 3 })));
      const after = fc.tuple(...padded.map(() => fc.integer({ min: 0, max: 3 })));
      return fc.tuple(before, after).map(([first, last]) => {
        const pads = [...first, ...last];
        if (form === "old" && type === "float32") return question("Pad", [input], { pads, value: { float: value.data[0]! } }, 10);
        if (form === "plain" || form === "old") return question("Pad", [input, list(...pads)]);
        if (form === "value") return question("Pad", [input, list(...pads), value], { mode: "constant" });
        return question("Pad", [input, list(...pads), value, list(...axes)], {}, 18);
      });
    }),
);

const castTypes: readonly OnnxType[] = ["float32", "float64", "float16", "int8", "uint8", "int16", "int32", "int64", "uint32", "bool"];

/** Any pair of types; a negative float in an unsigned type is left out, since C leaves it undefined. */
const cast = fc.tuple(fc.constantFrom(...castTypes), fc.constantFrom(...castTypes), shapes()).chain(([from, to, shape]) => {
  const negative = from !== "bool" && !from.startsWith("u");
  const floating = from.startsWith("float");
  const signed = !(floating && to.startsWith("u"));
  const element = fc
    .integer({ min: negative && signed ? -100 : 0, max: from === "bool" ? 1 : 100 })
    .map((value) => (floating ? value + (value % 4) / 4 : value));
  return fill(from, shape, element).map((input) => ({ input, to }));
});

const range = fc.constantFrom<OnnxType>("float32", "float64", "int32", "int64", "int16").chain((type) => {
  const number = type.startsWith("float") ? fc.integer({ min: -40, max: 40 }).map((n) => n / 4) : fc.integer({ min: -20, max: 20 });
  return fc
    .tuple(
      number,
      number,
      number.map((delta) => (delta === 0 ? 1 : delta)),
    )
    .map(([start, limit, delta]) =>
      question(
        "Range",
        [start, limit, delta].map((value) => known(type, [], [value])),
      ),
    );
});

const constant = fc.oneof(
  moved().map((value) => question("Constant", [], { value })),
  fc.integer({ min: -9, max: 9 }).map((value) => question("Constant", [], { value_int: value })),
  fc.array(fc.integer({ min: -9, max: 9 }), { minLength: 1 }).map((value) => question("Constant", [], { value_ints: value })),
  anyReal.map((value) => question("Constant", [], { value_float: { float: value } })),
  fc.array(anyReal, { minLength: 1 }).map((value) => question("Constant", [], { value_floats: { floats: value } })),
);

const clip = fc.tuple(fc.constantFrom<OnnxType>("float32", "float64", "int32", "int64", "int8", "uint8"), shapes()).chain(([type, shape]) =>
  fc.tuple(fill(type, shape), fc.option(fill(type, [])), fc.option(fill(type, [])), fc.boolean()).map(([input, low, high, old]) => {
    const crossed = low !== null && high !== null && low.data[0]! > high.data[0]!; // an error up to operator set 10
    if (!old || crossed || type !== "float32") return question("Clip", [input, low, high]);
    const attributes: Record<string, Attribute> = {};
    if (low !== null) attributes["min"] = { float: low.data[0]! };
    if (high !== null) attributes["max"] = { float: high.data[0]! };
    return question("Clip", [input], attributes, 10);
  }),
);

const where = fc
  .tuple(fc.constantFrom<OnnxType>("float32", "int64", "int32", "uint8"), broadcasting(3))
  .chain(([type, [a, b, c]]) => fc.tuple(fill("bool", a!), fill(type, b!), fill(type, c!)).map((inputs) => question("Where", inputs)));

const expand = fc
  .tuple(fc.constantFrom(...movable), broadcasting(2))
  .chain(([type, [from, to]]) => fill(type, from!).map((input) => question("Expand", [input, list(...to!)])));

const tile = moved(1).chain((input) =>
  fc
    .array(fc.nat(3), { minLength: input.shape.length, maxLength: input.shape.length })
    .map((repeats) => question("Tile", [input, list(...repeats)])),
);

const trilu = fc
  .tuple(fc.constantFrom<OnnxType>("float32", "int64", "float64", "bool"), shapes(2, 4))
  .chain(([type, shape]) =>
    fc
      .tuple(fill(type, shape), fc.option(fc.integer({ min: -5, max: 5 })), flag)
      .map(([input, k, upper]) => question("Trilu", k === null ? [input] : [input, known("int64", [], [k])], { upper })),
  );

const eyeLike = fc
  .tuple(fc.constantFrom<OnnxType>("float32", "int64", "float64", "int32"), shapes(2, 2), fc.integer({ min: -4, max: 4 }), fc.boolean())
  .chain(([type, shape, k, typed]) =>
    fill("float32", shape).map((input) => question("EyeLike", [input], typed ? { k, dtype: elementNumber(type, "dtype") } : { k })),
  );

const oneHot = shapes(1, 3).chain((shape) =>
  fc
    .tuple(fill("int64", shape, fc.integer({ min: -8, max: 8 })), fc.integer({ min: 1, max: 5 }), axisOf(shape.length + 1))
    .map(([chosen, depth, axis]) => question("OneHot", [chosen, known("int64", [], [depth]), known("float32", [2], [0.5, 3])], { axis })),
);

const topK = fc
  .tuple(fc.constantFrom<OnnxType>("float32", "int64", "float64", "int32"), shapes(1, 3, 1))
  .chain(([type, shape]) =>
    axisOf(shape.length).chain((axis) =>
      fc
        .tuple(fill(type, shape), fc.integer({ min: 0, max: shape.at(axis)! }), flag)
        .map(([input, k, largest]) => question("TopK", [input, list(k)], { axis, largest }, 17, 2)),
    ),
  );

const cumulativeSum = fc
  .tuple(fc.constantFrom(...numbers), shapes(1, 3, 1))
  .chain(([type, shape]) =>
    fc
      .tuple(fill(type, shape), axisOf(shape.length), flag, flag)
      .map(([input, axis, exclusive, reverse]) => question("CumSum", [input, known("int64", [], [axis])], { exclusive, reverse })),
  );

function argument(operator: string): fc.Arbitrary<Question> {
  return fc
    .tuple(fc.constantFrom<OnnxType>("float32", "int32"), shapes(1, 3, 1))
    .chain(([type, shape]) =>
      fc
        .tuple(fill(type, shape), axisOf(shape.length), flag, flag)
        .map(([input, axis, keepdims, last]) => question(operator, [input], { axis, keepdims, select_last_index: last })),
    );
}

const matrixProduct = fc
  .tuple(
    fc.constantFrom(...numbers),
    broadcasting(2, 1),
    fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })),
    fc.constantFrom("full", "row", "column", "dot"),
  )
  .chain(([type, [left, right], [rows, inner, columns], form]) => {
    const a = form === "row" || form === "dot" ? [inner] : [...left!, rows, inner];
    const b = form === "column" || form === "dot" ? [inner] : [...right!, inner, columns];
    return fc.tuple(fill(type, a), fill(type, b)).map((inputs) => question("MatMul", inputs));
  });

const modulo = fc.constantFrom<OnnxType>("float32", "int32", "int64", "int8", "uint8").chain((type) =>
  binary("Mod", [type], {
    second: nonZeroDivisor,
    attributes: () => (type === "float32" ? fc.constant({ fmod: 1 }) : fc.record({ fmod: flag })),
  }),
);

const power = fc.oneof(
  binary("Pow", real, { first: () => positive }),
  binary("Pow", ["int32", "int64"], { first: () => fc.integer({ min: -5, max: 5 }), second: () => fc.nat(6) }),
  fill("float32", [3, 2]).chain((base) => fc.constantFrom(2, 3).map((n) => question("Pow", [base, known("int64", [], [n])]))),
);

const shapeOf = moved().chain((input) =>
  fc
    .record({ start: fc.integer({ min: -6, max: 6 }), end: fc.integer({ min: -6, max: 6 }) }, { requiredKeys: [], noNullPrototype: true })
    .map((attributes) => question("Shape", [input], attributes as Record<string, Attribute>)),
);

/** Random cases of each operator. */
export const questions: Readonly<Record<string, fc.Arbitrary<Question>>> = {
  Add: binary("Add", numbers),
  Sub: binary("Sub", numbers),
  Mul: binary("Mul", numbers),
  Div: binary("Div", numbers, { second: nonZeroDivisor }),
  Mod: modulo,
  Pow: power,
  Sum: variadic("Sum", real),
  Mean: variadic("Mean", ["float32"]),
  Min: variadic("Min", numbers),
  Max: variadic("Max", numbers),
  Clip: clip,
  Where: where,
  Neg: unary("Neg", [...numbers, "int8"]),
  Abs: unary("Abs", [...numbers, "int8", "uint8"]),
  Sign: unary("Sign", numbers),
  Floor: unary("Floor", real, anyReal),
  Ceil: unary("Ceil", real, anyReal),
  Round: unary("Round", real, anyReal),
  Sqrt: unary("Sqrt", real, anyReal),
  Reciprocal: unary("Reciprocal", real, anyReal),
  Exp: unary("Exp", real),
  Log: unary("Log", real, positive),
  Sin: unary("Sin", real),
  Cos: unary("Cos", ["float32"]),
  Tanh: unary("Tanh", real),
  Erf: unary("Erf", ["float32"]),
  Sigmoid: unary("Sigmoid", real),
  Relu: unary("Relu", real),
  IsNaN: unary("IsNaN", real, anyReal),
  Not: unary("Not", ["bool"]),
  And: binary("And", ["bool"]),
  Or: binary("Or", ["bool"]),
  Xor: binary("Xor", ["bool"]),
  Equal: binary("Equal", [...numbers, "bool"]),
  Greater: binary("Greater", numbers),
  Less: binary("Less", numbers),
  GreaterOrEqual: binary("GreaterOrEqual", numbers),
  LessOrEqual: binary("LessOrEqual", numbers),
  Constant: constant,
  ConstantOfShape: shapes().chain((shape) =>
    fc
      .option(fc.constantFrom<OnnxType>("float32", "int64", "bool", "int32").chain((type) => fill(type, [1])))
      .map((value) => question("ConstantOfShape", [list(...shape)], value === null ? {} : { value })),
  ),
  Identity: moved().map((input) => question("Identity", [input])),
  Shape: shapeOf,
  Size: moved().map((input) => question("Size", [input])),
  Range: range,
  EyeLike: eyeLike,
  OneHot: oneHot,
  Cast: cast.map(({ input, to }) => question("Cast", [input], { to: elementNumber(to, "to") })),
  CastLike: cast.map(({ input, to }) => question("CastLike", [input, known(to, [1], [1])])),
  Reshape: reshape,
  Flatten: moved().chain((input) =>
    fc.integer({ min: -input.shape.length, max: input.shape.length }).map((axis) => question("Flatten", [input], { axis })),
  ),
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Transpose: moved().chain((input) => {
    const axes = input.shape.map((_, axis) => axis);
    return fc
      .option(fc.shuffledSubarray(axes, { minLength: axes.length }))
      .map((perm) => question("Transpose", [input], perm === null || perm.length === 0 ? {} : { perm }));
  }),
  Expand: expand,
  Tile: tile,
  Concat: concat,
  Split: split,
  Slice: slice,
  Pad: pad,
  Trilu: trilu,
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherNd,
  ScatterElements: scatterElements,
  ScatterND: scatterNd,
  NonZero: fc
    .tuple(fc.constantFrom<OnnxType>("float32", "int64", "bool", "int32"), shapes(0, 3))
    .chain(([type, shape]) => fill(type, shape, fc.nat(1)))
    .map((input) => question("NonZero", [input])),
  ReduceSum: reduction("ReduceSum", numbers, 13),
  ReduceMean: reduction("ReduceMean", ["float32", "float64", "int32"], 18),
  ReduceProd: reduction("ReduceProd", ["float32", "int32", "int64"], 18),
  ReduceMax: reduction("ReduceMax", ["float32", "float64", "int32", "int64"], 18),
  ReduceMin: reduction("ReduceMin", ["float32", "float64", "int32", "int64"], 18),
  ArgMax: argument("ArgMax"),
  ArgMin: argument("ArgMin"),
  CumSum: cumulativeSum,
  TopK: topK,
  MatMul: matrixProduct,
};
