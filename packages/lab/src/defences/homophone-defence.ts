/**
 * The defence by homophones, as a host and a wire see it.
 * @module
 */
import { join } from "node:path";
import type { RandomStream } from "@unseen/core/algebra/random.ts";
import { decoderOf } from "@unseen/core/blueprint/families/index.ts";
import type { Model } from "@unseen/core/blueprint/model.ts";
import { vocabularyPermutation } from "@unseen/core/blueprint/spaces.ts";
import { encryptModel } from "@unseen/core/blueprint/transform.ts";
import type { Attack } from "../attack.ts";
import { makeTrial, type KeyedModel, type Subject, type Trial } from "../trial.ts";
import { openWeights } from "../weights/open-weights.ts";
import { tensorsOf, writeCheckpoint, type CopiedTensor } from "./checkpoint-copy.ts";
import type { Defence } from "./defence.ts";
import { afterMerging } from "./equal-rows.ts";
import { frequenciesOf } from "./frequencies.ts";
import { chooseHomophones, makeCodebook, type Codebook } from "./homophones.ts";
import { informedAttack, translateGuess, translateOutcome } from "./informed.ts";

/**
 * Several ids for each frequent word, as many as its frequency in the texts that the attacker takes for the language: the key holder
 * knows no better. Special ids keep one: the host has to know them. Exact; costs rows of the vocabulary.
 */
export const homophones: Defence = {
  name: "homophones",
  title: "Gives frequent tokens several ids, one of which is chosen at random each time.",
  dial: "ids of the most frequent token",
  dials: [1, 2, 4, 8, 16, 32],
  source: "homophonic substitution; stops attacks on the wire alone",
  async apply({ model, subject, dial, key, seed, directory, random, signal }) {
    const book = makeCodebook(frequenciesOf(subject.texts.prior, subject.vocabulary, subject.special), dial);
    const [repeated, output] = [join(directory, "repeated"), join(directory, "encrypted")];
    await writeHomophoneModel(repeated, model, book);
    await encryptModel({ source: repeated, output, key, signal });
    const keyed = { permutation: vocabularyPermutation(key.secret, book.size), encrypted: await openWeights(output, book.size) };
    return {
      trial: homophoneTrial(subject, book, keyed, seed, random("choice of homophones")),
      changed: null,
      cost: book.size / book.vocabulary,
      informed: (attacks) =>
        attacks
          .filter(({ tier }) => tier === "T0")
          .flatMap((attack) => [knowingCopies(attack, book), afterMerging(attack, book.vocabulary)]),
    };
  },
};

/** Writes the model with the rows of the word table and of the head repeated. Throws as `writeCheckpoint`. */
export async function writeHomophoneModel(directory: string, model: Model, book: Codebook): Promise<void> {
  const { embedding, head } = decoderOf(model.config);
  const tensors = tensorsOf(model).map((tensor): CopiedTensor => {
    if (tensor.role !== embedding && tensor.role !== head) return tensor;
    const columns = tensor.shape[1] as number;
    return {
      ...tensor,
      shape: [book.size, columns],
      change(stored) {
        const rows = new Float64Array(book.size * columns);
        for (const [id, word] of book.words.entries()) rows.set(stored.subarray(word * columns, (word + 1) * columns), id * columns);
        return rows;
      },
    };
  });
  await writeCheckpoint(directory, model, tensors, { vocab_size: book.size });
}

/**
 * The trial of a subject whose words have several ids.
 *
 * The attacker's texts and guesses are in words. An id is recovered when it is guessed to stand for its word: `vocabularyTop1` is the
 * share of words, a word with several ids counting by those recovered, and `textTokens` that of occurrences whose id is read as the
 * right word. There is no base: its vocabulary is another.
 */
export function homophoneTrial(subject: Subject, book: Codebook, keyed: KeyedModel, seed: number, random: RandomStream): Trial {
  const choose = (texts: readonly Uint32Array[]): Uint32Array[] => texts.map((text) => chooseHomophones(book, text, random));
  const { recorded, heldOut, prior } = subject.texts;
  const further = Array.from({ length: book.size - book.vocabulary }, () => "");
  const trial = makeTrial(
    {
      ...subject,
      vocabulary: book.size,
      texts: { recorded: choose(recorded), heldOut: choose(heldOut), prior },
      spelling: subject.spelling && [...subject.spelling, ...further],
      base: null,
      knownText: subject.knownText && choose(subject.knownText),
    },
    keyed,
    seed,
  );
  return {
    evidence: {
      ...trial.evidence,
      known: trial.evidence.known.map(({ plain, cipher }) => ({ plain: book.words[plain] as number, cipher })),
    },
    truth: { ...trial.truth, words: book.words },
    owner: { ...trial.owner, plainTraffic: recorded },
  };
}

/** The attack by somebody who knows how many ids each word has: compares with the language as it looks in homophones. */
export function knowingCopies(attack: Attack, book: Codebook): Attack {
  const everyId = Uint32Array.from({ length: book.size }, (_, id) => id);
  return informedAttack(attack, {
    name: `${attack.name}-knowing-copies`,
    title: `Knows how many ids each token has. ${attack.title}`,
    knowledge: `${attack.knowledge}, and how often the key holder takes each token to occur`,
    async run(evidence, context) {
      const prior = evidence.prior.map((text) => chooseHomophones(book, text, context.random));
      const outcome = await attack.run({ ...evidence, prior }, context);
      return translateOutcome(outcome, {
        guess: (guess) => translateGuess(guess, everyId, book.words),
        texts: (texts) => texts.map((text) => text.map((id) => book.words[id] ?? -1)),
      });
    },
  });
}
