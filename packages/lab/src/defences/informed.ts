/**
 * Attackers who know of a defence: an attack that first undoes what it can, and reads the result as if there were no defence.
 * @module
 */
import type { Attack, Outcome } from "../attack.ts";
import { Guess, RANKS } from "../guess.ts";

/** The attack with other parts, and without a control: that of the attack itself says whether it works. */
export function informedAttack(attack: Attack, parts: Partial<Attack>): Attack {
  return {
    name: attack.name,
    title: attack.title,
    tier: attack.tier,
    knowledge: attack.knowledge,
    source: attack.source,
    missing: (evidence) => attack.missing(evidence),
    run: (evidence, context) => attack.run(evidence, context),
    ...parts,
    control: null,
  };
}

/** An outcome with each guess and the recovered texts translated; what is said of classes is left out. */
export function translateOutcome(
  { guess, curve, texts, figures, remark }: Outcome,
  translate: { guess(of: Guess): Guess; texts?: (of: readonly Int32Array[]) => readonly Int32Array[] },
): Outcome {
  return {
    guess: guess && translate.guess(guess),
    ...(curve
      ? { curve: { of: curve.of, points: curve.points.map((point) => ({ x: point.x, guess: translate.guess(point.guess) })) } }
      : {}),
    ...(texts ? { texts: translate.texts?.(texts) ?? texts } : {}),
    ...(figures ? { figures } : {}),
    ...(remark === undefined ? {} : { remark }),
  };
}

/**
 * A guess about other ids: that of cipher id `from[c]` for each cipher id c, each plain id by its word.
 *
 * @param words word of each plain id
 */
export function translateGuess(guess: Guess, from: ArrayLike<number>, words: ArrayLike<number>): Guess {
  const translated = new Guess(from.length);
  for (let cipher = 0; cipher < from.length; cipher += 1) {
    const start = (from[cipher] as number) * RANKS;
    const plains = guess.ranked.subarray(start, start + RANKS).filter((plain) => plain >= 0);
    translated.set(cipher, new Set(Array.from(plains, (plain) => words[plain] ?? plain)));
  }
  return translated;
}
