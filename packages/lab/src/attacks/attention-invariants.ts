/**
 * What attention heads compute of a token alone: how much it attends to itself, and how much of it they pass on.
 *
 * A token's query and key meet under one rotation when both stand at the same position, so the score of a token with itself is
 * e W_qᵀ W_k eᵀ. Keys inside a head act on each rotary pair as one complex number and its inverse, so the score of every pair is
 * unchanged for itself, and with it that of a quarter turn.
 * @module
 */
import type { Attack, Context } from "../attack.ts";
import { matrix, rowOf, type Matrix } from "../numeric/matrix.ts";
import { multiplyTransposed } from "../numeric/multiply.ts";
import { classesOfRows } from "../numeric/nearest.ts";
import type { HeadLayout } from "../weights/weights.ts";
import { headsOf, pairHeads, squareRoot, type AttentionHead } from "./attention-heads.ts";
import { joinColumns, standardised } from "./features.ts";
import { guessOf, nearestPlain, sureShare } from "./pairing.ts";
import { roundingBetween } from "./storage-rounding.ts";
import { exactEncryption, missingBlocks, twoModels, type TwoModels } from "./two-models.ts";

/** Features of a token, at most. */
const MAXIMUM_FEATURES = 512;
/** Errors of features are larger than those of weights, because products cancel in part. */
const CANCELLATION = 4;

export const attentionInvariants: Attack = {
  name: "attention-invariants",
  title: "Pairs heads by singular values, then tokens by what each head computes of a token alone.",
  tier: "T2",
  knowledge: "encrypted weights, public model",
  source: "AloePri's attention attack (arXiv 2603.01499), for whole heads and for pairs of dimensions",
  missing(evidence) {
    const [encrypted, base] = [evidence.encrypted?.layout, evidence.base?.layout];
    const alike = !encrypted || !base || (encrypted.heads === base.heads && encrypted.headSize === base.headSize);
    return missingBlocks(evidence) ?? (alike ? null : "the two models have heads of different number or size");
  },
  async run(evidence, context) {
    const models = twoModels(evidence);
    const { encrypted, base, figures } = await describe(models, context);
    const neighbours = await nearestPlain(encrypted, base, context, [0.5, 0.8]);
    return { guess: guessOf(neighbours), classes: classesOfRows(base, CANCELLATION * roundingBetween(models)), figures };
  },
  control: exactEncryption(0.95),
};

/** Features of both models in the order of the public one's heads, and how well the heads could be paired. */
async function describe(models: TwoModels, context: Context) {
  const { heads } = models.base.layout as HeadLayout;
  const tables = { encrypted: models.encrypted.embedding(), base: models.base.embedding() };
  const sides = { encrypted: [] as Matrix[], base: [] as Matrix[] };
  const sum = { paired: 0, error: 0, layers: 0 };
  let features = 0;
  for (let layer = 0; layer < models.base.layers; layer += 1) {
    if (!(await context.proceed((0.5 * layer) / models.base.layers)) && features > 0) break;
    const [encrypted, base] = [headsOf(models.encrypted, layer), headsOf(models.base, layer)];
    const { matches, error } = pairHeads(encrypted, base);
    sum.paired += sureShare(matches, heads);
    sum.error += error;
    sum.layers += 1;
    for (const { plain, cipher } of matches) {
      if (features >= MAXIMUM_FEATURES) break;
      const [theirs, ours] = [encrypted[cipher] as AttentionHead, base[plain] as AttentionHead];
      const pairs = Math.min(ours.pairs.length, Math.max(1, Math.floor(MAXIMUM_FEATURES / heads / 2)));
      sides.encrypted.push(standardised(headFeatures(tables.encrypted, theirs, pairs)));
      sides.base.push(standardised(headFeatures(tables.base, ours, pairs)));
      features += 2 * pairs + 2;
    }
  }
  return {
    encrypted: joinColumns(sides.encrypted, tables.base.rows),
    base: joinColumns(sides.base, tables.base.rows),
    figures: { headsPaired: sum.paired / sum.layers, spectrumError: sum.error / sum.layers },
  };
}

/** `(V, 2 pairs + 2)`: of each rotary pair the score of a token with itself and with itself a quarter turn away, the score of the rest, and the length of what the head passes on. */
function headFeatures(table: Matrix, { queries, keys, values, output, pairs, still }: AttentionHead, count: number): Matrix {
  const [q, k] = [multiplyTransposed(table, queries), multiplyTransposed(table, keys)]; // (V, h)
  const passed = multiplyTransposed(multiplyTransposed(table, values), squareRoot(multiplyTransposed(output, output))); // rows as long as v W_o
  const out = matrix(table.rows, 2 * count + 2);
  for (let token = 0; token < table.rows; token += 1) {
    const [a, b, row] = [rowOf(q, token), rowOf(k, token), rowOf(out, token)];
    pairs.slice(0, count).forEach(([i, j], pair) => {
      row[2 * pair] = (a[i] as number) * (b[i] as number) + (a[j] as number) * (b[j] as number);
      row[2 * pair + 1] = (a[i] as number) * (b[j] as number) - (a[j] as number) * (b[i] as number);
    });
    for (const i of still) row[2 * count]! += (a[i] as number) * (b[i] as number);
    row[2 * count + 1] = Math.hypot(...rowOf(passed, token));
  }
  return out;
}
