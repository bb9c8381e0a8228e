/** A contest holds its text, and nothing of it in clear but the hints. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { TokenCipher } from "@unseen/client/token-cipher.ts";
import { TextTokenizer } from "@unseen/client/tokenizer.ts";
import { vocabularyPermutation } from "@unseen/core/blueprint/spaces.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { makeContest, type ContestSource } from "./make-contest.ts";
import { PRACTICE_PROMPT, PRACTICE_RESPONSE } from "./practice-text.ts";
import { scoreTokens } from "./scoring.ts";
import { commitmentOf } from "./solution.ts";

const tokenizer = await TextTokenizer.load(fileURLToPath(new URL("../../../unseen/models/story-llama", import.meta.url)));
const permutation = vocabularyPermutation(randomBytes(32), tokenizer.size);
const source: ContestSource = {
  date: "2099-12-31",
  practice: true,
  model: { fingerprint: null, family: "llama", vocabularySize: tokenizer.size },
  tokenizer,
  permutation,
  prompt: PRACTICE_PROMPT,
  response: PRACTICE_RESPONSE,
  hints: 7,
};
const refused = (error: unknown): boolean => UnseenError.isInstance(error) && error.code === "USAGE";

test("whoever has the key reads the text, and the solution scores in full", () => {
  const { contest, solution } = makeContest(source);
  const cipher = new TokenCipher(permutation);
  assert.equal(tokenizer.decode(cipher.decipher(contest.prompt)), PRACTICE_PROMPT);
  assert.equal(tokenizer.decode(cipher.decipher(contest.response)), PRACTICE_RESPONSE);
  const all = new Map([...solution.tokens].map(([id, texts]) => [id, texts.at(-1) as string]));
  const distinct = new Set([...contest.prompt, ...contest.response]).size;
  assert.deepEqual(scoreTokens(all, solution), { score: (distinct - 7) * 10, right: distinct - 7, wrong: 0, void: 7, unanswered: 0 });
});

test("hints are as many as asked for, true, and other ones each time", () => {
  const draws = Array.from({ length: 10 }, () => {
    const { contest, solution } = makeContest(source);
    const ids = Object.keys(contest.hints);
    assert.equal(ids.length, 7);
    for (const id of ids) assert.equal(contest.hints[id], solution.tokens.get(Number(id))?.[0]);
    return ids.join(" ");
  });
  assert.ok(new Set(draws).size > 1);
  assert.deepEqual(makeContest({ ...source, hints: 0 }).contest.hints, {});
});

test("beside the hints no word of the text is published, and equal contests cannot be told by their commitments", () => {
  const { contest, solution } = makeContest({ ...source, hints: 0, response: "Zebras discuss umbrellas" });
  const { rules: _rules, ...rest } = contest;
  assert.doesNotMatch(JSON.stringify(rest), /ebra|scuss|umbr|girl|boat/i);
  assert.notEqual(makeContest({ ...source, hints: 0 }).contest.commitment, makeContest({ ...source, hints: 0 }).contest.commitment);
  assert.notEqual(commitmentOf({ ...solution, salt: "0".repeat(64) }), contest.commitment);
});

test("a text without tokens, and hints that leave nothing, are refused", () => {
  assert.throws(() => makeContest({ ...source, prompt: "", response: "" }), refused);
  const { solution } = makeContest({ ...source, hints: 0 });
  assert.throws(() => makeContest({ ...source, hints: solution.tokens.size }), refused);
  assert.equal(makeContest({ ...source, hints: solution.tokens.size - 1 }).solution.hints.size, solution.tokens.size - 1);
});

test("a prompt or a response alone will do, and controls are taken as they are spelled", () => {
  assert.deepEqual(makeContest({ ...source, response: "", hints: 0 }).contest.response, []);
  const { contest } = makeContest({ ...source, prompt: "", response: "The end.<|end|>", hints: 0 });
  assert.deepEqual(contest.prompt, []);
  assert.equal(contest.response.at(-1), permutation[tokenizer.idOf("<|end|>") as number]);
});
