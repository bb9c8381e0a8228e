/**
 * For tests: the two simplest attacks, one on traffic and one on weights.
 * @module
 */
import type { Attack } from "../attack.ts";
import { Guess } from "../guess.ts";
import { rowNorms } from "../numeric/matrix.ts";
import { frequenciesOf } from "./frequencies.ts";

/** The n-th most frequent cipher id is the n-th most frequent plain id. */
export const toyFrequency: Attack = {
  name: "toy-frequency",
  title: "Pairs ids by rank.",
  tier: "T0",
  knowledge: "traffic and a text",
  source: "test",
  missing: ({ traffic }) => (traffic.length === 0 ? "there is no traffic" : null),
  async run({ vocabulary, traffic, prior }) {
    const [ciphers, plains] = [traffic, prior].map((texts) => ranked(frequenciesOf(texts, vocabulary, new Set())));
    const guess = new Guess(vocabulary);
    for (const [rank, cipher] of ciphers!.entries()) if (rank < plains!.length) guess.set(cipher, [plains![rank] as number]);
    return { guess };
  },
  control: {
    setting: "the traffic's own text as prior",
    least: 0.5,
    judged: "textTokens",
    arrange: (evidence, { plainTraffic }) => ({ ...evidence, prior: plainTraffic }),
  },
};

/** The row of the word table whose length is nearest. */
export const toyNorms: Attack = {
  name: "toy-norms",
  title: "Pairs rows by length.",
  tier: "T2",
  knowledge: "the public model",
  source: "test",
  missing: ({ base, encrypted }) => (base && encrypted ? null : "there is no public model"),
  async run({ vocabulary, base, encrypted }, { proceed }) {
    const [plain, cipher] = [base, encrypted].map((weights) => rowNorms(weights!.embedding())) as [Float64Array, Float64Array];
    const byLength = [...plain.keys()].toSorted((a, b) => (plain[a] as number) - (plain[b] as number));
    const lengths = Float64Array.from(byLength, (id) => plain[id] as number);
    const guess = new Guess(vocabulary);
    for (const [id, norm] of cipher.entries()) {
      if (!(await proceed(id / vocabulary))) break;
      const longer = lengths.findLastIndex((length) => length < norm) + 1;
      const near = [longer - 1, longer].filter((place) => place >= 0 && place < vocabulary);
      const far = (place: number): number => Math.abs((lengths[place] as number) - norm);
      guess.set(
        id,
        near.toSorted((a, b) => far(a) - far(b)).map((place) => byLength[place] as number),
      );
    }
    return { guess };
  },
  control: {
    setting: "the exact encryption",
    least: 0.95,
    judged: "vocabularyTop1",
    arrange: (evidence, { exact }) => ({ ...evidence, encrypted: exact ?? evidence.encrypted }),
  },
};

/** Ids that occur, most frequent first. */
function ranked(frequencies: Float64Array): number[] {
  return [...frequencies.keys()]
    .filter((id) => (frequencies[id] as number) > 0)
    .toSorted((a, b) => (frequencies[b] as number) - (frequencies[a] as number) || a - b);
}
