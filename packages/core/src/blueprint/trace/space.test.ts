import { test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { factors, Space, terms } from "./space.ts";
import { leavesOf, treeOf, type Tree } from "./tree.ts";

/** For each coordinate of an axis, which coordinates of which leaves it is; how frozen ones are cut makes no difference. */
function coordinates(tree: Tree, names: Map<Space, number>): string[] {
  if (tree.kind === "sum") return tree.parts.flatMap((part) => coordinates(part, names));
  if (tree.kind === "product")
    return tree.parts
      .map((part) => coordinates(part, names))
      .reduce((outer, inner) => outer.flatMap((one) => inner.map((two) => one + two)));
  const { space } = tree;
  if (!names.has(space)) names.set(space, names.size);
  return Array.from({ length: tree.size }, (_, i) => (space.frozen === null && space.size > 1 ? `${names.get(space)}[${i}]` : ""));
}

function same(a: Space, b: Space): void {
  const names = new Map<Space, number>();
  assert.deepEqual(coordinates(treeOf(a), names), coordinates(treeOf(b), names));
}

/** The sizes of parts are those of the whole, all the way down. */
function checkSizes(tree: Tree): void {
  if (tree.kind === "leaf") return;
  const sizes = tree.parts.map(({ size }) => size);
  const whole = tree.kind === "sum" ? sizes.reduce((sum, size) => sum + size, 0) : sizes.reduce((product, size) => product * size, 1);
  assert.equal(tree.size, whole);
  tree.parts.forEach(checkSizes);
}

const frozenCount = (space: Space): number =>
  leavesOf(treeOf(space)).reduce((sum, leaf) => sum + (leaf.frozen === null ? 0 : leaf.size), 0);

test("what is unified has one structure", () => {
  const [a, b] = [Space.leaf(12), Space.leaf(12)];
  a.unify(b);
  a.divide(3);
  same(a, b);
  assert.equal(a.root, b.root);
  const [first] = b.divide(3)!;
  assert.equal(first.size, 3);
});

test("two factorisations meet in a common refinement", () => {
  const [a, b] = [Space.leaf(24), Space.leaf(24)];
  a.divide(2);
  b.divide(8);
  a.unify(b);
  same(a, b);
  assert.deepEqual(
    leavesOf(treeOf(a)).map(({ size }) => size),
    [2, 4, 3],
  );
});

test("two concatenations meet in a common refinement", () => {
  const [a, b] = [Space.leaf(10), Space.leaf(10)];
  a.cut(3);
  b.cut(7);
  a.unify(b);
  same(a, b);
  assert.deepEqual(
    leavesOf(treeOf(a)).map(({ size }) => size),
    [3, 4, 3],
  );
});

test("a sum of blocks and a product meet", () => {
  const blocks = Space.leaf(12);
  const [, inner] = blocks.divide(4)!;
  const sum = Space.sum([Space.leaf(3), Space.leaf(9)]);
  blocks.unify(sum);
  same(blocks, sum);
  assert.equal(inner.frozen, null);
});

test("structures that do not fit together are frozen, with all their parts", () => {
  const [a, b] = [Space.leaf(6), Space.leaf(6)];
  const [outer, inner] = a.divide(2)!;
  b.divide(3);
  a.unify(b);
  for (const space of [a, b, outer, inner]) assert.equal(frozenCount(space), space.size);
  assert.equal(a.divide(4), null);
  const [one, two] = [Space.leaf(6), Space.leaf(6)];
  one.divide(2);
  two.cut(1);
  one.unify(two);
  assert.equal(frozenCount(one), 6);
  assert.equal(frozenCount(two), 6);
});

test("sizes that differ are refused", () => assert.throws(() => Space.leaf(3).unify(Space.leaf(4)), RangeError));

test("more parts than are followed are frozen", () => {
  const parts = Array.from({ length: 5000 }, () => Space.leaf(2));
  const sum = Space.sum(parts);
  assert.notEqual(sum.frozen, null);
  assert.notEqual(parts[0]!.frozen, null);
  assert.equal(sum.size, 10_000);
});

test("trivial parts vanish", () => {
  const leaf = Space.leaf(5);
  assert.equal(Space.product([Space.leaf(1), leaf, Space.leaf(1)]), leaf.root);
  assert.equal(Space.sum([Space.leaf(0), leaf]), leaf.root);
  assert.equal(Space.product([]).size, 1);
  assert.equal(Space.sum([]).size, 0);
  assert.deepEqual(factors([Space.product([leaf, Space.product([leaf, leaf])])]), [leaf, leaf, leaf]);
  assert.deepEqual(terms([Space.sum([leaf, Space.sum([leaf, leaf])])]), [leaf, leaf, leaf]);
});

/** One step on a list of spaces; indices wrap around. */
type Step =
  | { readonly kind: "divide" | "cut"; readonly on: number; readonly at: number }
  | { readonly kind: "unify"; readonly on: number; readonly with: number }
  | { readonly kind: "freeze"; readonly on: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    arbitrary: fc.record({
      kind: fc.constantFrom("divide" as const, "cut" as const),
      on: fc.nat(99),
      at: fc.constantFrom(2, 3, 4, 6, 8, 9),
    }),
    weight: 6,
  },
  { arbitrary: fc.record({ kind: fc.constant("unify" as const), on: fc.nat(99), with: fc.nat(99) }), weight: 5 },
  { arbitrary: fc.record({ kind: fc.constant("freeze" as const), on: fc.nat(99) }), weight: 1 },
);

test("any refinements keep sizes, unified structures equal, and frozen coordinates frozen", () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(12, 12, 24, 24, 8, 36), { minLength: 2, maxLength: 6 }),
      fc.array(step, { maxLength: 25 }),
      (sizes, steps) => {
        const spaces = sizes.map(Space.leaf);
        const pairs: [Space, Space][] = [];
        for (const each of steps) {
          const space = spaces[each.on % spaces.length]!;
          if (each.kind === "freeze") space.freeze("a test");
          else if (each.kind === "unify") {
            const other = spaces[each.with % spaces.length]!;
            if (space.size !== other.size) continue;
            space.unify(other);
            pairs.push([space, other]);
          } else {
            const parts = each.kind === "divide" ? space.divide(each.at) : each.at < space.size ? space.cut(each.at) : null;
            if (!parts) continue;
            const [one, two] = parts;
            assert.equal(each.kind === "divide" ? one.size * two.size : one.size + two.size, space.size);
            assert.equal(one.size, each.at);
            // The parts are the space.
            const again = each.kind === "divide" ? Space.product(parts) : Space.sum(parts);
            same(again, space);
            spaces.push(one, two);
          }
          for (const every of spaces) checkSizes(treeOf(every));
          for (const [one, two] of pairs) same(one, two);
        }
        for (const every of spaces) {
          if (every.frozen === null) continue;
          assert.equal(frozenCount(every), every.size);
        }
      },
    ),
    { numRuns: 1500 },
  );
});

test("a leaf remembers which indices stand around it", () => {
  const heads = Space.leaf(12);
  const [outer, inner] = heads.divide(3)!;
  assert.deepEqual(inner.root.outer, [outer]);
  const [half] = inner.divide(2)!;
  assert.ok(half.root.outer.includes(outer));
  const other = Space.leaf(4);
  inner.unify(other);
  assert.equal(other.root.outer.length > 0 || leavesOf(treeOf(other)).every((leaf) => leaf.outer.includes(outer)), true);
});
