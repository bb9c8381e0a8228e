/**
 * Operators that pick or place elements by data. Nothing may act on what they touch, but their shapes are known, so that what comes
 * behind them can still be followed.
 * @module
 */
import { Opaque, type Operator, type Step } from "../operator.ts";
import { Space } from "../space.ts";

const BY_DATA = "picks elements by data";

const shaped = (shapeOf: (step: Step) => readonly (readonly number[])[]): Operator => ({
  align(step) {
    const shapes = shapeOf(step);
    step.inputs.forEach((value, i) => {
      step.seen.add(i);
      step.freeze(value?.axes ?? [], BY_DATA);
    });
    shapes.forEach((shape, i) =>
      step.give(
        i,
        shape.map((size) => Space.frozen(size, `${step.node.operator}: ${BY_DATA}`)),
      ),
    );
  },
  law() {},
});

const like = (index: number): Operator => shaped((step) => [step.input(index).shape]);

export const selection: Readonly<Record<string, Operator>> = {
  GatherElements: like(1),
  ScatterElements: like(0),
  ScatterND: like(0),
  Scatter: like(0),
  LRN: like(0),
  MeanVarianceNormalization: like(0),
  EyeLike: like(0),
  ReverseSequence: like(0),
  RotaryEmbedding: like(0),
  "com.microsoft:RotaryEmbedding": like(0),
  "com.microsoft:GroupQueryAttention": shaped((step) => {
    const query = step.input(0).shape;
    const [batch = 1, length = 1, width = 1] = query;
    const heads = step.int("kv_num_heads", 1);
    const queries = step.int("num_heads", 1);
    const isPacked = !step.inputs[1];
    const each = width / (isPacked ? queries + 2 * heads : queries);
    const past = step.inputs[3]?.axes?.[2]?.size ?? 0;
    const present = [batch, heads, past + length, each];
    return [[batch, length, queries * each], present, present];
  }),
  RandomNormalLike: like(0),
  RandomUniformLike: like(0),
  Bernoulli: like(0),
  GatherND: shaped((step) => {
    const [data, indices] = [step.input(0).shape, step.input(1).shape];
    if (step.int("batch_dims", 0) !== 0) throw new Opaque("batch dimensions");
    const depth = indices.at(-1) ?? 0;
    return [[...indices.slice(0, -1), ...data.slice(depth)]];
  }),
  TopK: shaped((step) => {
    const { shape } = step.input(0);
    const count = step.int("k") ?? step.inputs[1]?.known?.data[0];
    if (count === undefined) throw new Opaque("its count depends on the data");
    const axis = step.int("axis", -1);
    const at = axis < 0 ? axis + shape.length : axis;
    const kept = shape.map((size, i) => (i === at ? count : size));
    return [kept, kept];
  }),
  OneHot: shaped((step) => {
    const { shape } = step.input(0);
    const depth = step.inputs[1]?.known?.data[0];
    if (depth === undefined) throw new Opaque("its depth depends on the data");
    const axis = step.int("axis", -1);
    const at = axis < 0 ? axis + shape.length + 1 : axis;
    return [[...shape.slice(0, at), depth, ...shape.slice(at)]];
  }),
};
