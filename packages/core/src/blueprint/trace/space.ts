/**
 * Space variables: what the axes of a traced graph are made of, before anything is known of their groups.
 *
 * Every axis of every value is one {@link Space}. Operators say which axes hold the same coordinates (`unify`) and take spaces
 * apart: a reshape makes **products** (heads × dimensions), a split or concatenation makes **sums**. What an
 * operator cannot follow is **frozen**: only the identity acts there, so that the result stays exact whatever the graph does.
 * @module
 */

/** A set of coordinates; union-find node of a structure that is still being discovered. */
export class Space {
  readonly size: number;
  #parent: Space | null = null;
  #form: Form = { kind: "leaf" };
  /** Spaces whose index may select the map that acts on this one; only candidates (see `within` of `Laws`). */
  readonly outer: Space[] = [];

  /** @throws RangeError unless the size is a count: graphs compute sizes from numbers of strangers */
  constructor(size: number) {
    if (!Number.isSafeInteger(size) || size < 0) throw new RangeError(`an axis of ${size} coordinates`);
    this.size = size;
  }

  /** A space of its own. */
  static leaf(size: number): Space {
    return new Space(size);
  }

  /** Coordinates on which nothing may act, and why. */
  static frozen(size: number, reason: string): Space {
    const space = new Space(size);
    space.#form = { kind: "frozen", reason };
    return space;
  }

  /** Row-major indices, outermost first. Factors of size 1 and nested products vanish. */
  static product(parts: readonly Space[]): Space {
    const flat = factors(parts);
    if (flat.length === 1) return flat[0] as Space;
    if (flat.length === 0) return new Space(1);
    const space = new Space(flat.reduce((product, { size }) => product * size, 1));
    space.#form = flat.every((part) => part.frozen !== null) ? flat[0]!.#root().#form : { kind: "product", parts: flat };
    return space;
  }

  /** Spaces laid one behind the other. */
  static sum(parts: readonly Space[]): Space {
    const flat = terms(parts);
    if (flat.length === 1) return flat[0] as Space;
    const space = new Space(flat.reduce((sum, { size }) => sum + size, 0));
    if (flat.length > MAXIMUM_TERMS) {
      for (const part of flat) part.freeze(TOO_MANY);
      space.#form = { kind: "frozen", reason: TOO_MANY };
      return space;
    }
    space.#form = flat.every((part) => part.frozen !== null) && flat.length > 0 ? flat[0]!.#root().#form : { kind: "sum", parts: flat };
    return space;
  }

  #root(): Space {
    if (!this.#parent) return this;
    // Short paths for the next time.
    let root = this.#parent;
    while (root.#parent) root = root.#parent;
    let next: Space | null = this.#parent;
    this.#parent = root;
    while (next && next !== root) {
      const after: Space | null = next.#parent;
      next.#parent = root;
      next = after;
    }
    return root;
  }

  /** The representative of this space among all that were unified with it. */
  get root(): Space {
    return this.#root();
  }

  get form(): Form {
    return this.#root().#form;
  }

  /** Why nothing may act here, or null. */
  get frozen(): string | null {
    const { form } = this;
    return form.kind === "frozen" ? form.reason : null;
  }

  /** Leaves only the identity, on all parts. */
  freeze(reason: string): void {
    const root = this.#root();
    const form = root.#form;
    if (form.kind === "frozen") return;
    root.#form = { kind: "frozen", reason };
    if (form.kind !== "leaf") for (const part of form.parts) part.freeze(reason);
  }

  /** Says that two axes hold the same coordinates in the same order. @throws RangeError if their sizes differ */
  unify(other: Space): void {
    const a = this.#root();
    const b = other.#root();
    if (a === b) return;
    if (a.size !== b.size) throw new RangeError(`spaces of ${a.size} and ${b.size} coordinates`);
    const [one, two] = [a.#form, b.#form];
    if (one.kind === "frozen") {
      b.freeze(one.reason);
      b.#parent = a;
    } else if (two.kind === "frozen") {
      a.freeze(two.reason);
      a.#parent = b;
    } else if (one.kind === "leaf") {
      a.#become(b);
    } else if (two.kind === "leaf") {
      b.#become(a);
    } else if (one.kind === "product" && two.kind === "product") {
      if (unifyProducts(one.parts, two.parts)) a.#settle(b);
      else freezeBoth(a, b);
    } else if (one.kind === "sum" && two.kind === "sum") {
      if (unifySums(one.parts, two.parts)) a.#settle(b);
      else freezeBoth(a, b);
    } else {
      const [whole, parts] = one.kind === "sum" ? [b, one.parts] : [a, (two as Form & { kind: "sum" }).parts];
      if (!unifySums([whole], parts)) freezeBoth(a, b);
    }
  }

  /** After equal parts: one root for both. The parts may have been frozen meanwhile. */
  #settle(other: Space): void {
    const [a, b] = [this.#root(), other.#root()];
    if (a !== b) a.#parent = b;
  }

  #become(structured: Space): void {
    for (const outer of this.outer) structured.#inherit(outer);
    this.#parent = structured;
  }

  #inherit(outer: Space): void {
    const root = this.#root();
    if (!root.outer.includes(outer)) root.outer.push(outer);
    if (root.#form.kind === "product" || root.#form.kind === "sum") for (const part of root.#form.parts) part.#inherit(outer);
  }

  /**
   * This space as `count` blocks of `size/count` coordinates: [outer, inner], taking it apart where needed.
   * Null where the structure that is already known does not fit; the caller freezes.
   */
  divide(count: number): readonly [Space, Space] | null {
    const root = this.#root();
    if (count < 1 || root.size % count !== 0) return null;
    const rest = root.size / count;
    if (count === 1) return [new Space(1), root];
    if (rest === 1) return [root, new Space(1)];
    const form = root.#form;
    switch (form.kind) {
      case "frozen":
        return [Space.frozen(count, form.reason), Space.frozen(rest, form.reason)];
      case "leaf": {
        const outer = new Space(count);
        const inner = new Space(rest);
        for (const around of root.outer) {
          outer.#inherit(around);
          inner.#inherit(around);
        }
        inner.#inherit(outer);
        root.#form = { kind: "product", parts: [outer, inner] };
        return [outer, inner];
      }
      case "product": {
        const [first, ...others] = form.parts as [Space, ...Space[]];
        if (first.size === count) return [first, Space.product(others)];
        if (first.size > count) {
          const halves = first.divide(count);
          return halves && [halves[0], Space.product([halves[1], ...others])];
        }
        if (count % first.size !== 0) return null;
        const deeper = Space.product(others).divide(count / first.size);
        return deeper && [Space.product([first, deeper[0]]), deeper[1]];
      }
      case "sum": {
        if (form.parts.some((part) => part.size % rest !== 0)) return null;
        // Blocks of one size inside parts of several: the inner coordinates are the same space in all of them.
        const inner = new Space(rest);
        const outers = form.parts.map((part) => new Space(part.size / rest));
        form.parts.forEach((part, i) => part.unify(Space.product([outers[i] as Space, inner])));
        const outer = Space.sum(outers);
        return [outer, inner];
      }
    }
  }

  /** This space as its first `at` coordinates and the others, or null where that cuts through a product. */
  cut(at: number): readonly [Space, Space] | null {
    const root = this.#root();
    const form = root.#form;
    if (at === 0) return [new Space(0), root];
    if (at === root.size) return [root, new Space(0)];
    switch (form.kind) {
      case "frozen":
        return [Space.frozen(at, form.reason), Space.frozen(root.size - at, form.reason)];
      case "leaf": {
        const parts: [Space, Space] = [new Space(at), new Space(root.size - at)];
        for (const part of parts) for (const around of root.outer) part.#inherit(around);
        root.#form = { kind: "sum", parts };
        return parts;
      }
      case "sum": {
        const before: Space[] = [];
        let start = 0;
        for (const [i, part] of form.parts.entries()) {
          const after = form.parts.slice(i + 1);
          if (start === at) return [Space.sum(before), Space.sum([part, ...after])];
          if (start + part.size > at) {
            const halves = part.cut(at - start);
            return halves && [Space.sum([...before, halves[0]]), Space.sum([halves[1], ...after])];
          }
          before.push(part);
          start += part.size;
        }
        return null;
      }
      case "product": {
        const [first, ...others] = form.parts as [Space, ...Space[]];
        const inner = Space.product(others);
        if (at % inner.size !== 0) return null;
        const halves = first.cut(at / inner.size);
        return halves && [Space.product([halves[0], inner]), Space.product([halves[1], inner])];
      }
    }
  }
}

/** What is known of a space. */
export type Form =
  | { readonly kind: "leaf" }
  | { readonly kind: "frozen"; readonly reason: string }
  | { readonly kind: "product"; readonly parts: readonly Space[] }
  | { readonly kind: "sum"; readonly parts: readonly Space[] };

/** Parts of one axis that are followed (CWE-770): each costs time and memory wherever the axis occurs. */
const MAXIMUM_TERMS = 256;
const TOO_MANY = `the axis is put together of more than ${MAXIMUM_TERMS} parts`;
const INCOMPATIBLE = "the graph takes this axis apart in two ways that do not fit together";

function freezeBoth(a: Space, b: Space): void {
  a.freeze(INCOMPATIBLE);
  b.freeze(INCOMPATIBLE);
}

/** Factors of a row-major index, without nesting and without size 1. */
export function factors(parts: readonly Space[]): Space[] {
  return parts.flatMap((part) => {
    if (part.size === 1) return [];
    const { form } = part;
    return form.kind === "product" ? factors(form.parts) : [part.root];
  });
}

/** Terms of a concatenation, without nesting and without size 0. */
export function terms(parts: readonly Space[]): Space[] {
  return parts.flatMap((part) => {
    if (part.size === 0) return [];
    const { form } = part;
    return form.kind === "sum" ? terms(form.parts) : [part.root];
  });
}

/** Brings two factorisations of one index to a common refinement; false where there is none. */
export function unifyProducts(one: readonly Space[], two: readonly Space[]): boolean {
  const left = factors(one);
  const right = factors(two);
  while (left.length > 0 && right.length > 0) {
    const [a, b] = [left[0] as Space, right[0] as Space];
    if (a.size === b.size) {
      a.unify(b);
      left.shift();
      right.shift();
      continue;
    }
    const [list, large, small] = a.size > b.size ? [left, a, b] : [right, b, a];
    const halves = large.divide(small.size);
    if (!halves) return false;
    list.splice(0, 1, ...factors(halves));
  }
  return left.length === right.length;
}

/** Brings two concatenations to a common refinement; false where there is none. */
export function unifySums(one: readonly Space[], two: readonly Space[]): boolean {
  const left = terms(one);
  const right = terms(two);
  while (left.length > 0 && right.length > 0) {
    const [a, b] = [left[0] as Space, right[0] as Space];
    if (a.size === b.size) {
      a.unify(b);
      left.shift();
      right.shift();
      continue;
    }
    const [list, large, small] = a.size > b.size ? [left, a, b] : [right, b, a];
    const halves = large.cut(small.size);
    if (!halves) return false;
    list.splice(0, 1, ...terms(halves));
  }
  return left.length === right.length;
}
