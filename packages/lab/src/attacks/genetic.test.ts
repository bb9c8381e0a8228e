import assert from "node:assert/strict";
import { test } from "node:test";
import { geneticOf } from "./genetic.ts";
import { agreesTwice, measured, outcomeOf, reads, toyTrial } from "./toy-trials.fixture.ts";
import { tokenFrequency } from "./token-frequency.ts";

const attack = geneticOf({ population: 24, children: 1500 });

test("breeding reads more than frequency, from which it starts", async () => {
  const trial = toyTrial({ vocabulary: 30, tokens: 4000 });
  const [bred, matched] = [await reads(attack, trial), await reads(tokenFrequency, trial)];
  assert.ok(bred > matched + 0.1, `${bred} and ${matched}`);
});

test("a text in another language says nothing, nor does noise", async () => {
  assert.ok((await reads(attack, toyTrial({ vocabulary: 120, tokens: 4000, priorLanguage: 2 }))) < 0.25);
  assert.ok((await reads(attack, toyTrial({ vocabulary: 120, tokens: 4000, noise: true }))) < 0.25);
});

test("its control succeeds, and a seed gives one result", async () => {
  const trial = toyTrial({ vocabulary: 60, tokens: 2000 });
  assert.ok((await measured(attack, trial)).control! > 0.35);
  await agreesTwice(geneticOf({ population: 8, children: 100 }), trial);
});

test("without time there is the match by frequency", async () => {
  const trial = toyTrial({ vocabulary: 20, tokens: 1000 });
  const { guess, figures } = await outcomeOf(attack, trial, async () => false);
  assert.deepEqual(guess!.mapping(), (await outcomeOf(tokenFrequency, trial)).guess!.mapping());
  assert.equal(figures!["children"], 0);
});
