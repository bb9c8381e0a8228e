/**
 * Chooses the next token from logits, with the settings that inference engines have, in vLLM's order: bias, penalties, temperature,
 * then the cuts by rank, mass and share.
 * @module
 */
import { randomBytes } from "node:crypto";

/** How to choose; as engines call them. */
export interface SamplingSettings {
  /** 0 is greedy. */
  readonly temperature: number;
  readonly topP: number;
  readonly topK?: number | undefined;
  readonly minP?: number | undefined;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  /** Divides positive and multiplies negative logits of tokens that occurred (CTRL, 1909.05858). */
  readonly repetitionPenalty?: number | undefined;
  readonly logitBias?: ReadonlyMap<number, number> | undefined;
}

/** What has been said: the penalties look at it. */
export interface Said {
  readonly prompt: readonly number[];
  readonly answer: readonly number[];
}

/** A source of uniform numbers in [0, 1). */
export type Uniform = () => number;

/** The next token. @param logits (vocabulary), left as they are */
export function sample(logits: Float64Array, settings: SamplingSettings, said: Said, uniform: Uniform): number {
  const scores = penalise(logits, settings, said);
  if (settings.temperature === 0) return best(scores);
  const ranked = rank(scores, settings);
  let left = uniform() * ranked.reduce((sum, { share }) => sum + share, 0);
  for (const { id, share } of ranked) {
    left -= share;
    if (left < 0) return id;
  }
  return ranked.at(-1)!.id;
}

function penalise(logits: Float64Array, settings: SamplingSettings, { prompt, answer }: Said): Float64Array {
  const scores = Float64Array.from(logits);
  for (const [id, bias] of settings.logitBias ?? []) if (id >= 0 && id < scores.length) scores[id]! += bias;
  const { repetitionPenalty = 1, presencePenalty, frequencyPenalty } = settings;
  if (repetitionPenalty !== 1)
    for (const id of new Set([...prompt, ...answer]))
      scores[id] = scores[id]! > 0 ? scores[id]! / repetitionPenalty : scores[id]! * repetitionPenalty;
  if (presencePenalty !== 0 || frequencyPenalty !== 0) {
    const counts = new Map<number, number>();
    for (const id of answer) counts.set(id, (counts.get(id) ?? 0) + 1);
    for (const [id, count] of counts) scores[id]! -= presencePenalty + frequencyPenalty * count;
  }
  return scores;
}

/** Ids with their shares, likeliest first, after all cuts; at least one. */
function rank(scores: Float64Array, { temperature, topK, topP, minP = 0 }: SamplingSettings): { id: number; share: number }[] {
  const highest = scores.reduce((most, score) => Math.max(most, score), -Infinity);
  let ranked = Array.from(scores, (score, id) => ({ id, share: Math.exp((score - highest) / temperature) })).toSorted(
    // Equal shares in the order of ids, so that a seed gives the same tokens everywhere.
    (left, right) => right.share - left.share || left.id - right.id,
  );
  if (topK !== undefined && topK > 0) ranked = ranked.slice(0, topK);
  if (minP > 0) ranked = ranked.filter(({ share }) => share >= minP * ranked[0]!.share);
  if (topP < 1) {
    const whole = ranked.reduce((sum, { share }) => sum + share, 0);
    let mass = 0;
    // The token that reaches the mass is kept.
    ranked = ranked.filter(({ share }) => {
      const isKept = mass < topP * whole;
      mass += share;
      return isKept;
    });
  }
  return ranked.length > 0 ? ranked : [{ id: best(scores), share: 1 }];
}

/** Index of the largest; the first of equals. */
export function best(scores: Float64Array): number {
  return scores.reduce((leader, score, id) => (score > scores[leader]! ? id : leader), 0);
}

/** Natural log-probability of a token, and of the likeliest ones, best first; of the model itself, before any setting. */
export function logprobsOf(
  logits: Float64Array,
  id: number,
  count: number,
): { id: number; logprob: number; top: { id: number; logprob: number }[] } {
  const highest = logits.reduce((most, logit) => Math.max(most, logit), -Infinity);
  const norm = highest + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - highest), 0));
  const top = Array.from(logits, (logit, index) => ({ id: index, logprob: logit - norm }))
    .toSorted((left, right) => right.logprob - left.logprob || left.id - right.id)
    .slice(0, count);
  return { id, logprob: logits[id]! - norm, top };
}

/** A source that a seed decides; without one, of the system's randomness (sfc32, of PractRand). */
export function uniformFrom(seed?: number): Uniform {
  const start = seed === undefined ? randomBytes(16) : seedBytes(seed);
  let [a, b, c, counter] = [0, 4, 8, 12].map((at) => start.readUInt32LE(at)) as [number, number, number, number];
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    c |= 0;
    return sum >>> 0;
  };
  for (let warm = 0; warm < 12; warm += 1) next();
  return () => (next() * 2 ** 21 + (next() >>> 11)) * 2 ** -53;
}

function seedBytes(seed: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeDoubleLE(seed, 0);
  bytes.writeUInt32LE(1, 12);
  return bytes;
}
