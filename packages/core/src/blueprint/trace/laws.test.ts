import { test } from "node:test";
import assert from "node:assert/strict";
import { Laws, type AxisPlace, type Groups, type Strictness } from "./laws.ts";
import { Space } from "./space.ts";

const place = (value: string, space: Space, axis = 0): AxisPlace => ({ value, axis, space });
const NONE: ReadonlySet<string> = new Set();

function declared(laws: Laws, ...places: AxisPlace[]): void {
  for (const each of places) laws.declare([each]);
}

/** What acts on an axis: map, ' where dual, scales, signs, and what it depends on. */
function shown(groups: Groups, at: AxisPlace): string {
  return groups
    .leaves(at)
    .map(({ recipe }) => {
      if (!recipe) return "-";
      const scales = recipe.scales.map(({ id, power }) => ` s${id.split(".").at(-1)}^${power}`).join("");
      const signs = recipe.signs.map((id) => ` ±${id.split(".").at(-1)}`).join("");
      return `${recipe.map}${recipe.dual ? "'" : ""}${scales}${signs}${recipe.within.length > 0 ? ` in ${recipe.within.length}` : ""}`;
    })
    .join(", ");
}

test("what nothing restricts is any invertible map, and its reader's the dual one", () => {
  const laws = new Laws(false);
  const space = Space.leaf(4);
  const [x, w, y] = ["x", "w", "y"].map((name) => place(name, space)) as [AxisPlace, AxisPlace, AxisPlace];
  declared(laws, x, w, y);
  laws.relate(x, w, true);
  laws.relate(w, y, true);
  const groups = laws.solve(NONE);
  assert.equal(shown(groups, x), "general");
  assert.equal(shown(groups, w), "general'");
  assert.equal(shown(groups, y), "general");
});

test("a map that is its own dual is a rotation", () => {
  const laws = new Laws(false);
  const space = Space.leaf(4);
  declared(laws, place("x", space), place("y", space));
  laws.relate(place("x", space), place("y", space), true);
  laws.relate(place("y", space), place("x", space));
  assert.equal(shown(laws.solve(NONE), place("x", space)), "orthogonal");
});

const RESTRICTED: readonly (readonly [Strictness, string])[] = [
  ["sum", "ones"],
  ["norm", "orthogonal"],
  ["centred-norm", "ones"],
  ["pointwise", "permutation"],
  ["odd", "permutation ±0"],
  ["positive", "permutation s0^1"],
  ["monomial", "permutation s0^1 ±0"],
  ["unpermuted", "none s0^1 ±0"],
  ["fixed", "none"],
];
for (const [strictness, expected] of RESTRICTED) {
  test(`"${strictness}" leaves ${expected}`, () => {
    const laws = new Laws(false);
    const at = place("x", Space.leaf(4));
    declared(laws, at);
    laws.restrict(at, strictness);
    assert.equal(shown(laws.solve(NONE), at), expected);
  });
}

test("every restriction holds where several meet, whatever their order", () => {
  for (const order of [
    ["positive", "sum"],
    ["sum", "positive"],
  ] as const) {
    const laws = new Laws(false);
    const at = place("x", Space.leaf(4));
    declared(laws, at);
    for (const strictness of order) laws.restrict(at, strictness);
    assert.equal(shown(laws.solve(NONE), at), "permutation");
  }
});

test("maps without a relation share no more than the permutation", () => {
  const laws = new Laws(false);
  const space = Space.leaf(4);
  declared(laws, place("x", space), place("y", space));
  const groups = laws.solve(NONE);
  assert.equal(shown(groups, place("x", space)), "permutation s0^1 ±0");
  assert.equal(shown(groups, place("y", space)), "permutation s1^1 ±1");
});

test("a product's scale follows from those of its factors; what is stored gives way", () => {
  const laws = new Laws(false);
  const space = Space.leaf(4);
  const [x, gain, y] = ["x", "gain", "y"].map((name) => place(name, space)) as [AxisPlace, AxisPlace, AxisPlace];
  declared(laws, gain, x, y);
  laws.balance([
    { place: y, power: 1 },
    { place: x, power: -1 },
    { place: gain, power: -1 },
  ]);
  laws.restrict(y, "odd");
  const groups = laws.solve(new Set(["gain"]));
  assert.equal(shown(groups, y), "permutation ±1");
  assert.equal(shown(groups, x), "permutation s0^1 ±0");
  assert.match(shown(groups, gain), /^permutation s0\^-1 ±(0 ±1|1 ±0)$/);
});

test("a reader's scale is one over the writer's", () => {
  const laws = new Laws(false);
  const space = Space.leaf(4);
  declared(laws, place("x", space), place("w", space));
  laws.relate(place("x", space), place("w", space), true);
  laws.restrict(place("x", space), "positive");
  const groups = laws.solve(new Set(["w"]));
  assert.equal(shown(groups, place("x", space)), "permutation s0^1");
  assert.equal(shown(groups, place("w", space)), "permutation s0^-1");
});

test("permutations and signs alone where every number must keep its bits", () => {
  const laws = new Laws(true);
  const space = Space.leaf(4);
  declared(laws, place("x", space));
  assert.equal(shown(laws.solve(NONE), place("x", space)), "permutation ±0");
});

test("frozen coordinates and single ones are left alone", () => {
  const laws = new Laws(false);
  const sum = Space.sum([Space.frozen(3, "a test"), Space.leaf(1), Space.leaf(4)]);
  declared(laws, place("x", sum));
  assert.equal(shown(laws.solve(NONE), place("x", sum)), "-, -, general");
});

test("two ways of cutting one index are one map each", () => {
  const laws = new Laws(false);
  const space = Space.leaf(12);
  const [heads, inside] = space.divide(3)!;
  const whole = place("x", space);
  laws.declare([whole]);
  laws.declare([place("y", heads), place("y", inside, 1)]);
  laws.relateAll([whole], [place("y", heads), place("y", inside, 1)]);
  const groups = laws.solve(NONE);
  assert.equal(shown(groups, whole), `${shown(groups, place("y", heads))}, ${shown(groups, place("y", inside, 1))}`);
});

test("lists of unlike leaves leave the identity", () => {
  const laws = new Laws(false);
  const [a, b] = [place("x", Space.leaf(4)), place("y", Space.leaf(4))];
  declared(laws, a, b);
  laws.relateAll([a], [b]);
  const groups = laws.solve(NONE);
  assert.equal(shown(groups, a), "none");
  assert.equal(shown(groups, b), "none");
});

/** A projection to heads: a weight (width, heads × inside), its result, and the same with the heads apart. */
function heads(): { laws: Laws; weight: AxisPlace; apart: [AxisPlace, AxisPlace] } {
  const laws = new Laws(false);
  const space = Space.leaf(12);
  const [outer, inside] = space.divide(3)!;
  const weight = place("w", space, 1);
  const apart: [AxisPlace, AxisPlace] = [place("y", outer), place("y", inside, 1)];
  laws.declare([place("w", Space.frozen(5, "a test")), weight]);
  laws.declare(apart);
  laws.relateAll([weight], apart);
  laws.restrict(apart[0], "pointwise");
  return { laws, weight, apart };
}

test("every head has its own map where the head is known", () => {
  const { laws, weight } = heads();
  assert.equal(shown(laws.solve(new Set(["w"])), weight), "permutation, general in 1");
});

test("all heads share their map where a sum over one meets others", () => {
  const { laws, weight, apart } = heads();
  laws.confine([apart[1]], []);
  assert.equal(shown(laws.solve(new Set(["w"])), weight), "permutation, general");
});

test("a client transforms axis by axis, so what it transforms knows no other axis", () => {
  const { laws, weight, apart } = heads();
  const groups = laws.solve(new Set(["w"]), new Set(["y"]));
  assert.equal(shown(groups, weight), "permutation, general");
  assert.equal(shown(groups, apart[1]), "general");
});

test("a stored tensor is rewritten from the first axis on, so the head must come first", () => {
  for (const headFirst of [true, false]) {
    const { laws, weight, apart } = heads();
    const axes = headFirst ? apart : apart.toReversed();
    const stored = axes.map(({ space }, axis) => place("v", space, axis));
    laws.declare(stored);
    stored.forEach((each, axis) => laws.relate(each, axes[axis]!));
    assert.equal(shown(laws.solve(new Set(["w", "v"])), weight), `permutation, general${headFirst ? " in 1" : ""}`);
  }
});

test("leaves that others must derive have their names, and depend on nothing", () => {
  const { laws, weight, apart } = heads();
  const groups = laws.solve(new Set(["w"]), NONE, new Map([[apart[1].space.root, "vocabulary"]]));
  const [, inside] = groups.leaves(weight);
  assert.equal(inside!.recipe!.id, "vocabulary");
  assert.deepEqual(inside!.recipe!.within, []);
});

test("labels of stored tensors do not depend on what else there is", () => {
  const label = (extra: boolean): string => {
    const laws = new Laws(false);
    if (extra) laws.declare([place("constant", Space.leaf(7))]);
    const weight = place("w", Space.leaf(4));
    laws.declare([weight]);
    return laws.solve(new Set(["w"])).leaves(weight)[0]!.recipe!.id;
  };
  assert.equal(label(true), label(false));
});
