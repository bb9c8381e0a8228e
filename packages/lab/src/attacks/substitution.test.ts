import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { permutation } from "@unseen/core/algebra/random.ts";
import { TextTokenizer } from "@unseen/client/tokenizer.ts";
import { needs, sharedPath } from "../../../../tests/shared.ts";
import { seeded } from "../seed.ts";
import { makeTrial } from "../trial.ts";
import { substitutionOf } from "./substitution.ts";
import { agreesTwice, measured, outcomeOf, reads, toyTrial } from "./toy-trials.fixture.ts";

const attack = substitutionOf(20_000);

test("recorded text is read, under every key, and the control succeeds", async () => {
  const trials = [1, 2].map((key) => toyTrial({ vocabulary: 120, tokens: 8000 }, key));
  const result = await measured(attack, ...trials);
  assert.ok(result.spread.textTokens!.least > 0.9, `${result.spread.textTokens!.least}`);
  assert.ok(result.vocabularyTop10! >= result.vocabularyTop1!);
  assert.ok(result.control! > 0.95);
});

test("annealing does not lose what was read, and the likelihood tells", async () => {
  const trial = toyTrial({ vocabulary: 120, tokens: 3000 });
  const [without, annealed] = [await outcomeOf(substitutionOf(0), trial), await outcomeOf(attack, trial)];
  assert.ok(annealed.figures!["natsPerToken"]! < without.figures!["natsPerToken"]!);
});

test("a text in another language says nothing, nor does noise", async () => {
  assert.ok((await reads(attack, toyTrial({ vocabulary: 120, tokens: 4000, priorLanguage: 2 }))) < 0.25);
  assert.ok((await reads(attack, toyTrial({ vocabulary: 120, tokens: 4000, noise: true }))) < 0.25);
});

test("a seed gives one result; without time there is one all the same", async () => {
  const trial = toyTrial({ vocabulary: 60, tokens: 2000 });
  await agreesTwice(substitutionOf(5000), trial);
  const { guess, figures } = await outcomeOf(attack, trial, async () => false);
  assert.equal(figures!["moves"], 0);
  assert.ok(guess!.mapping().some((plain) => plain >= 0));
});

const stories = "data/text/tinystories.txt";

test("of real stories, 20,000 recorded tokens are enough", needs(stories), async () => {
  const tokenizer = await TextTokenizer.load(fileURLToPath(new URL("../../../unseen/models/story-llama", import.meta.url)));
  const texts = readFileSync(sharedPath(stories)!, "utf8")
    .split("<|endoftext|>", 900)
    .map((text) => Uint32Array.from(tokenizer.encode(text.trim(), { specialTokens: false })));
  const trial = makeTrial(
    {
      vocabulary: tokenizer.size,
      special: new Set(),
      texts: { recorded: texts.slice(0, 90), heldOut: texts.slice(90, 130), prior: texts.slice(130) },
      spelling: null,
      base: null,
      knownText: null,
    },
    { permutation: permutation(seeded(1, "stories"), tokenizer.size), encrypted: null },
    1,
  );
  assert.ok(trial.evidence.traffic.reduce((sum, text) => sum + text.length, 0) < 22_000);
  const read = await reads(substitutionOf(50_000), trial);
  assert.ok(read > 0.5, `${read}`);
  const alien = { ...trial, evidence: { ...trial.evidence, prior: texts.slice(130).map((text) => text.toSorted()) } };
  assert.ok((await reads(substitutionOf(0), alien)) < 0.25);
});
