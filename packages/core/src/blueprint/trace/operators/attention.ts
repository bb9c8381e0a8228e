/**
 * Fused attention of ONNX Runtime's transformer optimiser (domain com.microsoft).
 * @module
 */
import type { AxisPlace, Laws } from "../laws.ts";
import { Opaque, restrictAll, type Operator, type Step } from "../operator.ts";
import { Space, unifySums } from "../space.ts";
import type { Value } from "../value.ts";

/** An axis seen as [head, dimension]. */
function headPlaces(step: Step, name: string, space: Space, heads: number): [AxisPlace, AxisPlace] {
  const halves = space.divide(heads);
  if (!halves) throw new Opaque("heads that do not fit the width");
  return [0, 1].map((axis) => ({ value: `${step.index}#${name}`, axis, space: halves[axis] as Space })) as [AxisPlace, AxisPlace];
}

/** Queries and keys meet in inner products, values leave as they are; the heads of all three move together. */
function attentionLaw(
  step: Step,
  laws: Laws,
  sides: { queries: AxisPlace[]; keys: AxisPlace[]; values: AxisPlace[]; output: AxisPlace[] },
): void {
  const heads = step.int("num_heads", 1);
  const seen = Object.entries(sides).map(([name, places]) => {
    const space = Space.sum(places.map(({ space: own }) => own));
    const parts = headPlaces(step, name, places[0]!.space.size === space.size ? places[0]!.space : space, heads);
    laws.relateAll(places, parts);
    return parts;
  });
  const [queries, keys, values, output] = seen as [(typeof seen)[0], (typeof seen)[0], (typeof seen)[0], (typeof seen)[0]];
  for (const [head] of [queries, keys, values, output]) laws.restrict(head, "pointwise");
  laws.relate(queries[1], keys[1], true);
  laws.relate(values[1], output[1]);
  laws.confine([queries[1], keys[1]], [queries[0], keys[0]]);
}

function unifyHeads(step: Step, queries: Space, keys: Space, values: Space, output: Space): void {
  const heads = step.int("num_heads", 1);
  const parts = [queries, keys, values, output].map((space) => space.divide(heads));
  const [q, k, v, o] = parts;
  if (!q || !k || !v || !o) throw new Opaque("heads that do not fit the width");
  for (const other of [k, v, o]) q[0].unify(other[0]);
  q[1].unify(k[1]);
  v[1].unify(o[1]);
}

const attention: Operator = {
  align(step) {
    const [input, weight] = [step.input(0), step.input(1)];
    const [batch, sequence, width] = input.axes;
    const [from, to] = weight.axes;
    if (!batch || !sequence || !width || !from || !to) throw new Opaque("operands of unlike rank");
    if (step.inputs.slice(3).some((value, i) => value && i !== 0)) throw new Opaque("a past or an attention bias");
    if (step.ints("qkv_hidden_sizes") || step.int("do_rotary", 0) !== 0) throw new Opaque("unlike widths or rotary positions");
    from.unify(width);
    const third = to.size / 3;
    if (!Number.isInteger(third)) throw new Opaque("a weight that does not hold three projections");
    const [queries, keys, values] = [Space.leaf(third), Space.leaf(third), Space.leaf(third)];
    if (!unifySums([queries, keys, values], [to])) throw new Opaque("a weight that is cut in another way");
    step.optional(2)?.axes[0]?.unify(to);
    const output = Space.leaf(third);
    unifyHeads(step, queries, keys, values, output);
    sequence.freeze("Attention: positions");
    step.give(0, [batch, sequence, output]);
  },
  law(step, laws) {
    const [input, weight, output] = [step.input(0), step.input(1), step.output()];
    laws.relate(input.axis(2), weight.axis(0), true);
    laws.confine([input.axis(2), weight.axis(0)], []);
    laws.relate(output.axis(0), input.axis(0));
    laws.restrict(output.axis(0), "pointwise");
    const bias = step.optional(2);
    if (bias) laws.relate(bias.axis(0), weight.axis(1));
    const third = weight.axes[1]!.size / 3;
    const parts: AxisPlace[] = [];
    let rest = weight.axes[1] as Space;
    for (const name of ["queries", "keys"]) {
      const halves = rest.cut(third);
      if (!halves) throw new Opaque("a weight that is cut in another way");
      parts.push({ value: `${step.index}#${name}-part`, axis: 0, space: halves[0] });
      rest = halves[1];
    }
    parts.push({ value: `${step.index}#values-part`, axis: 0, space: rest });
    laws.relateAll([weight.axis(1)], parts);
    const [queries, keys, values] = parts as [AxisPlace, AxisPlace, AxisPlace];
    attentionLaw(step, laws, { queries: [queries], keys: [keys], values: [values], output: [output.axis(2)] });
  },
};

/** Queries, keys and values projected before: (batch, sequence, width) each. */
const multiHead: Operator = {
  align(step) {
    const [query, key, value] = [step.input(0), step.input(1), step.input(2)];
    if ([query, key, value].some(({ axes }) => axes.length !== 3)) throw new Opaque("packed operands");
    if (step.inputs.slice(5).some((extra) => extra)) throw new Opaque("a past or an attention bias");
    const output = Space.leaf((value.axes[2] as Space).size);
    unifyHeads(step, query.axes[2] as Space, key.axes[2] as Space, value.axes[2] as Space, output);
    step.optional(3)?.axes[0]?.unify(Space.sum([query.axes[2] as Space, key.axes[2] as Space, value.axes[2] as Space]));
    for (const operand of [query, key, value]) operand.axes[1]!.freeze("MultiHeadAttention: positions");
    query.axes[0]!.unify(key.axes[0] as Space);
    step.give(0, [query.axes[0] as Space, query.axes[1] as Space, output]);
  },
  law(step, laws) {
    const [query, key, value] = [step.input(0), step.input(1), step.input(2)];
    const output: Value = step.output();
    for (const operand of [query, key, value]) laws.relate(output.axis(0), operand.axis(0));
    laws.restrict(output.axis(0), "pointwise");
    const bias = step.optional(3);
    if (bias) laws.relateAll([bias.axis(0)], [query.axis(2), key.axis(2), value.axis(2)]);
    attentionLaw(step, laws, { queries: [query.axis(2)], keys: [key.axis(2)], values: [value.axis(2)], output: [output.axis(2)] });
  },
};

/** ONNX's own: (batch, heads, sequence, dimension) each, groups of query heads sharing keys and values; or the heads in the last axis. */
const standard: Operator = {
  align(step) {
    const [query, key, value] = headsOf(step);
    if (step.inputs.slice(4).some((extra) => extra)) throw new Opaque("a past");
    const [q, k, v] = [query, key, value].map((parts) => parts as [Space, Space, Space, Space]) as [Four, Four, Four];
    for (const other of [k, v]) q[0].unify(other[0]);
    const groups = q[1].divide(k[1].size);
    if (!groups) throw new Opaque("heads that do not fit the groups");
    groups[0].unify(k[1]);
    k[1].unify(v[1]);
    q[3].unify(k[3]);
    step.freeze([q[2], k[2], v[2]], "positions");
    const mask = step.optional(3);
    if (mask) {
      const scores = [q[0], q[1], q[2], k[2]];
      mask.axes.toReversed().forEach((space, i) => space.size > 1 && space.unify(scores.at(-1 - i) as Space));
    }
    if (step.inputs[0]!.axes!.length === 4) step.give(0, [q[0], q[1], q[2], v[3]]);
    else step.give(0, [q[0], q[2], Space.product([q[1], v[3]])]);
    for (const [i, own] of [k, v].entries()) step.give(1 + i, own);
    step.give(3, [q[0], q[1], q[2], k[2]]);
  },
  law(step, laws) {
    const spaces = headsOf(step);
    const views = spaces.map((axes, i) => axes.map((space, axis): AxisPlace => ({ value: `${step.index}#${i}`, axis, space })));
    spaces.forEach((_, i) => laws.relateAll(step.input(i).places, inOrder(step, views[i]!)));
    const [q, k, v] = views as [AxisPlace[], AxisPlace[], AxisPlace[]];
    const output = step.output();
    const result = (output.axes!.length === 4 ? [q[0], q[1], q[2], v[3]] : [q[0], q[2], q[1], v[3]]).map((place, axis): AxisPlace => ({
      value: `${step.index}#result`,
      axis,
      space: place!.space,
    }));
    laws.relateAll(output.places, result);
    laws.relate(result[3]!, v[3]!);
    laws.relate(q[3]!, k[3]!, true);
    laws.confine([q[3]!, k[3]!], [q[0]!, q[1]!, k[1]!]);
    for (const [batch, heads] of [q, k, v]) for (const place of [batch!, heads!]) laws.restrict(place, "pointwise");
    for (const place of result.slice(0, 3)) laws.restrict(place, "pointwise");
    const mask = step.optional(3);
    if (mask) restrictAll(laws, mask, "pointwise");
    for (const i of [1, 2, 3]) {
      const extra = step.maybeOutput(i);
      if (extra) for (const value of [extra, ...(i < 3 ? [step.input(i)] : [])]) restrictAll(laws, value, "pointwise");
    }
  },
};

type Four = [Space, Space, Space, Space];

/** Queries, keys and values as [batch, heads, sequence, dimension]. */
function headsOf(step: Step): Four[] {
  return [0, 1, 2].map((i): Four => {
    const { axes } = step.input(i);
    if (axes.length === 4) return axes as Four;
    const heads = step.int(i === 0 ? "q_num_heads" : "kv_num_heads");
    const halves = heads === undefined ? null : axes[2]?.divide(heads);
    if (axes.length !== 3 || !halves) throw new Opaque("heads that do not fit the width");
    return [axes[0] as Space, halves[0], axes[1] as Space, halves[1]];
  });
}

/** Four axes in the order of an operand. */
function inOrder(step: Step, [batch, heads, sequence, dimension]: readonly AxisPlace[]): AxisPlace[] {
  return step.input(0).axes.length === 4 ? [batch!, heads!, sequence!, dimension!] : [batch!, sequence!, heads!, dimension!];
}

export const attentions: Readonly<Record<string, Operator>> = {
  Attention: standard,
  "com.microsoft:Attention": attention,
  "com.microsoft:MultiHeadAttention": multiHead,
};
