/**
 * What somebody with a database of encrypted text vectors has: the vectors, public texts, and the public encoder.
 * @module
 */
import type { Model } from "@unseen/core/blueprint/model.ts";
import type { Evidence } from "../attack.ts";
import { rowOf, takeRows, type Matrix } from "../numeric/matrix.ts";
import { multiply } from "../numeric/multiply.ts";
import { nearest } from "../numeric/nearest.ts";
import { BagInversion, bagsOf, tokensIn, tokensOfAll } from "./bag-inversion.ts";
import { stacked } from "./invariants.ts";
import { SentenceVectors } from "./sentence-vectors.ts";

/** How much is attacked. */
export interface VectorsEffort {
  /** Vectors in the database: those of the recorded texts from the first on. */
  readonly vectors: number;
  /** Public texts. */
  readonly candidates: number;
  /** Tokens of a text, at most what the model takes; of a longer one the first ones and the last. */
  readonly tokens: number;
}

/** Fewer vectors on either side say nothing about how a cloud is spread. */
export const FEWEST_VECTORS = 20;

/** In so many turns vectors are made. */
const TURNS = 10;

/** All that an attacker on vectors looks at. */
export interface VectorDatabase {
  /** What the encrypted encoder made of recorded texts: `(n, d)`. */
  readonly vectors: Matrix;
  /** Public texts, cut. */
  readonly texts: readonly Uint32Array[];
  /** Their vectors by the public encoder: `(m, d)`. */
  readonly candidates: Matrix;
  /** Tokens that all public texts have, such as those that open and end them. */
  readonly everywhere: ReadonlySet<number>;
  /** From the public encoder's vectors to tokens. */
  readonly inversion: BagInversion;
  /** The public encoder, and the encrypted one for texts that the attacker had embedded. */
  readonly base: SentenceVectors;
  readonly encrypted: SentenceVectors;
}

/** Cuts a text to the effort's tokens; what ends it stays at its end. */
export function shortened(ids: Uint32Array, { tokens }: VectorsEffort): Uint32Array {
  if (ids.length <= tokens) return ids;
  const cut = ids.slice(0, tokens);
  cut[tokens - 1] = ids.at(-1) as number;
  return cut;
}

/** Computes it, and less of it where the time is up; null where that is too little. Both models are in the evidence. */
export async function openDatabase(
  evidence: Evidence,
  effort: VectorsEffort,
  proceed: (done: number) => Promise<boolean>,
): Promise<VectorDatabase | null> {
  const [encrypted, base] = [evidence.encrypted, evidence.base].map((weights) => new SentenceVectors(weights?.model as Model)) as [
    SentenceVectors,
    SentenceVectors,
  ];
  const cut = (from: readonly Uint32Array[], count: number): Uint32Array[] => from.slice(0, count).map((ids) => shortened(ids, effort));
  const publicTexts = cut(evidence.prior, effort.candidates);
  const [vectors, candidates] = (await inTurn(
    [
      [encrypted, cut(evidence.traffic, effort.vectors)],
      [base, publicTexts],
    ],
    (done) => proceed(0.8 * done),
  )) as [Matrix, Matrix];
  if (vectors.rows < FEWEST_VECTORS || candidates.rows < FEWEST_VECTORS) return null;
  const texts = publicTexts.slice(0, candidates.rows);
  const everywhere = tokensOfAll(texts);
  const corpus = { vectors: candidates, bags: bagsOf(texts, everywhere) };
  const tokens = tokensIn(corpus);
  // A token alone stands between what opens and ends every text.
  const ends = (place: number): number[] => [...everywhere].filter((id) => texts[0]?.at(place) === id);
  const single = tokens.map((id) => Uint32Array.of(...ends(0), id, ...ends(-1)));
  const alone = await base.of(single, (done) => proceed(0.8 + 0.2 * done));
  const inversion = new BagInversion(corpus, alone.rows < tokens.length ? null : alone);
  return { vectors, texts, candidates, everywhere, inversion, base, encrypted };
}

/** The vectors of two lists of texts, some of each in turn, so that there are enough of both wherever the time is up. */
async function inTurn(
  lists: readonly (readonly [SentenceVectors, readonly Uint32Array[]])[],
  proceed: (done: number) => Promise<boolean>,
): Promise<Matrix[]> {
  const rows: Float64Array[][] = lists.map(() => []);
  for (let turn = 0; turn < TURNS; turn += 1) {
    for (const [list, [encoder, texts]] of lists.entries()) {
      const [start, end] = [turn, turn + 1].map((at) => Math.ceil((at * texts.length) / TURNS));
      const made = await encoder.of(texts.slice(start, end), () => proceed(turn / TURNS));
      for (let row = 0; row < made.rows; row += 1) rows[list]?.push(rowOf(made, row));
    }
  }
  return lists.map(([encoder], list) => stacked(rows[list] ?? [], encoder.tower.hidden));
}

/** For each vector the ids of the public text that a map makes it nearest to, as far as the recorded text was not cut; -1 beyond its end. */
export function nearestTexts(
  { vectors, texts, candidates }: VectorDatabase,
  map: Matrix,
  traffic: readonly Uint32Array[],
  effort: VectorsEffort,
): Int32Array[] {
  const { indices } = nearest(multiply(vectors, map), candidates, 1);
  return Array.from(indices, (index, row) => {
    const { length } = traffic[row] as Uint32Array;
    // The last token of a shortened text stands elsewhere in the whole one.
    const compared = length > effort.tokens ? effort.tokens - 1 : length;
    return Int32Array.from({ length: compared }, (_, place) => texts[index]?.[place] ?? -1);
  });
}

/** Rows up to a count, as a copy. */
export function firstRows(of: Matrix, count: number): Matrix {
  return takeRows(
    of,
    Array.from({ length: Math.min(count, of.rows) }, (_, row) => row),
  );
}
