/**
 * Measures fidelity on text that resembles use, as long as the patience of a person at a terminal allows.
 * @module
 */
import type { TextTokenizer } from "@unseen/client/tokenizer.ts";
import { openModel } from "@unseen/core/blueprint/model.ts";
import { compareModels, type Fidelity } from "@unseen/core/reference/verify.ts";

/** Prompts of everyday kinds; only their token ids matter. */
export const PROMPTS = [
  "Once upon a time there was a little girl who lived near the sea.",
  "Can you explain to me how a bicycle stays upright when it rolls?",
  "The patient reports a mild headache since Tuesday and no fever.",
  "Dear Ms. Okafor, thank you for your letter of 3 March about the lease.",
  "def mean(values): return sum(values) / len(values)",
  "What should I cook tonight with two eggs, rice and an onion?",
  "In 1969 the crew of Apollo 11 brought 21.5 kilograms of rock to Earth.",
  "Please summarise the meeting: budget approved, launch moved to May.",
] as const;

/** Token sequences for a comparison of about `tokens` positions; random ids where there is no tokenizer. */
export function sampleSequences(
  tokenizer: TextTokenizer | null,
  vocabulary: number,
  tokens: number,
  prompts: readonly string[] = PROMPTS,
): number[][] {
  const sequences = tokenizer
    ? prompts.map((prompt) => tokenizer.encode(prompt, { specialTokens: true }))
    : [pseudoRandomIds(vocabulary, tokens)];
  let left = tokens;
  return sequences
    .map((ids) => {
      const taken = ids.slice(0, Math.max(left, 0));
      left -= taken.length;
      return taken;
    })
    .filter((ids) => ids.length > 0);
}

/** How many positions the plain TypeScript reference computes in some seconds. */
export function affordableTokens(weights: number): number {
  return Math.max(4, Math.min(128, Math.round(1.5e9 / weights)));
}

/** Runs both models. Throws what `compareModels` throws. */
export async function measureFidelity(
  plain: string,
  encrypted: string,
  secret: Uint8Array,
  sequences: readonly (readonly number[])[],
): Promise<Fidelity> {
  return compareModels(await openModel(plain), await openModel(encrypted), secret, sequences);
}

/** One line for a person. `encoder`: the rows compared are vectors and classes instead of next tokens. */
export function describeFidelity(fidelity: Fidelity, encoder = false): string {
  const { maxLogitDifference, meanKl, greedyAgreement, tokens } = fidelity;
  if (encoder)
    return `same largest number in ${(greedyAgreement * 100).toFixed(1)} % of ${tokens} rows of output, largest difference ${maxLogitDifference.toExponential(1)}`;
  return `same next token at ${(greedyAgreement * 100).toFixed(1)} % of ${tokens} positions, mean KL ${meanKl.toExponential(1)} nats, largest logit difference ${maxLogitDifference.toExponential(1)}`;
}

/** Ids that are the same each time. */
export function pseudoRandomIds(vocabulary: number, count: number, seed = 1): number[] {
  // A fixed linear congruential sequence (Numerical Recipes): a sample, not a secret.
  let state = seed;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * vocabulary);
  });
}
