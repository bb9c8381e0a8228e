/**
 * For tests: operators that pick by data, branches, and operators that the tracer does not know.
 * @module
 */
import { onnxNode } from "../../checkpoint/onnx-encode.ts";
import type { OnnxGraph } from "../../checkpoint/onnx.ts";
import { elements, MICROSOFT, withLast, type Drawn, type GraphBuilder } from "./graph-builder.fixture.ts";
import type { Rule } from "./random-shapes.fixture.ts";

/** Operators that pick by data, and those that the tracer does not know. */
export const opaque: Rule = (b, value) => {
  const { dice } = b;
  const { shape } = value;
  const rank = shape.length;
  const size = shape.at(-1);
  if (rank < 2 || typeof size !== "number" || size < 2) return null;
  switch (dice.below(12)) {
    case 8:
    case 10:
    case 11:
      return byPlace(b, value);
    case 9: {
      if (rank !== 4 || typeof shape[1] !== "number") return null;
      return dice.chance(0.5)
        ? b.node("LRN", [value], shape, { size: 3 })
        : b.node("MeanVarianceNormalization", [b.node("Add", [value, b.gaussian([size], 1)], shape)], shape, { axes: [0, 2, 3] });
    }
    case 0: {
      const count = dice.between(1, size);
      const [values] = b.nodes("TopK", [value, b.ints([count])], [withLast(shape, count), withLast(shape, count)], { axis: -1 });
      return values!;
    }
    case 1: {
      const best = b.node("ArgMax", [value], withLast(shape, 1), { axis: -1 });
      return b.node("Mul", [b.node("Cast", [best], best.shape, { to: 1 }), b.scalar(0.2)], best.shape);
    }
    case 2: {
      const best = b.node("ArgMin", [value], shape.slice(0, -1), { axis: -1, keepdims: 0 });
      const hot = b.node("OneHot", [best, b.ints([size], []), b.stored([2], [0, 1])], shape, { axis: -1 });
      return b.node("Mul", [hot, value], shape);
    }
    case 3:
      return maybeDescribed(b, b.node("FusedMatMul", [value, b.weight([size, 3], size)], withLast(shape, 3), {}, MICROSOFT));
    case 4: {
      const order = dice.shuffled(Array.from({ length: size }, (_, i) => i));
      const taken = b.node("Gather", [value, b.ints(order)], shape, { axis: rank - 1 });
      return b.node("Hardmax", [taken], shape, { axis: rank - 1 });
    }
    case 5: {
      if (!shape.every((each) => typeof each === "number") || elements(shape) > 200) return null;
      const indices = b.ints(
        Array.from({ length: elements(shape) }, () => dice.below(size)),
        shape as number[],
      );
      return b.node("GatherElements", [value, indices], shape, { axis: -1 });
    }
    case 6:
      return b.opset >= 14 ? maybeDescribed(b, b.node("Trilu", [value], shape)) : null;
    default:
      return maybeDescribed(b, choice(b, value));
  }
};

/** Operators that read or write by places of the last axis or the first. */
function byPlace(b: GraphBuilder, value: Drawn): Drawn | null {
  const { dice } = b;
  const { shape } = value;
  const size = shape.at(-1) as number;
  const [first] = shape;
  if (typeof first !== "number" || !shape.every((each) => typeof each === "number")) {
    const scaled = b.node("Mul", [value, b.scalar(40)], shape);
    const rounded = b.nodes("QuantizeLinear", [scaled, b.scalar(0.5, []), null], [shape])[0]!;
    return b.node("DequantizeLinear", [rounded, b.scalar(0.02, [])], shape);
  }
  switch (dice.below(6)) {
    case 0:
      return b.node("GatherND", [value, b.ints([dice.below(first), 0], [2, 1])], [2, ...shape.slice(1)]);
    case 1:
      return b.node("ScatterND", [value, b.ints([dice.below(first)], [1, 1]), b.gaussian([1, ...(shape.slice(1) as number[])], 1)], shape);
    case 2: {
      const places = withLast(shape, 1) as number[];
      const indices = b.ints(
        Array.from({ length: elements(places) }, () => dice.below(size)),
        places,
      );
      return b.node("ScatterElements", [value, indices, b.gaussian(places, 1)], shape, { axis: -1 });
    }
    case 3: {
      const lengths = b.ints(Array.from({ length: shape[1] as number }, () => dice.between(1, first)));
      return b.node("ReverseSequence", [value, lengths], shape, { time_axis: 0, batch_axis: 1 });
    }
    case 4: {
      if (shape.length !== 2) return null;
      return b.node("Add", [value, b.node("EyeLike", [value], shape)], shape);
    }
    default: {
      const positive = b.node("Add", [b.node("Abs", [value], shape), b.scalar(0.2)], shape);
      return b.node("Mod", [positive, b.scalar(0.7)], shape, { fmod: 1 });
    }
  }
}

/** A value or its negative, by branches that take it from outside. */
function choice(b: GraphBuilder, value: Drawn): Drawn {
  const { shape } = value;
  const sum = b.reduce(
    "ReduceSum",
    value,
    shape.map((_, axis) => axis),
    false,
  );
  const branch = (operator: string): OnnxGraph => {
    const name = b.fresh("inner");
    return {
      name,
      nodes: [onnxNode(operator, [value.name], [name])],
      initializers: new Map(),
      inputs: [],
      outputs: [{ name, type: "float32", shape: null }],
      values: new Map(),
    };
  };
  const condition = b.node("Greater", [sum, b.scalar(0.1, [])], []);
  return b.node("If", [condition], shape, { then_branch: branch("Identity"), else_branch: branch("Neg") });
}

/** States the shape of what the tracer cannot tell, or not. */
export function maybeDescribed(b: GraphBuilder, value: Drawn): Drawn {
  return b.dice.chance(0.6) ? b.describe(value) : value;
}
