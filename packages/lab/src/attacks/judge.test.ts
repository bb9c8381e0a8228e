import assert from "node:assert/strict";
import { test } from "node:test";
import { UnseenError } from "@unseen/core/errors.ts";
import { ToyLanguage } from "../language.fixture.ts";
import { judgeServer } from "../language/judge-server.fixture.ts";
import { BigramModel } from "../language/ngrams.ts";
import { judgeAttack, type JudgeEffort } from "./judge.ts";
import { outcomeOf, reads, toyTrial } from "./toy-trials.fixture.ts";

const VOCABULARY = 12;
const spelling = Array.from({ length: VOCABULARY }, (_, id) => ` w${id}`);
// So little to compare with that the attacker alone does not get far.
const trial = toyTrial({ vocabulary: VOCABULARY, tokens: 2000, priorTokens: 100, spelling });
const few: JudgeEffort = { candidates: 2, moves: 100, questions: 2, tokens: 150 };
const many: JudgeEffort = { ...few, questions: 400 };

const corpus = new ToyLanguage(VOCABULARY, 1).texts(50, 100, 9);
const model = new BigramModel(corpus, VOCABULARY);
const meanOf = (words: ArrayLike<number>): number => {
  let sum = 0;
  for (let place = 1; place < words.length; place += 1) sum += model.logProbability(words[place - 1]!, words[place]!);
  return sum / (words.length - 1);
};
/** A judge who knows the language: how likely the words are beside those of real text, as 0..10. */
const fluency = (text: string): number => {
  const words = text.trim().split(" ").map((word) => Number(word.slice(1))); // prettier-ignore
  return Math.min(10, 10 * Math.exp(meanOf(words) - meanOf(corpus[0]!)));
};

test("a judge who knows the language leads to it; one who has it upside down does not", async () => {
  await using server = await judgeServer((text) => `I give it ${fluency(text).toFixed(3)}.`);
  await using fool = await judgeServer((text) => (10 - fluency(text)).toFixed(3));
  const alone = await reads(judgeAttack({ url: server.url, model: "m" }, few), trial);
  const led = await reads(judgeAttack({ url: server.url, model: "m" }, many), trial);
  const misled = await reads(judgeAttack({ url: fool.url, model: "m" }, many), trial);
  assert.ok(led > 0.7 && alone < 0.4 && misled < 0.4, `${alone}, ${led}, ${misled}`);
  assert.equal(server.asked.length, few.questions + many.questions);
});

test("a seed gives one result, and the score never falls", async () => {
  await using server = await judgeServer((text) => fluency(text).toFixed(3));
  const attack = judgeAttack({ url: server.url, model: "m" }, { ...few, questions: 60 });
  const [first, second] = [await outcomeOf(attack, trial), await outcomeOf(attack, trial)];
  assert.deepEqual(first, second);
  assert.equal(first.figures!["questions"], 60);
  assert.ok(first.figures!["score"]! > first.figures!["firstScore"]!);
});

test("nonsense now and then is passed over", async () => {
  let turn = 0;
  await using server = await judgeServer((text) => ((turn += 1) % 3 === 0 ? "What a text!" : fluency(text).toFixed(3)));
  const { figures, remark } = await outcomeOf(judgeAttack({ url: server.url, model: "m" }, { ...few, questions: 60 }), trial);
  assert.equal(figures!["unusableAnswers"], 20);
  assert.equal(remark, undefined);
});

test("a judge who never answers is given up, and the likeliest guess stands", async () => {
  await using server = await judgeServer(() => "I would rather not say.");
  const { guess, figures, remark } = await outcomeOf(judgeAttack({ url: server.url, model: "m" }, many), trial);
  assert.ok(figures!["questions"]! <= 10);
  assert.match(remark!, /no usable answers/);
  assert.ok(guess!.mapping().some((plain) => plain >= 0));
});

test("it is not run unless asked for, nor without a tokenizer, nor without an address", () => {
  const attack = judgeAttack({ url: "http://127.0.0.1:1", model: "m" });
  assert.equal(attack.optional, true);
  assert.match(attack.missing({ ...trial.evidence, spelling: null })!, /tokenizer/);
  assert.throws(
    () => judgeAttack({ url: "judge", model: "m" }),
    (error) => UnseenError.isInstance(error) && error.code === "USAGE",
  );
});
