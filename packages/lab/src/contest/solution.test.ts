/** Nobody can change a solution that has been committed to. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { byteLevelTokenizer } from "@unseen/client/example-tokenizers.ts";
import { UnseenError, type ErrorCode } from "@unseen/core/errors.ts";
import { checkContest, type Contest } from "./contest.ts";
import { makeContest } from "./make-contest.ts";
import { checkSolution, commitmentOf, solutionFile, verifySolution, type Solution } from "./solution.ts";

const code = (expected: ErrorCode) => (error: unknown) => UnseenError.isInstance(error) && error.code === expected;
const tokenizer = byteLevelTokenizer();
const { contest, solution } = makeContest({
  date: "2099-12-31",
  practice: true,
  model: { fingerprint: null, family: "llama", vocabularySize: tokenizer.size },
  tokenizer,
  permutation: Uint32Array.from({ length: tokenizer.size }, (_, id) => tokenizer.size - 1 - id),
  prompt: "the cat",
  response: " a hat and the mat",
  hints: 2,
});
const hint = [...solution.hints][0] as number;
const secret = [...solution.tokens.keys()].find((id) => !solution.hints.has(id)) as number;
const absent = Array.from({ length: tokenizer.size }, (_, id) => id).find((id) => !solution.tokens.has(id)) as number;

test("the commitment is the hash of a text that any program can make", () => {
  // By Python: sha256(json.dumps(["unseen-contest-1", "0123…", "000…", [7], [[7, [" the"]], …]], separators=(",", ":"), ensure_ascii=False))
  const example: Solution = {
    contest: "0123456789abcdef",
    salt: "0".repeat(64),
    hints: new Set([7]),
    tokens: new Map([[100, ["Ċ", "\n"]], [7, [" the"]], [12, [" an"]]]), // prettier-ignore
  };
  assert.equal(commitmentOf(example), "529e70206167f9669eac5ed3ddb56fcadf40518ba773b4af9e3419b25f635c97");
});

test("what was made agrees with itself, also through its files", () => {
  verifySolution(contest, solution);
  const read = checkSolution(JSON.parse(JSON.stringify(solutionFile(solution))), "solution.json");
  assert.deepEqual([...read.tokens], [...solution.tokens]);
  verifySolution(checkContest(JSON.parse(JSON.stringify(contest)), "contest.json"), read);
});

const changed = (change: Partial<Solution>): Solution => ({ ...solution, ...change });
const withToken = (id: number, texts: string[]): Solution => changed({ tokens: new Map([...solution.tokens, [id, texts]]) });
const without = (id: number): Map<number, readonly string[]> => new Map([...solution.tokens].filter(([each]) => each !== id));
const tampered: [string, Contest, Solution][] = [
  ["a text", contest, withToken(secret, ["x"])],
  ["a further text", contest, withToken(secret, [...(solution.tokens.get(secret) as string[]), "x"])],
  ["a hint's text", contest, withToken(hint, ["x"])],
  ["a further id", contest, withToken(absent, ["x"])],
  ["a missing id", contest, changed({ tokens: without(secret) })],
  ["a further hint", contest, changed({ hints: new Set([...solution.hints, secret]) })],
  ["no hints", contest, changed({ hints: new Set() })],
  ["the salt", contest, changed({ salt: "1".repeat(64) })],
  ["the contest's id", contest, changed({ contest: "f".repeat(16) })],
  ["a hint in public", { ...contest, hints: { ...contest.hints, [hint]: "x" } }, solution],
  ["another hint in public", { ...contest, hints: { ...contest.hints, [secret]: "x" } }, solution],
  ["the commitment", { ...contest, commitment: "0".repeat(64) }, solution],
  ["an id in public", { ...contest, response: [...contest.response, absent] }, solution],
];
for (const [name, public_, private_] of tampered) {
  test(`changed afterwards: ${name}`, () => {
    assert.throws(() => verifySolution(public_, private_), code("VERIFICATION_FAILED"));
  });
}

const texts = { "1": ["a"] };
const salt = "0".repeat(64);
const malformed: [string, unknown][] = [
  ["null", null],
  ["another version", { version: 2, contest: "f".repeat(16), salt, hints: [], tokens: texts }],
  ["a short salt", { version: 1, contest: "f".repeat(16), salt: "00", hints: [], tokens: texts }],
  ["a hint without token", { version: 1, contest: "f".repeat(16), salt, hints: [2], tokens: texts }],
  ["an id that is none", { version: 1, contest: "f".repeat(16), salt, hints: [], tokens: { "01": ["secret words"] } }],
  ["no text", { version: 1, contest: "f".repeat(16), salt, hints: [], tokens: { "1": [] } }],
  ["a text that is none", { version: 1, contest: "f".repeat(16), salt, hints: [], tokens: { "1": [{ secret: "words" }] } }],
];
for (const [name, value] of malformed) {
  test(`a solution file with ${name} is refused, and not quoted`, () => {
    assert.throws(
      () => checkSolution(value, "solution.json"),
      (error) => code("CHECKPOINT_MALFORMED")(error) && !/secret|words/.test(String(error)),
    );
  });
}

for (const [name, change] of Object.entries<Partial<Record<keyof Contest, unknown>>>({
  "another version": { version: 2 },
  "a day that is none": { date: "2099-02-30" },
  "no ids": { prompt: [], response: [], hints: {} },
  "an id beyond the vocabulary": { prompt: [tokenizer.size] },
  "a fraction": { prompt: [1.5] },
  "a hint of something else": { hints: { "9999": "x" } },
  "other points": { scoring: { right: 10, wrong: 0 } },
  "a short commitment": { commitment: "00" },
})) {
  test(`a contest file with ${name} is refused`, () => {
    assert.throws(() => checkContest({ ...contest, ...change }, "contest.json"), code("CHECKPOINT_MALFORMED"));
  });
}
