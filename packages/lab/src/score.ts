/**
 * What a guess is worth, in the same units for every attack.
 * @module
 */
import { bleu } from "./bleu.ts";
import type { Guess } from "./guess.ts";

/** Shares 0..1. Special tokens are counted in `special` alone: there are few of them, and every prompt shows where they stand. */
export interface Score {
  /** Of the ordinary ids, those whose likeliest guess is right. */
  readonly vocabularyTop1: number;
  /** Of the ordinary ids, those that are among the ten likeliest guesses. */
  readonly vocabularyTop10: number;
  /** As `vocabularyTop1`, of those ids that the attack can tell apart in the public model. */
  readonly distinguishableTop1: number;
  /** Of the ordinary ids, those that the attack can tell apart. */
  readonly distinguishable: number;
  /** Of the special ids, those whose likeliest guess is right; null without special ids. */
  readonly special: number | null;
  /** Of the ordinary tokens of a text that was not recorded, those that are read: frequent ones count more often. Null without such a text. */
  readonly textTokens: number | null;
  /** Corpus BLEU-4 of that text as recovered. */
  readonly bleu: number | null;
}

/** What the key holder knows, to score with. */
export interface Truth {
  /** Cipher id of every plain id. */
  readonly permutation: Uint32Array;
  /** Plain ids that are counted apart. */
  readonly special: ReadonlySet<number>;
  /** Texts that the attacker has not seen, in plain ids. */
  readonly heldOut: readonly Uint32Array[];
  /** Word of each plain id where several ids stand for one: each is right when its word is guessed, and a word counts once. Absent: one id a word. */
  readonly words?: Uint32Array;
}

/** Scores a guess. `classes`: see `Outcome.classes`. */
export function scoreGuess(guess: Guess, { permutation, special, heldOut, words }: Truth, classes?: Uint32Array): Score {
  const word = (plain: number): number => words?.[plain] ?? plain;
  const idsOfWord = countEach(words);
  const sizes = countEach(classes);
  const counts = { ordinary: 0, top1: 0, top10: 0, alone: 0, aloneTop1: 0, specialTop1: 0 };
  for (const [plain, cipher] of permutation.entries()) {
    const rank = guess.rankOf(cipher, word(plain));
    if (special.has(plain)) {
      counts.specialTop1 += Number(rank === 0);
      continue;
    }
    const alone = !classes || sizes.get(classes[plain] as number) === 1;
    const weight = 1 / (idsOfWord.get(word(plain)) ?? 1);
    counts.ordinary += weight;
    counts.top1 += weight * Number(rank === 0);
    counts.top10 += weight * Number(rank >= 0);
    counts.alone += weight * Number(alone);
    counts.aloneTop1 += weight * Number(alone && rank === 0);
  }
  return {
    vocabularyTop1: share(counts.top1, counts.ordinary),
    vocabularyTop10: share(counts.top10, counts.ordinary),
    distinguishableTop1: share(counts.aloneTop1, counts.alone),
    distinguishable: share(counts.alone, counts.ordinary),
    special: special.size === 0 ? null : counts.specialTop1 / special.size,
    ...scoreTexts(
      heldOut.map((text) => Int32Array.from(text, (plain) => guess.top(permutation[plain] as number))),
      words ? heldOut.map((text) => text.map(word)) : heldOut,
      special,
    ),
  };
}

/** Scores recovered texts against the true ones, position by position. */
export function scoreTexts(
  recovered: readonly ArrayLike<number>[],
  texts: readonly Uint32Array[],
  special: ReadonlySet<number>,
): Pick<Score, "textTokens" | "bleu"> {
  let [right, all] = [0, 0];
  for (const [index, text] of texts.entries()) {
    for (const [place, plain] of text.entries()) {
      if (special.has(plain)) continue;
      all += 1;
      right += Number((recovered[index] as ArrayLike<number>)[place] === plain);
    }
  }
  return { textTokens: all === 0 ? null : right / all, bleu: all === 0 ? null : bleu(recovered, texts) };
}

function countEach(numbers: Iterable<number> = []): Map<number, number> {
  const counts = new Map<number, number>();
  for (const each of numbers) counts.set(each, (counts.get(each) ?? 0) + 1);
  return counts;
}

const share = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);
