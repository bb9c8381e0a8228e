/** What submissions are worth. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { UnseenError } from "@unseen/core/errors.ts";
import { scoreTokens } from "./scoring.ts";
import type { Solution } from "./solution.ts";

const solution: Solution = {
  contest: "0123456789abcdef",
  salt: "0".repeat(64),
  hints: new Set([3, 4]),
  tokens: new Map([
    [1, [" an"]],
    [2, ["Ċ", "\n"]],
    [3, ["the"]],
    [4, [" of"]],
    [5, ["##er", "er"]],
  ]),
};

const cases: [string, Record<number, string>, [score: number, right: number, wrong: number, void_: number, unanswered: number]][] = [
  ["nothing", {}, [0, 0, 0, 0, 3]],
  ["everything", { 1: " an", 2: "\n", 3: "the", 4: " of", 5: "er" }, [30, 3, 0, 2, 0]],
  ["the vocabularies' marks", { 1: "Ġan", 2: "Ċ", 5: "##er" }, [30, 3, 0, 0, 0]],
  ["another mark", { 1: "▁an" }, [10, 1, 0, 0, 2]],
  ["a missing space, another case, a space behind", { 1: "an", 2: " \n", 5: "ER" }, [-3, 0, 3, 0, 0]],
  ["hints alone, right and wrong", { 3: "the", 4: "no" }, [0, 0, 0, 2, 3]],
  ["one right, one wrong", { 1: " an", 2: "x" }, [9, 1, 1, 0, 1]],
  ["a composed letter for a decomposed one", { 5: "e\u0301r" }, [-1, 0, 1, 0, 2]],
  ["the same text for all", { 1: " an", 2: " an", 3: " an", 4: " an", 5: " an" }, [8, 1, 2, 2, 0]],
];
for (const [name, tokens, [score, right, wrong, void_, unanswered]] of cases) {
  test(`${name}: ${score}`, () => {
    const given = new Map(Object.entries(tokens).map(([id, text]) => [Number(id), text]));
    assert.deepEqual(scoreTokens(given, solution), { score, right, wrong, void: void_, unanswered });
  });
}

test("an id that is not in the contest refuses the whole", () => {
  assert.throws(
    () => scoreTokens(new Map([[1, " an"], [6, "x"]]), solution), // prettier-ignore
    (error) => UnseenError.isInstance(error) && error.code === "REQUEST_INVALID" && /got 6\./.test(error.message),
  );
});

test("law: the score is ten for each right mapping less one for each wrong one, counted another way", () => {
  const words = fc.constantFrom(" a", "Ġa", "▁a", "a", "b", " b", "c");
  const solved = fc.uniqueArray(fc.tuple(fc.nat(50), words), { selector: ([id]) => id, minLength: 1 });
  fc.assert(
    fc.property(solved, fc.array(words), fc.array(fc.boolean()), (pairs, guesses, hinted) => {
      const plain = (text: string): string => text.replace("Ġ", " ").replace("▁", " ");
      const hints = new Set(pairs.filter((_, index) => hinted[index]).map(([id]) => id));
      const truth: Solution = { ...solution, hints, tokens: new Map(pairs.map(([id, text]) => [id, [plain(text)]])) };
      const given = new Map(pairs.slice(0, guesses.length).map(([id], index) => [id, guesses[index] as string]));
      let expected = 0;
      for (const [id, text] of pairs) {
        const guess = given.get(id);
        if (guess === undefined || hints.has(id)) continue;
        expected += plain(guess) === plain(text) ? 10 : -1;
      }
      const tally = scoreTokens(given, truth);
      assert.equal(tally.score, expected);
      assert.equal(tally.right + tally.wrong + tally.void, given.size);
      assert.equal(tally.right + tally.wrong + tally.unanswered, pairs.length - hints.size);
    }),
    { seed: 1, numRuns: 300 },
  );
});
