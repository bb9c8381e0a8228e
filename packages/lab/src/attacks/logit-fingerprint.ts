/**
 * Decoders compared by what they answer. An exact encryption answers as the plain model does, with tokens renamed, so sorted
 * logits are the same list. Once some tokens are known, logits need no sorting any more: they are compared token by token, which
 * tells apart what noise has blurred. Longer prompts add little: tokens with equal rows answer alike wherever they stand.
 * @module
 */
import type { Context } from "../attack.ts";
import { centreRows, transpose, type Matrix } from "../numeric/matrix.ts";
import type { Neighbours } from "../numeric/nearest.ts";
import { singleTokenAnswers, type SingleTokenAnswers } from "../weights/single-token.ts";
import { joinColumns, joinRows, standardised } from "./features.ts";
import { isSettled, mutualMatches, nearestPlain, type Match } from "./pairing.ts";
import { sortedSketch } from "./sorted-sketch.ts";
import type { TwoModels } from "./two-models.ts";

/** Tokens whose logits are held at a time. */
const SLAB = 256;
/** Tokens that logits are compared at, once they are known. */
const MAXIMUM_ANCHORS = 256;
/** Share of all ids that serve as anchors at most, the surest first. */
const ANCHOR_SHARE = 1 / 3;
/** Rounds of anchors, where the first look leaves doubt. */
const ROUNDS = 8;

/** What was found, and the public model's fingerprints: `(V, features)`. */
export interface FingerprintMatch {
  readonly neighbours: Neighbours;
  readonly features: Matrix;
}

/** Pairs the tokens of two decoders. null where the time did not suffice. Throws `FAMILY_*`, `CHECKPOINT_*`. */
export async function matchLogits({ encrypted, base }: TwoModels, context: Context): Promise<FingerprintMatch | null> {
  const theirs = await fingerprints(encrypted, context, [0, 0.35]);
  const ours = theirs && (await fingerprints(base, context, [0.35, 0.7]));
  if (!theirs || !ours) return null;
  let neighbours = await nearestPlain(theirs.sketch, ours.sketch, context, [0.7, 0.75]);
  let before: readonly Match[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const matches = mutualMatches(neighbours);
    const at = 0.75 + (0.15 * round) / ROUNDS;
    if (isSettled(matches, before, base.vocabulary) || !(await context.proceed(at))) break;
    const anchors = matches.slice(0, Math.min(MAXIMUM_ANCHORS, Math.ceil(base.vocabulary * ANCHOR_SHARE)));
    const [cipher, plain] = [anchors.map((match) => match.cipher), anchors.map((match) => match.plain)];
    neighbours = await nearestPlain(atAnchors(theirs.answers, cipher), atAnchors(ours.answers, plain), context, [at, at + 0.15 / ROUNDS]);
    before = matches;
  }
  return { neighbours, features: ours.sketch };
}

/** A model's answers, and each token's sorted: `(V, at most 64)`. */
async function fingerprints({ model }: TwoModels["base"], context: Context, [start, end]: readonly [number, number]) {
  const middle = (start + end) / 2;
  const answers = model && (await singleTokenAnswers(model, (done) => context.proceed(start + (middle - start) * done)));
  if (!answers) return null;
  const sketches: Matrix[] = [];
  for (let first = 0; first < answers.vocabulary; first += SLAB) {
    if (!(await context.proceed(middle + ((end - middle) * first) / answers.vocabulary))) return null;
    const tokens = Uint32Array.from({ length: Math.min(SLAB, answers.vocabulary - first) }, (_, i) => first + i);
    // Softmax does not see a common shift.
    sketches.push(sortedSketch(centreRows(answers.logits(tokens))));
  }
  return { answers, sketch: standardised(joinRows(sketches)) };
}

/** What each token makes of the anchors, and what the anchors make of it: `(V, 2 anchors)`. */
function atAnchors(answers: SingleTokenAnswers, anchors: readonly number[]): Matrix {
  const all = Uint32Array.from({ length: answers.vocabulary }, (_, token) => token);
  // Both less what is common to a prompt's logits.
  const asPrompt = centreRows(answers.logits(all, anchors));
  const asAnswer = transpose(centreRows(answers.logits(anchors)));
  return standardised(joinColumns([asPrompt, asAnswer]));
}
