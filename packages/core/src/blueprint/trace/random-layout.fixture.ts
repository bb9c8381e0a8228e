/**
 * For tests: operators that move, cut, join and repeat, on any value.
 * @module
 */
import { elements, type Dimension, type Drawn } from "./graph-builder.fixture.ts";
import { isSmall, numericAxes, RANK_LIMIT, type Rule } from "./random-shapes.fixture.ts";

export const transpose: Rule = (b, value) => b.transpose(value, b.dice.shuffled(value.shape.map((_, axis) => axis)));

export const reshape: Rule = (b, value) => {
  const { dice } = b;
  const shape: Dimension[] = [...value.shape];
  for (let i = dice.between(1, 3); i > 0; i--) {
    const axis = dice.below(Math.max(shape.length, 1));
    const size = shape[axis];
    const next = shape[axis + 1];
    if (dice.chance(0.5) && typeof size === "number" && size > 1) {
      const divisors = Array.from({ length: size }, (_, d) => d + 1).filter((d) => size % d === 0);
      const outer = dice.pick(divisors);
      shape.splice(axis, 1, outer, size / outer);
    } else if (size !== undefined && next !== undefined) {
      if (typeof size === "number" && typeof next === "number") shape.splice(axis, 2, size * next);
      else if (typeof size === "string" && typeof next === "string") shape.splice(axis, 2, `${size}*${next}`);
    }
  }
  if (!isSmall(shape)) return null;
  if (dice.chance(0.1) && value.shape.length > 0 && value.shape.every((size) => typeof size === "number")) {
    const at = dice.below(value.shape.length + 1);
    const flat = [elements(value.shape.slice(0, at)), elements(value.shape.slice(at))];
    return b.node("Flatten", [value], flat, { axis: at });
  }
  if (shape.length === 2 && dice.chance(0.5) && value.shape.length >= 2 && value.shape.slice(1).every((size) => typeof size === "number"))
    return b.node("Flatten", [value], [value.shape[0] as Dimension, elements(value.shape.slice(1))]);
  return b.reshape(value, shape);
};

export const layoutOnes: Rule = (b, value) => {
  const { dice } = b;
  const ones = value.shape.flatMap((size, axis) => (size === 1 ? [axis] : []));
  if (ones.length > 0 && dice.chance(0.5)) {
    if (dice.chance(0.3) && value.shape.every((size) => typeof size === "number"))
      return b.node(
        "Squeeze",
        [value],
        value.shape.filter((size) => size !== 1),
      );
    return b.squeeze(value, [dice.pick(ones)]);
  }
  if (value.shape.length >= RANK_LIMIT) return null;
  const one = b.unsqueeze(value, [dice.below(value.shape.length + 1)]);
  if (dice.chance(0.4)) return one;
  const shape = one.shape.map((size) => (size === 1 && dice.chance(0.5) ? dice.between(2, 3) : size));
  return isSmall(shape) ? b.expand(one, shape) : one;
};

/** Parts of an axis, some of them changed, put together again. */
export const cut: Rule = (b, value) => {
  const { dice } = b;
  const axes = numericAxes(value, 2);
  if (axes.length === 0) return null;
  const axis = dice.pick(axes);
  const size = value.shape[axis] as number;
  if (dice.chance(0.3)) {
    const start = dice.below(size);
    if (dice.chance(0.1)) return b.node("Slice", [value, b.ints([-1]), b.ints([-size - 1]), b.ints([axis]), b.ints([-1])], value.shape);
    if (dice.chance(0.2)) {
      const lists = [
        [start, 0],
        [size, 1],
        [axis, axes[0] === axis ? axes.at(-1)! : axes[0]!],
      ];
      if (lists[2]![0] !== lists[2]![1])
        return b.node("Slice", [value, ...lists.map((list) => b.ints(list))], value.shape.with(axis, size - start).with(lists[2]![1]!, 1));
    }
    return b.slice(value, axis, start, dice.between(start + 1, size), dice.chance(0.2) ? 2 : 1);
  }
  const places = dice
    .shuffled(Array.from({ length: size - 1 }, (_, i) => i + 1))
    .slice(0, dice.between(1, 2))
    .toSorted((one, two) => one - two);
  const sizes = [...places, size].map((end, i) => end - (places[i - 1] ?? 0));
  const parts = dice.chance(0.6)
    ? b.split(value, axis, sizes)
    : sizes.map((part, i) => b.slice(value, axis, places[i - 1] ?? 0, (places[i - 1] ?? 0) + part));
  const changed = parts.flatMap((part): Drawn[] => {
    if (dice.chance(0.15)) return [];
    return [dice.chance(0.4) ? b.node(dice.pick(["Relu", "Tanh", "Neg", "Identity"]), [part], part.shape) : part];
  });
  if (changed.length === 0) return parts[0]!;
  return b.concat(dice.chance(0.3) ? dice.shuffled(changed) : changed, axis);
};

export const join: Rule = (b, value, pool) => {
  const { dice } = b;
  const axes = numericAxes(value);
  if (axes.length === 0) return null;
  const axis = dice.pick(axes);
  const fits = ({ shape }: Drawn): boolean =>
    shape.length === value.shape.length && shape.every((size, at) => (at === axis ? typeof size === "number" : size === value.shape[at]));
  const others = pool.filter(fits);
  const parts = [value, dice.pick([value, ...others])];
  if (value.shape.every((size) => typeof size === "number") && dice.chance(0.3))
    parts.push(b.gaussian(value.shape.toSpliced(axis, 1, 2) as number[], 1));
  const joined = b.concat(dice.shuffled(parts), axis);
  return isSmall(joined.shape) ? joined : null;
};

export const gather: Rule = (b, value) => {
  const { dice } = b;
  const axes = numericAxes(value);
  if (axes.length === 0) return null;
  const axis = dice.pick(axes);
  const size = value.shape[axis] as number;
  const start = dice.below(size);
  const kind = dice.below(3);
  const indices =
    kind === 0
      ? b.ints([dice.chance(0.3) ? start - size : start], [])
      : kind === 1
        ? b.ints(Array.from({ length: dice.between(1, size - start) }, (_, i) => start + i))
        : b.ints(
            Array.from({ length: 4 }, () => dice.below(size)),
            dice.chance(0.5) ? [4] : [2, 2],
          );
  const shape = [...value.shape.slice(0, axis), ...indices.shape, ...value.shape.slice(axis + 1)];
  return isSmall(shape) ? b.node("Gather", [value, indices], shape, axis === 0 ? {} : { axis }) : null;
};

export const repeat: Rule = (b, value) => {
  const { dice } = b;
  if (value.shape.length === 0) return null;
  const repeats = value.shape.map((size) => (typeof size === "number" && dice.chance(0.4) ? dice.between(1, 3) : 1));
  const shape = value.shape.map((size, axis) => (typeof size === "number" ? size * (repeats[axis] as number) : size));
  return isSmall(shape) ? b.node("Tile", [value, b.ints(repeats)], shape) : null;
};

export const pad: Rule = (b, value) => {
  const { dice } = b;
  if (value.shape.length === 0) return null;
  const amounts = [0, 1].map(() => value.shape.map((size) => (typeof size === "number" && dice.chance(0.4) ? dice.below(3) : 0)));
  const [before, after] = amounts as [number[], number[]];
  const shape = value.shape.map((size, axis) => (typeof size === "number" ? size + before[axis]! + after[axis]! : size));
  if (!isSmall(shape)) return null;
  if (dice.chance(0.15)) {
    // Less than nothing: cuts off.
    const axis = dice.pick([...numericAxes(value, 2), -1]);
    if (axis < 0) return null;
    const amount = value.shape.map((_, at) => (at === axis ? -1 : 0));
    return b.node(
      "Pad",
      [value, b.ints([...amount, ...value.shape.map(() => 0)])],
      value.shape.with(axis, (value.shape[axis] as number) - 1),
    );
  }
  if (b.opset >= 18 && dice.chance(0.2)) {
    const axis = numericAxes(value)[0];
    if (axis === undefined) return null;
    const padded = value.shape.with(axis, (value.shape[axis] as number) + 3);
    return b.node("Pad", [value, b.ints([1, 2]), null, b.ints([axis])], padded);
  }
  const mode = dice.pick(["constant", "constant", "edge"]);
  const fill = mode === "constant" && dice.chance(0.5) ? b.scalar(dice.pick([0, 0, 1]), []) : null;
  return b.node("Pad", [value, b.ints([...before, ...after]), fill], shape, mode === "constant" ? {} : { mode });
};
