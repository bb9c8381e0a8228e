import assert from "node:assert/strict";
import { test } from "node:test";
import { permutation } from "@unseen/core/algebra/random.ts";
import { seeded } from "../seed.ts";
import { cycleCrossover } from "./crossover.ts";

test("a child is a permutation, every place as in one of its parents", () => {
  const random = seeded(1, "crossover");
  let [fromFirst, fromSecond] = [0, 0];
  for (let time = 0; time < 50; time += 1) {
    const [first, second] = [permutation(random, 30), permutation(random, 30)];
    const child = cycleCrossover(first, second, random);
    assert.equal(new Set(child).size, 30);
    for (const [place, value] of child.entries()) {
      assert.ok(value === first[place] || value === second[place]);
      fromFirst += Number(value === first[place]);
      fromSecond += Number(value === second[place]);
    }
  }
  assert.ok(fromFirst > 300 && fromSecond > 300);
});

test("equal parents have that child", () => {
  const parent = permutation(seeded(2, "crossover"), 12);
  assert.deepEqual(cycleCrossover(parent, parent.slice(), seeded(3, "crossover")), parent);
});
