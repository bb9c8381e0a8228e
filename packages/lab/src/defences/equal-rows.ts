/**
 * What a host makes of homophones: ids whose rows of the word table are equal are one word.
 * @module
 */
import type { Attack } from "../attack.ts";
import { rowOf, type Matrix } from "../numeric/matrix.ts";
import { informedAttack, translateGuess, translateOutcome } from "./informed.ts";

/**
 * A number for each row, counted from 0 in the order of first rows: equal rows have equal numbers, and no others. One pass.
 *
 * Keys keep it so: they act on rows by one map for all, and round the same numbers in the same way.
 */
export function equalRows(of: Matrix): Uint32Array {
  const numbers = new Map<string, number>();
  return Uint32Array.from({ length: of.rows }, (_, row) => {
    // -0 and 0 are equal numbers of unequal bytes.
    const numbersOfRow = rowOf(of, row).map((value) => value + 0);
    const text = Buffer.from(numbersOfRow.buffer, numbersOfRow.byteOffset, numbersOfRow.byteLength).toString("latin1");
    const number = numbers.get(text) ?? numbers.size;
    numbers.set(text, number);
    return number;
  });
}

/** Shares 0..1. */
export interface Merging {
  /** Of the further ids of words, those that fall together with their word's first id. */
  readonly merged: number;
  /** Of all ids, those that fall together with another word. */
  readonly mistaken: number;
}

/**
 * How well classes of cipher ids agree with the words that these stand for.
 *
 * @param classes a number for each cipher id, as {@link equalRows} gives it
 * @param words word of each plain id; a word's first id is the word
 * @param permutation cipher id of each plain id
 */
export function judgeMerging(classes: Uint32Array, words: Uint32Array, permutation: Uint32Array): Merging {
  const classOf = (id: number): number => classes[permutation[id] as number] as number;
  const wordsOf = new Map<number, Set<number>>();
  for (const [id, word] of words.entries()) wordsOf.set(classOf(id), (wordsOf.get(classOf(id)) ?? new Set()).add(word));
  const counts = { further: 0, merged: 0, mistaken: 0 };
  for (const [id, word] of words.entries()) {
    counts.further += Number(id !== word);
    counts.merged += Number(id !== word && classOf(id) === classOf(word));
    counts.mistaken += Number((wordsOf.get(classOf(id)) as Set<number>).size > 1);
  }
  return {
    merged: counts.further === 0 ? 1 : counts.merged / counts.further,
    mistaken: words.length === 0 ? 0 : counts.mistaken / words.length,
  };
}

/**
 * The attack on traffic in which ids of equal rows are one id, by a host.
 *
 * @param vocabulary words that the public tokenizer has
 */
export function afterMerging(attack: Attack, vocabulary: number): Attack {
  return informedAttack(attack, {
    name: `${attack.name}-after-merging`,
    title: `Takes ids with equal rows for one. ${attack.title}`,
    tier: "T1",
    knowledge: `${attack.knowledge}, and the encrypted weights`,
    missing: (evidence) => (evidence.encrypted ? attack.missing(evidence) : "there are no encrypted weights"),
    async run(evidence, context) {
      const classes = equalRows(evidence.encrypted!.embedding());
      const merged = {
        ...evidence,
        // Words that are equal by accident leave fewer classes than words.
        vocabulary: classes.reduce((most, number) => Math.max(most, number + 1), vocabulary),
        traffic: evidence.traffic.map((text) => text.map((id) => classes[id] as number)),
        known: evidence.known.map(({ plain, cipher }) => ({ plain, cipher: classes[cipher] as number })),
        encrypted: null,
      };
      return translateOutcome(await attack.run(merged, context), { guess: (guess) => translateGuess(guess, classes, []) });
    },
  });
}
