import assert from "node:assert/strict";
import { test } from "node:test";
import { bruteForce, bruteForceOf, heapExchanges } from "./brute-force.ts";
import { agreesTwice, measured, outcomeOf, reads, toyTrial } from "./toy-trials.fixture.ts";

test("Heap's exchanges lead through every order once", () => {
  for (const count of [1, 2, 3, 4, 5, 6]) {
    const order = [...Array(count).keys()];
    const seen = new Set([order.join()]);
    for (const [x, y] of heapExchanges(count)) {
      [order[x], order[y]] = [order[y]!, order[x]!];
      seen.add(order.join());
    }
    assert.equal(seen.size, [1, 2, 6, 24, 120, 720][count - 1]);
    assert.equal([...heapExchanges(count)].length, seen.size - 1);
  }
});

test("seven ids are read by trying every order", async () => {
  const trial = toyTrial({ vocabulary: 7, tokens: 2000 });
  const result = await measured(bruteForce, trial);
  assert.equal(result.vocabularyTop1, 1);
  assert.equal(result.figures["tried"], 5040);
  assert.match(result.remark!, /Every order/);
});

test("a text in another language says nothing, nor does noise", async () => {
  assert.ok((await reads(bruteForce, toyTrial({ vocabulary: 7, tokens: 2000, priorLanguage: 2 }))) < 0.3);
  assert.ok((await reads(bruteForce, toyTrial({ vocabulary: 7, tokens: 2000, noise: true }))) < 0.3);
});

test("with more ids the enumeration is cut short, and says so; its control succeeds", async () => {
  const trial = toyTrial({ vocabulary: 60, tokens: 4000 });
  const result = await measured(bruteForceOf(2000), trial);
  assert.equal(result.figures["tried"], 2000);
  assert.match(result.remark!, /cut short/);
  assert.ok(result.textTokens! < 0.2);
  assert.ok(result.control! > 0.3, `${result.control}`);
  await agreesTwice(bruteForceOf(2000), trial);
  const { figures } = await outcomeOf(bruteForceOf(2000), trial, async () => false);
  assert.ok(figures!["tried"]! < 2000);
});
