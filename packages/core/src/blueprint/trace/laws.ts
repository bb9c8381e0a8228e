/**
 * What the operators of a graph demand of the maps on its spaces.
 *
 * Each non-frozen leaf of each axis of each value is a **variable**: the map that acts there. Operators relate variables (the same
 * map, its dual, products of scales) and restrict them; `solve` gives every leaf the largest of the known groups that is left.
 * Maps of one leaf space share their linear part; where only permutations × scales are left (`monomial`), each variable
 * has scales of its own, bound by linear equations between their logarithms.
 * @module
 */
import type { LeafMap, LeafRecipe } from "../recipe.ts";
import { solveExponents, solveSigns, type Equation } from "./exponents.ts";
import type { Space } from "./space.ts";
import { leavesOf, spreadLeaves, treeOf, type Tree } from "./tree.ts";

/** An axis of a value; the name of the value makes variables distinct. */
export interface AxisPlace {
  readonly value: string;
  readonly axis: number;
  readonly space: Space;
}

interface Variable {
  readonly leaf: Space;
  /** Name of the value whose axis it acts on. */
  readonly value: string;
  parent: Variable | null;
  /** Dual to its parent. */
  flipped: boolean;
}

/** What holds for a leaf space as a whole. */
interface LeafState {
  monomial: boolean;
  unpermuted: boolean;
  isometric: boolean;
  ones: boolean;
  readonly variables: Variable[];
}

/** What holds for one class of variables. */
interface ScaleState {
  unscaled: boolean;
  unsigned: boolean;
}

export type Strictness =
  /** The map keeps sums along the axis: reductions, constants added to all coordinates. */
  | "sum"
  /** Norms: RMS normalisation. */
  | "norm"
  /** Norms and sums: layer normalisation. */
  | "centred-norm"
  /** Any function of each coordinate alone. */
  | "pointwise"
  /** Odd functions of each coordinate: signs pass. */
  | "odd"
  /** Positively homogeneous functions (ReLU, max-pooling): positive scales pass. */
  | "positive"
  /** Functions that take each coordinate by itself and are covered by scale equations. */
  | "monomial"
  /** Coordinates keep their place; scales may pass. */
  | "unpermuted"
  /** The identity. */
  | "fixed";

export class Laws {
  readonly #variables = new Map<string, readonly (Variable | null)[]>();
  readonly #trees = new Map<Space, Tree>();
  readonly #leaves = new Map<Space, LeafState>();
  readonly #scales = new Map<Variable, ScaleState>();
  readonly #equations: { terms: { variable: Variable; power: number }[]; magnitudes: boolean; signs: boolean }[] = [];
  readonly #places = new Map<string, AxisPlace[]>();
  /** Pairs (leaf, outer): the map on `leaf` must not depend on the index of `outer`. */
  readonly #independent = new Map<Space, Set<Space>>();
  readonly #permuteOnly: boolean;

  /** @param permuteOnly permutations and signs alone: every weight keeps its bits */
  constructor(permuteOnly: boolean) {
    this.#permuteOnly = permuteOnly;
  }

  tree(space: Space): Tree {
    const root = space.root;
    let tree = this.#trees.get(root);
    if (!tree) this.#trees.set(root, (tree = treeOf(root)));
    return tree;
  }

  /** The variables of an axis, one per leaf; null for frozen leaves. */
  #of(place: AxisPlace): readonly (Variable | null)[] {
    const key = `${place.axis}:${place.value}`;
    let variables = this.#variables.get(key);
    if (!variables) {
      variables = leavesOf(this.tree(place.space)).map((leaf) => {
        if (leaf.frozen !== null || leaf.size === 1) return null;
        const variable: Variable = { leaf, value: place.value, parent: null, flipped: false };
        this.#leaf(leaf).variables.push(variable);
        return variable;
      });
      this.#variables.set(key, variables);
    }
    return variables;
  }

  #leaf(leaf: Space): LeafState {
    let state = this.#leaves.get(leaf);
    if (!state) {
      state = { monomial: this.#permuteOnly, unpermuted: false, isometric: false, ones: false, variables: [] };
      this.#leaves.set(leaf, state);
    }
    return state;
  }

  #find(variable: Variable): { root: Variable; flipped: boolean } {
    let flipped = false;
    let root = variable;
    while (root.parent) {
      flipped = flipped !== root.flipped;
      root = root.parent;
    }
    // Everything on the way is hung below the root, so that chains as long as a graph are walked once.
    let left = flipped;
    for (let node = variable; node.parent && node.parent !== root;) {
      const { parent, flipped: own } = node;
      node.parent = root;
      node.flipped = left;
      left = left !== own;
      node = parent;
    }
    return { root, flipped };
  }

  #scale(root: Variable): ScaleState {
    let state = this.#scales.get(root);
    if (!state) this.#scales.set(root, (state = { unscaled: false, unsigned: false }));
    return state;
  }

  /** Registers a value, so that maps which differ from head to head do so only where the head is known. */
  declare(axes: readonly AxisPlace[]): void {
    const [first] = axes;
    if (!first) return;
    this.#places.set(first.value, [...axes]);
    for (const place of axes) this.#of(place);
  }

  /** The same map on both axes; `dual`: the inverse transpose, as between the two sides of a contraction. */
  relate(a: AxisPlace, b: AxisPlace, dual = false): void {
    this.relateAll([a], [b], dual);
  }

  /** The same maps on two lists of axes that hold the same leaves in the same order, cut into axes in different ways. */
  relateAll(a: readonly AxisPlace[], b: readonly AxisPlace[], dual = false): void {
    let [one, two] = [a, b].map((places) => places.flatMap((place) => this.#of(place)).filter((variable) => variable !== null));
    // A sum on one side may be an axis of its own on the other: three projections in a row, and an axis that numbers them.
    if (!areAlike(one!, two!)) [one, two] = [a, b].map((places) => this.#spread(places));
    if (!areAlike(one!, two!) || one!.length === 0) {
      // Where two ways of cutting list the leaves in unlike orders, the identity is always right.
      for (const place of [...a, ...b]) this.restrict(place, "fixed");
      return;
    }
    one!.forEach((variable, i) => this.#join(variable, two![i]!, dual));
  }

  /** The variables of axes as one axis, each sum multiplied out: [a | b] × c is [a × c | b × c], where both c have one variable. */
  #spread(places: readonly AxisPlace[]): Variable[] {
    const marked = new Map<Tree, Variable | null>();
    const trees = places.map((place) => {
      let next = 0;
      const variables = this.#of(place);
      const mark = (tree: Tree): Tree => {
        const copy: Tree = tree.kind === "leaf" ? { ...tree } : { ...tree, parts: tree.parts.map(mark) };
        if (copy.kind === "leaf") marked.set(copy, variables[next++] ?? null);
        return copy;
      };
      return mark(this.tree(place.space));
    });
    return (spreadLeaves(trees) ?? []).flatMap((leaf) => marked.get(leaf) ?? []);
  }

  #join(a: Variable, b: Variable, dual: boolean): void {
    const [one, two] = [this.#find(a), this.#find(b)];
    const flipped = (one.flipped !== two.flipped) !== dual;
    if (one.root === two.root) {
      // T = T^-T
      if (flipped) {
        this.#leaf(a.leaf).isometric = true;
        this.#scale(one.root).unscaled = true;
      }
      return;
    }
    const [kept, gone] = [this.#scale(one.root), this.#scale(two.root)];
    kept.unscaled ||= gone.unscaled;
    kept.unsigned ||= gone.unsigned;
    two.root.parent = one.root;
    two.root.flipped = flipped;
  }

  /** Permutations × scales only, with Σ power·log(scale) = 0 over the given axes, coordinate by coordinate. */
  balance(places: readonly { place: AxisPlace; power: number }[], what: "both" | "magnitudes" | "signs" = "both"): void {
    const lists = places.map(({ place }) => this.#of(place).filter((variable) => variable !== null));
    for (const { place } of places) this.restrict(place, "monomial");
    const [first] = lists;
    if (!first || lists.some((list) => list.length !== first.length || list.some((variable, i) => variable.leaf !== first[i]!.leaf))) {
      for (const { place } of places) this.restrict(place, "fixed");
      return;
    }
    first.forEach((_, i) =>
      this.#equations.push({
        terms: lists.map((list, j) => ({ variable: list[i]!, power: places[j]!.power })),
        magnitudes: what !== "signs",
        signs: what !== "magnitudes",
      }),
    );
  }

  /** Restricts the map on an axis. */
  restrict(place: AxisPlace, strictness: Strictness): void {
    for (const variable of this.#of(place)) {
      if (!variable) continue;
      const leaf = this.#leaf(variable.leaf);
      const scale = this.#scale(this.#find(variable).root);
      switch (strictness) {
        case "sum":
        case "centred-norm":
          leaf.isometric = leaf.ones = true;
          scale.unscaled = scale.unsigned = true;
          break;
        case "norm":
          leaf.isometric = true;
          scale.unscaled = true;
          break;
        case "pointwise":
          leaf.monomial = scale.unscaled = scale.unsigned = true;
          break;
        case "odd":
          leaf.monomial = scale.unscaled = true;
          break;
        case "positive":
          leaf.monomial = scale.unsigned = true;
          break;
        case "monomial":
          leaf.monomial = true;
          break;
        case "unpermuted":
          leaf.monomial = leaf.unpermuted = true;
          break;
        case "fixed":
          leaf.monomial = leaf.unpermuted = scale.unscaled = scale.unsigned = true;
      }
    }
  }

  /**
   * Two sides of a contraction may use maps that differ from head to head only if the head is an index of the result
   * (`shared`), or is contracted along with them.
   */
  confine(contracted: readonly AxisPlace[], shared: readonly AxisPlace[]): void {
    const known = new Set([...contracted, ...shared].flatMap(({ space }) => leavesOf(this.tree(space))));
    for (const place of contracted) {
      for (const leaf of leavesOf(this.tree(place.space))) {
        for (const outer of this.#candidates(leaf)) if (!known.has(outer)) this.#forbid(leaf, outer);
      }
    }
  }

  #forbid(leaf: Space, outer: Space): void {
    const set = this.#independent.get(leaf) ?? new Set();
    set.add(outer);
    this.#independent.set(leaf, set);
  }

  #candidates(leaf: Space): readonly Space[] {
    return [...new Set(leaf.root.outer.flatMap((outer) => leavesOf(this.tree(outer))))].filter(
      (outer) => outer.frozen === null && outer.size > 1 && outer !== leaf,
    );
  }

  /**
   * Draws the conclusions.
   *
   * @param weights names of the values that are stored: maps on them must be computable from the first axis to the last
   * @param ends names of the values that a client transforms, which it does axis by axis
   * @param names labels of leaves that others must be able to derive; all others are numbered
   */
  solve(weights: ReadonlySet<string>, ends: ReadonlySet<string> = new Set(), names: ReadonlyMap<Space, string> = new Map()): Groups {
    const within = this.#within(weights, ends);
    // Others derive these by their names alone.
    for (const leaf of names.keys()) within.set(leaf, []);
    const dependentOn = new Set([...within.values()].flat());
    const recipes = new Map<Variable, Omit<LeafRecipe, "kind" | "size">>();
    const labels = new Map<Space, string>();
    const label = (leaf: Space): string => {
      let name = names.get(leaf) ?? labels.get(leaf);
      if (name === undefined) labels.set(leaf, (name = `space.${labels.size}`));
      return name;
    };
    // First those of stored tensors and ends: their numbers must not depend on what else the graph computes.
    for (const value of [...weights, ...ends])
      for (const { space } of this.#places.get(value) ?? []) for (const leaf of leavesOf(this.tree(space))) label(leaf);
    const equationsOf = Map.groupBy(this.#equations, ({ terms }) => terms[0]!.variable.leaf);
    for (const [leaf, state] of this.#leaves) {
      // Computed values first: what is stored then follows from at most a few of them, however long the graph.
      const ordered = [...state.variables.filter(({ value }) => !weights.has(value)), ...state.variables];
      const roots = [...new Set(ordered.map((variable) => this.#find(variable).root))];
      // Without a relation between them, two maps of one space share no more than the permutation.
      const monomial = state.monomial || dependentOn.has(leaf) || roots.length > 1;
      const id = label(leaf);
      const outer = (within.get(leaf) ?? []).map(label);
      if (!monomial) {
        const map: LeafMap = state.ones ? "ones" : state.isometric ? "orthogonal" : "general";
        for (const variable of state.variables) {
          recipes.set(variable, { id, map, dual: this.#find(variable).flipped, scales: [], signs: [], within: outer });
        }
        continue;
      }
      const map: LeafMap = state.unpermuted ? "none" : "permutation";
      const index = new Map(roots.map((root, i) => [root, i]));
      const equations = (which: "magnitudes" | "signs"): Equation[] => [
        ...(equationsOf.get(leaf) ?? []).flatMap((equation): Equation[] => {
          if (!equation[which]) return [];
          return [
            equation.terms.map(({ variable, power }) => {
              const { root, flipped } = this.#find(variable);
              return { unknown: index.get(root)!, power: flipped ? -power : power };
            }),
          ];
        }),
        ...roots.flatMap((root, i): Equation[] =>
          (which === "magnitudes" ? this.#scale(root).unscaled || this.#permuteOnly : this.#scale(root).unsigned)
            ? [[{ unknown: i, power: 1 }]]
            : [],
        ),
      ];
      const magnitudes = solveExponents(roots.length, equations("magnitudes"));
      const signs = solveSigns(roots.length, equations("signs"));
      for (const variable of state.variables) {
        const { root, flipped } = this.#find(variable);
        const i = index.get(root)!;
        recipes.set(variable, {
          id,
          map,
          dual: false,
          scales: magnitudes[i]!.map(({ generator, power }) => ({ id: `${id}.scale.${generator}`, power: flipped ? -power : power })),
          signs: signs[i]!.map((generator) => `${id}.sign.${generator}`),
          within: outer,
        });
      }
    }
    return new Groups(this, recipes, (place) => this.#of(place));
  }

  /** Which outer leaves select the map on each leaf: those that are known wherever the leaf occurs. */
  #within(weights: ReadonlySet<string>, ends: ReadonlySet<string>): Map<Space, Space[]> {
    const result = new Map<Space, Space[]>();
    for (const leaf of this.#leaves.keys()) {
      const forbidden = this.#independent.get(leaf);
      result.set(
        leaf,
        this.#candidates(leaf).filter((outer) => !forbidden?.has(outer)),
      );
    }
    for (const [value, places] of this.#places) {
      const all = places.flatMap((place) => leavesOf(this.tree(place.space)));
      for (const [axis, place] of places.entries()) {
        const own = leavesOf(this.tree(place.space));
        for (const [position, leaf] of own.entries()) {
          const wanted = result.get(leaf);
          if (!wanted || wanted.length === 0) continue;
          const before = own.slice(0, position);
          const reachable = ends.has(value)
            ? before
            : weights.has(value)
              ? // The outer index must come first.
                [...places.slice(0, axis).flatMap((earlier) => leavesOf(this.tree(earlier.space))), ...before]
              : all;
          result.set(
            leaf,
            wanted.filter(
              (outer) => reachable.filter((other) => other === outer).length === 1 && all.filter((other) => other === outer).length === 1,
            ),
          );
        }
      }
    }
    return result;
  }
}

/** Whether two lists of variables act on the same leaves in the same order. */
function areAlike(one: readonly Variable[], two: readonly Variable[]): boolean {
  return one.length === two.length && one.every((variable, i) => variable.leaf === two[i]!.leaf);
}

/** The outcome: a recipe for every axis. */
export class Groups {
  readonly #laws: Laws;
  readonly #recipes: ReadonlyMap<Variable, Omit<LeafRecipe, "kind" | "size">>;
  readonly #variables: (place: AxisPlace) => readonly (Variable | null)[];

  constructor(
    laws: Laws,
    recipes: ReadonlyMap<Variable, Omit<LeafRecipe, "kind" | "size">>,
    variables: (place: AxisPlace) => readonly (Variable | null)[],
  ) {
    this.#laws = laws;
    this.#recipes = recipes;
    this.#variables = variables;
  }

  /** What acts on each leaf of an axis, in order; null where only the identity may. */
  leaves(place: AxisPlace): readonly { space: Space; recipe: Omit<LeafRecipe, "kind" | "size"> | null }[] {
    const variables = this.#variables(place);
    return leavesOf(this.#laws.tree(place.space)).map((space, i) => {
      const variable = variables[i] ?? null;
      return { space, recipe: variable && (this.#recipes.get(variable) ?? null) };
    });
  }

  /** The tree of an axis with what acts on its leaves, built by `combine`. */
  tree(space: Space): Tree {
    return this.#laws.tree(space);
  }
}
