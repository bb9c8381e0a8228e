import assert from "node:assert/strict";
import { test } from "node:test";
import { permutation } from "@unseen/core/algebra/random.ts";
import { seeded } from "../seed.ts";
import { makeTrial, type Trial } from "../trial.ts";
import { linguisticOf } from "./linguistic.ts";
import { tokenFrequency } from "./token-frequency.ts";
import { agreesTwice, measured, outcomeOf, reads } from "./toy-trials.fixture.ts";

const attack = linguisticOf({ times: 2, moves: 20_000 });

// Each kind has members whose frequencies overlap with those of the others, so only their order in a sentence tells kinds apart.
const MEMBERS = 4;
const kinds: readonly { readonly spell: (letter: string) => string; readonly next: readonly number[] }[] = [
  { spell: (letter) => ` ${letter.toUpperCase()}lice`, next: [1] },
  { spell: (letter) => ` i${letter}`, next: [2] },
  { spell: (letter) => ` midd${letter}`, next: [3, 4] },
  { spell: (letter) => `piec${letter}`, next: [4] },
  { spell: (letter) => [",", ";", " -", ":"]["abcd".indexOf(letter)] as string, next: [1, 5, 5] },
  { spell: (letter) => ` beginnin${letter}`, next: [6] },
  { spell: (letter) => [".", "!", "?", "..."]["abcd".indexOf(letter)] as string, next: [0] },
];
const spelling = kinds.flatMap(({ spell }) => [..."abcd"].map(spell));

function sentences(count: number, seed: number): Uint32Array[] {
  const random = seeded(seed, "sentences");
  return Array.from({ length: count }, () => {
    let kind = 0;
    return Uint32Array.from({ length: 30 }, () => {
      // Members fall off by half, so that frequency tells them apart within a kind.
      const member = Math.min(MEMBERS - 1, Math.floor(-Math.log2(1 - random.uniform())));
      const id = kind * MEMBERS + member;
      const { next } = kinds[kind] as (typeof kinds)[number];
      kind = next[random.below(next.length)] as number;
      return id;
    });
  });
}

function trialOf(spelled: readonly string[]): Trial {
  const texts = { recorded: sentences(100, 1), heldOut: sentences(20, 2), prior: sentences(300, 3) };
  return makeTrial(
    { vocabulary: spelled.length, special: new Set(), texts, spelling: spelled, base: null, knownText: null },
    { permutation: permutation(seeded(1, "key"), spelled.length), encrypted: null },
    1,
  );
}

test("the rhythm of sentences tells what frequency cannot", async () => {
  const trial = trialOf(spelling);
  const [climbed, matched] = [await reads(attack, trial), await reads(tokenFrequency, trial)];
  assert.ok(climbed > 0.7 && matched < 0.5, `${climbed} and ${matched}`);
  assert.ok((await measured(attack, trial)).control! > 0.9);
});

test("if all tokens look alike, there is no rhythm", async () => {
  assert.ok((await reads(attack, trialOf(spelling.map(() => " word")))) < 0.5);
});

test("a seed gives one result, and without a tokenizer it is not run", async () => {
  const trial = trialOf(spelling);
  await agreesTwice(linguisticOf({ times: 2, moves: 2000 }), trial);
  assert.match(attack.missing({ ...trial.evidence, spelling: null })!, /tokenizer/);
  const { guess } = await outcomeOf(attack, trial, async () => false);
  assert.deepEqual(guess!.mapping(), (await outcomeOf(tokenFrequency, trial)).guess!.mapping());
});
