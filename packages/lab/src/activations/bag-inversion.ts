/**
 * From the vector of a text back to the tokens in it, without their order.
 * @module
 */
import { symmetricEigen } from "../numeric/decompose.ts";
import { matrix, meanRow, rowNorms, rowOf, subtractRow, type Matrix } from "../numeric/matrix.ts";
import { multiply, multiplyFirstTransposed, multiplyTransposed } from "../numeric/multiply.ts";

/** How many texts a token's own vector weighs as much as, where it tells where the texts with that token lie. */
const OWN_WEIGHT = 20;
/** Of the mean variance, added to that of every direction: few texts say little about the weak ones. */
const SHRINKAGE = 0.5;

/** Public texts and their vectors. */
export interface Corpus {
  readonly vectors: Matrix; // (m, d)
  /** Distinct tokens of each text. */
  readonly bags: readonly ReadonlySet<number>[];
}

/** The distinct tokens of each text, less those that are in every one of `texts`: special tokens are no news. */
export function bagsOf(texts: readonly Uint32Array[], everywhere: ReadonlySet<number>): ReadonlySet<number>[] {
  return texts.map((ids) => new Set([...ids].filter((id) => !everywhere.has(id))));
}

/** The tokens that every text has. */
export function tokensOfAll(texts: readonly Uint32Array[]): ReadonlySet<number> {
  const [first = new Set<number>(), ...rest] = texts.map((ids) => new Set(ids));
  return new Set([...first].filter((id) => rest.every((set) => set.has(id))));
}

/**
 * Knows where vectors of texts with a token lie, for every token of a corpus: a Gaussian for each token, with one covariance for all.
 *
 * Source: Fisher's linear discriminant; a token's mean is shrunk towards the direction of the vector of the token alone.
 */
export class BagInversion {
  /** The tokens that it can find. */
  readonly tokens: readonly number[];
  readonly #centre: Float64Array;
  readonly #whitening: Matrix; // (d, d)
  readonly #means: Matrix; // (tokens, d), whitened
  /** Logarithm of the odds that a text has the token, less half the square of its mean. */
  readonly #offsets: Float64Array;
  readonly #odds: Float64Array;

  /** @param alone the vectors of the tokens of `tokensIn(corpus)`, each as a text of its own: `(tokens, d)`; null where there are none */
  constructor(corpus: Corpus, alone: Matrix | null) {
    this.tokens = tokensIn(corpus);
    this.#centre = meanRow(corpus.vectors);
    const centred = subtractRow(corpus.vectors, this.#centre);
    this.#whitening = whitening(centred);
    const { sums, counts } = sumsByToken(this.tokens, corpus.bags, centred);
    this.#means = multiply(shrunkMeans(sums, counts, alone && unitRows(subtractRow(alone, meanRow(alone)))), this.#whitening);
    this.#odds = counts.map((count) => Math.log((count + 0.5) / (corpus.bags.length - count + 0.5)));
    const norms = rowNorms(this.#means);
    this.#offsets = this.#odds.map((odds, token) => odds - (norms[token] as number) ** 2 / 2);
  }

  /** The likeliest tokens of each vector, `counts` of them: `(n, d)`. */
  invert(vectors: Matrix, counts: readonly number[]): ReadonlySet<number>[] {
    const scores = multiplyTransposed(multiply(subtractRow(vectors, this.#centre), this.#whitening), this.#means);
    return counts.map((count, row) => this.#best(rowOf(scores, row).map((score, token) => score + (this.#offsets[token] as number)), count)); // prettier-ignore
  }

  /** The most frequent tokens: what is known without a vector. */
  frequent(count: number): ReadonlySet<number> {
    return this.#best(this.#odds, count);
  }

  #best(scores: Float64Array, count: number): ReadonlySet<number> {
    const order = Uint32Array.from(scores.keys()).toSorted((a, b) => (scores[b] as number) - (scores[a] as number) || a - b);
    return new Set(Array.from(order.subarray(0, count), (token) => this.tokens[token] as number));
  }
}

/** Every token of a corpus, in ascending order. */
export function tokensIn({ bags }: Pick<Corpus, "bags">): number[] {
  return [...new Set(bags.flatMap((bag) => [...bag]))].toSorted((a, b) => a - b);
}

/** The map after which centred points vary alike in all directions, nearly. */
function whitening(centred: Matrix): Matrix {
  const { values, vectors } = symmetricEigen(multiplyFirstTransposed(centred, centred));
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const out = matrix(vectors.rows, vectors.columns, vectors.values.slice());
  for (let i = 0; i < out.rows; i += 1)
    for (let k = 0; k < out.columns; k += 1)
      out.values[i * out.columns + k]! *= Math.sqrt(centred.rows / (Math.max(values[k] as number, 0) + SHRINKAGE * mean));
  return out;
}

/** Means of each token's texts, (tokens, d), drawn towards its own direction at the distance that tokens have on average. */
function shrunkMeans(sums: Matrix, counts: Float64Array, directions: Matrix | null): Matrix {
  const out = matrix(sums.rows, sums.columns);
  let reach = 0;
  for (const [at, value] of directions?.values.entries() ?? [])
    reach += (value * (sums.values[at] as number)) / (counts[Math.floor(at / sums.columns)] as number) / sums.rows;
  for (let token = 0; token < out.rows; token += 1) {
    const count = counts[token] as number;
    for (let at = token * out.columns; at < (token + 1) * out.columns; at += 1)
      out.values[at] = ((sums.values[at] as number) + OWN_WEIGHT * reach * (directions?.values[at] ?? 0)) / (count + OWN_WEIGHT);
  }
  return out;
}

/** Rows brought to length 1, zero ones left. */
function unitRows(of: Matrix): Matrix {
  const lengths = rowNorms(of);
  return matrix(of.rows, of.columns, of.values.map((value, at) => value / (lengths[Math.floor(at / of.columns)] || 1))); // prettier-ignore
}

function sumsByToken(tokens: readonly number[], bags: Corpus["bags"], centred: Matrix): { sums: Matrix; counts: Float64Array } {
  const place = new Map(tokens.map((token, index) => [token, index]));
  const sums = matrix(tokens.length, centred.columns);
  const counts = new Float64Array(tokens.length);
  for (const [text, bag] of bags.entries()) {
    const vector = rowOf(centred, text);
    for (const token of bag) {
      const index = place.get(token) as number;
      counts[index]! += 1;
      const sum = rowOf(sums, index);
      for (let k = 0; k < sum.length; k += 1) sum[k]! += vector[k] as number;
    }
  }
  return { sums, counts };
}
