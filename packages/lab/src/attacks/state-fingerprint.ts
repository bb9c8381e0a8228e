/**
 * Encoders compared by what they make of each token: the last state is the public model's in another order with one sign, or
 * turned, if the family allows it.
 * @module
 */
import type { Context } from "../attack.ts";
import { centreRows, matrix, meanRow, sortRows, type Matrix } from "../numeric/matrix.ts";
import { singleTokenStates } from "../weights/single-token-encoder.ts";
import { principal } from "./gram-alignment.ts";
import type { FingerprintMatch } from "./logit-fingerprint.ts";
import { isClear, mutualMatches, nearestPlain } from "./pairing.ts";
import { refine } from "./refine.ts";
import type { TwoModels } from "./two-models.ts";

/** Pairs the tokens of two encoders of texts. null where the time did not suffice. Throws `FAMILY_*`, `CHECKPOINT_*`. */
export async function matchStates({ encrypted, base }: TwoModels, context: Context): Promise<FingerprintMatch | null> {
  const run = async ({ model }: TwoModels["base"], start: number) =>
    model && singleTokenStates(model, (done) => context.proceed(start + 0.3 * done));
  const theirs = await run(encrypted, 0);
  const ours = theirs && (await run(base, 0.3));
  if (!theirs || !ours) return null;
  // A LayerNorm reads the stream and does not see its mean.
  const states = { encrypted: centreRows(theirs.states), base: centreRows(ours.states) };
  const [from, among] = ours.permutedOnly
    ? sortedAlike(states.encrypted, states.base)
    : [principal(states.encrypted), principal(states.base)];
  const first = await nearestPlain(from, among, context, [0.6, 0.75]);
  const seeds = mutualMatches(first);
  const { neighbours } = isClear(seeds, base.vocabulary) ? { neighbours: first } : await refine([states], { seeds }, context, [0.75, 0.9]);
  return { neighbours, features: among };
}

/** Sorted rows of both, those of the encrypted model with the sign that makes them like the others on average. */
function sortedAlike(encrypted: Matrix, base: Matrix): [Matrix, Matrix] {
  const copy = ({ rows, columns, values }: Matrix, sign: number): Matrix => sortRows(matrix(rows, columns, values.map((value) => sign * value))); // prettier-ignore
  const among = copy(base, 1);
  const typical = meanRow(among);
  const [kept, turned] = [copy(encrypted, 1), copy(encrypted, -1)];
  const far = (of: Matrix): number => meanRow(of).reduce((sum, value, k) => sum + (value - (typical[k] as number)) ** 2, 0);
  return [far(kept) <= far(turned) ? kept : turned, among];
}
