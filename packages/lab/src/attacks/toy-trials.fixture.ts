/**
 * For tests of attacks on texts: trials in a toy language, and the three questions that each attack is asked.
 * @module
 */
import assert from "node:assert/strict";
import { permutation } from "@unseen/core/algebra/random.ts";
import type { Attack, Context, Outcome } from "../attack.ts";
import { ToyLanguage } from "../language.fixture.ts";
import type { AttackResult } from "../result.ts";
import { runAttack } from "../run-attack.ts";
import { seeded } from "../seed.ts";
import { makeTrial, type Trial } from "../trial.ts";

/** What a toy trial is made of. */
export interface ToyTrial {
  readonly vocabulary: number;
  /** Recorded tokens. */
  readonly tokens: number;
  /** Tokens of the text to compare with; three times as many where it is not said. */
  readonly priorTokens?: number;
  /** Language of the text to compare with; that of the traffic is 1. */
  readonly priorLanguage?: number;
  /** The traffic is uniformly random ids instead of text. */
  readonly noise?: boolean;
  readonly spelling?: readonly string[];
}

const LENGTH = 100;

/** A trial under a key of its own. */
export function toyTrial(
  { vocabulary, tokens, priorTokens = 3 * tokens, priorLanguage = 1, noise = false, spelling }: ToyTrial,
  key = 1,
): Trial {
  const spoken = new ToyLanguage(vocabulary, 1);
  const random = seeded(key, "noise");
  const uniform = Array.from({ length: tokens / LENGTH }, () => Uint32Array.from({ length: LENGTH }, () => random.below(vocabulary)));
  return makeTrial(
    {
      vocabulary,
      special: new Set(),
      texts: {
        recorded: noise ? uniform : spoken.texts(tokens / LENGTH, LENGTH, 1),
        heldOut: spoken.texts(20, LENGTH, 2),
        prior: new ToyLanguage(vocabulary, priorLanguage).texts(priorTokens / LENGTH, LENGTH, 3),
      },
      spelling: spelling ?? null,
      base: null,
      knownText: null,
    },
    { permutation: permutation(seeded(key, "key"), vocabulary), encrypted: null },
    key,
  );
}

/** Runs an attack on trials with all the time in the world. */
export async function measured(attack: Attack, ...trials: readonly Trial[]): Promise<AttackResult> {
  return runAttack(attack, trials, { seed: 1, budget: Infinity });
}

/** What an attack recovers of held-out text, 0..1. */
export async function reads(attack: Attack, trial: Trial): Promise<number> {
  const { guess } = await outcomeOf(attack, trial);
  assert.ok(guess);
  const { permutation: secret, heldOut } = trial.truth;
  const right = heldOut.flatMap((text) => [...text]).map((plain) => Number(guess.top(secret[plain] as number) === plain));
  return right.reduce((sum, each) => sum + each, 0) / right.length;
}

/** One run; `proceed` may say that the time is up. */
export async function outcomeOf(attack: Attack, { evidence }: Trial, proceed: Context["proceed"] = async () => true): Promise<Outcome> {
  assert.equal(attack.missing(evidence), null);
  return attack.run(evidence, { random: seeded(1, attack.name), proceed });
}

/** Two runs with one seed agree in all but their speed. */
export async function agreesTwice(attack: Attack, trial: Trial): Promise<void> {
  const [first, second] = [await outcomeOf(attack, trial), await outcomeOf(attack, trial)].map(({ guess, curve, figures }) => ({
    guess: guess?.ranked,
    curve: curve?.points.map((point) => [point.x, point.guess.ranked]),
    figures: { ...figures, movesPerSecond: 0 },
  }));
  assert.deepEqual(first, second);
}
