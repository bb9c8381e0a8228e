/**
 * Operators that give the same coordinates other axes.
 * @module
 */
import type { AxisPlace, Laws } from "../laws.ts";
import { normalAxis, Opaque, restrictAll, type Operator, type Step } from "../operator.ts";
import { factors, Space } from "../space.ts";

/** Why an axis stays as it is. */
export const CUT = "cuts through the parts of a space";

/**
 * The axes of a reshape: groups of input and output axes with equal products, each group brought to common factors.
 */
function reshapeAxes(step: Step, input: readonly Space[], shape: readonly number[]): Space[] {
  const output: Space[] = [];
  let left = factors(input);
  const count = (sizes: readonly number[]): number => sizes.reduce((product, size) => product * size, 1);
  if (count(input.map(({ size }) => size)) !== count(shape)) throw new Opaque("the shape does not hold as many elements as the input");
  if (count(shape) === 0) return shape.map((size) => Space.frozen(size, "empty"));
  let group: { from: Space[]; to: number[] } = { from: [], to: [] };
  const flush = (): void => {
    output.push(...(fill(group.from, group.to) ?? freezeGroup(step, group.from, group.to)));
    group = { from: [], to: [] };
  };
  for (const size of shape) {
    group.to.push(size);
    while (count(group.from.map((space) => space.size)) < count(group.to)) {
      const [next, ...rest] = left;
      if (!next) break;
      group.from.push(next);
      left = rest;
    }
    if (count(group.from.map((space) => space.size)) === count(group.to)) flush();
  }
  if (group.to.length > 0) flush();
  return output;
}

/** Deals the factors `from` out to axes of the sizes `to`, taking factors apart where an axis ends inside one. */
export function fill(from: readonly Space[], to: readonly number[]): Space[] | null {
  let left = [...from];
  const axes: Space[] = [];
  for (const size of to) {
    const taken: Space[] = [];
    let have = 1;
    while (have < size) {
      const [next, ...rest] = left;
      if (!next || size % have !== 0) return null;
      if (have * next.size <= size) {
        taken.push(next);
        have *= next.size;
        left = rest;
      } else {
        const halves = next.divide(size / have);
        if (!halves) return null;
        left = [...factors(halves), ...rest];
      }
    }
    if (have !== size) return null;
    axes.push(Space.product(taken));
  }
  return left.length === 0 ? axes : null;
}

function freezeGroup(step: Step, from: readonly Space[], to: readonly number[]): Space[] {
  step.freeze(from, CUT);
  return to.map((size) => Space.frozen(size, `${step.node.operator}: ${CUT}`));
}

const reshapeLaw = (step: Step, laws: Laws): void => laws.relateAll(step.input(0).places, step.output().places);

const reshape: Operator = {
  align(step) {
    const input = step.input(0);
    const wanted = step.wholeNumbers("shape", 1);
    if (!wanted) throw new Opaque("no shape is given");
    const zeroCopies = step.int("allowzero", 0) === 0;
    const sizes = wanted.map((size, axis) => (size === 0 && zeroCopies ? (input.shape[axis] ?? 0) : size));
    const total = input.shape.reduce((product, size) => product * size, 1);
    const known = sizes.reduce((product, size) => (size === -1 ? product : product * size), 1);
    const shape = sizes.map((size) => (size === -1 ? total / known : size));
    if (!shape.every((size) => Number.isInteger(size) && size >= 0)) throw new Opaque("the shape does not divide the input");
    step.give(0, reshapeAxes(step, input.axes, shape), { ids: input.ids });
  },
  law: reshapeLaw,
};

const flatten: Operator = {
  align(step) {
    const input = step.input(0);
    const axis = step.int("axis", 1);
    const at = axis < 0 ? axis + input.axes.length : axis;
    if (at < 0 || at > input.axes.length) throw new Opaque(`axis ${axis} lies outside the rank`);
    const half = (axes: readonly Space[]): number => axes.reduce((product, { size }) => product * size, 1);
    step.give(0, reshapeAxes(step, input.axes, [half(input.axes.slice(0, at)), half(input.axes.slice(at))]), { ids: input.ids });
  },
  law: reshapeLaw,
};

const squeeze: Operator = {
  align(step) {
    const input = step.input(0);
    const given = step.wholeNumbers("axes", 1)?.map((axis) => normalAxis(axis, input.axes.length));
    if (given?.some((axis) => input.axes[axis]!.size !== 1)) throw new Opaque("an axis to drop has more than one element");
    step.give(
      0,
      input.axes.filter((space, axis) => (given ? !given.includes(axis) : space.size !== 1)),
      { ids: input.ids },
    );
  },
  law: reshapeLaw,
};

const unsqueeze: Operator = {
  align(step) {
    const input = step.input(0);
    const axes = step.wholeNumbers("axes", 1);
    if (!axes) throw new Opaque("no axes are given");
    const rank = input.axes.length + axes.length;
    const added = new Set(axes.map((axis) => normalAxis(axis, rank)));
    const left = [...input.axes];
    step.give(
      0,
      Array.from({ length: rank }, (_, axis) => (added.has(axis) ? Space.leaf(1) : (left.shift() as Space))),
      { ids: input.ids },
    );
  },
  law: reshapeLaw,
};

function transposeOrder(step: Step): readonly number[] {
  const { axes } = step.input(0);
  const order = step.ints("perm") ?? axes.map((_, axis) => axes.length - 1 - axis);
  if (order.length !== axes.length || new Set(order).size !== order.length || order.some((axis) => !axes[axis]))
    throw new Opaque("perm is not an order of the axes");
  return order;
}

const transpose: Operator = {
  align(step) {
    const { axes, ids } = step.input(0);
    if (ids) ids.reordered = true;
    step.give(
      0,
      transposeOrder(step).map((axis) => axes[axis] as Space),
      { ids },
    );
  },
  law(step, laws) {
    transposeOrder(step).forEach((from, axis) => laws.relate(step.output().axis(axis), step.input(0).axis(from)));
  },
};

/** Blocks of pixels become channels or the other way round. */
const depthToSpace: Operator = {
  align(step) {
    const [batch, channels, height, width] = step.input(0).axes as [Space, Space, Space, Space];
    const block = step.int("blocksize", 1);
    if (!width || block < 1 || channels.size % (block * block) !== 0) throw new Opaque("not four axes of fitting sizes");
    step.freeze([height, width], "changes the picture's size");
    const inner =
      step.text("mode", "DCR") === "DCR" ? channels.divide(block * block)?.[1] : channels.divide(channels.size / block ** 2)?.[0];
    if (!inner) throw new Opaque(CUT);
    step.give(0, [batch, inner, Space.frozen(height.size * block, "pixels"), Space.frozen(width.size * block, "pixels")]);
  },
  law(step, laws) {
    const [input, output] = [step.input(0), step.output()];
    const channels = input.axes[1] as Space;
    const block = step.int("blocksize", 1) ** 2;
    const depthFirst = step.text("mode", "DCR") === "DCR";
    const halves = channels.divide(depthFirst ? block : channels.size / block);
    if (!halves) return restrictAll(laws, input, "fixed");
    const parts = halves.map((space, i): AxisPlace => ({ value: `${step.index}#blocks`, axis: i, space }));
    laws.relateAll([input.axis(1)], parts);
    laws.restrict(parts[depthFirst ? 0 : 1] as AxisPlace, "fixed");
    laws.relate(output.axis(1), parts[depthFirst ? 1 : 0] as AxisPlace);
    laws.relate(output.axis(0), input.axis(0));
  },
};

/** By name. */
export const reshaping: Readonly<Record<string, Operator>> = {
  Reshape: reshape,
  Flatten: flatten,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Transpose: transpose,
  DepthToSpace: depthToSpace,
};
