/**
 * Which of two servers answered wrongly: each makes the exact products of its own share once more, and these can be checked alone.
 *
 * The sum of two right answers is right, so where the sum is wrong and one answer right, the other is wrong. No row is revealed: a
 * server gets the same share that it had.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { checkExactProducts, type Projection } from "./integrity.ts";

/** One server's part in a call whose result was wrong. */
export interface Suspect {
  /** `server A at https://a.example`. */
  readonly name: string;
  /** (rows, in), as it was sent or derived from the seed. */
  readonly share: Uint32Array;
  /** What came: layer by layer and limb by limb, (rows, out) modulo 2^32. */
  readonly products: Uint32Array;
  /** Asks for the exact products, in the same order. */
  exact(): Promise<BigInt64Array>;
}

type Verdict = "right" | "wrong" | "silent";

/**
 * Asks both servers and names the one at fault.
 *
 * @param projections of the group, in the order of the products
 * @param rows how many the call had
 */
export async function nameLiar(
  suspects: readonly [Suspect, Suspect],
  projections: readonly Projection[],
  rows: number,
): Promise<UnseenError> {
  const [a, b] = suspects;
  const [verdictA, verdictB] = await Promise.all([judge(a, projections, rows), judge(b, projections, rows)]);
  const fault = (text: string, hint = "Nothing of the answer was used. Do not use this server again."): UnseenError =>
    new UnseenError("VERIFICATION_FAILED", text, { hint });
  if (verdictA === "wrong" && verdictB === "wrong")
    return fault(`${a.name} and ${b.name} both answered wrongly.`, "Were the servers' weights and the client's checks prepared together?");
  if (verdictA === "right" && verdictB === "right")
    return new UnseenError("INTERNAL", "the sum of two right products was wrong: the activation limits are not those of the weights.");
  for (const [suspect, verdict, other] of [[a, verdictA, verdictB] as const, [b, verdictB, verdictA] as const]) {
    if (verdict === "wrong") return fault(`${suspect.name} answered wrongly: its products do not fit its share.`);
    if (verdict === "silent" && other === "right") return fault(`${suspect.name} answered wrongly, and did not answer when asked again.`);
  }
  return fault(`${a.name} or ${b.name} answered wrongly, and neither answered when asked again.`, "Nothing of the answer was used.");
}

async function judge({ share, products, exact }: Suspect, projections: readonly Projection[], rows: number): Promise<Verdict> {
  let numbers: BigInt64Array;
  try {
    numbers = await exact();
  } catch (error) {
    if (UnseenError.isInstance(error)) return "silent";
    throw error;
  }
  let at = 0;
  for (const projection of projections) {
    const end = at + rows * projection.v.length;
    if (!checkExactProducts(projection, share, numbers.subarray(at, end), rows)) return "wrong";
    for (; at < end; at += 1) if (Number(BigInt.asUintN(32, numbers[at]!)) !== products[at]) return "wrong";
  }
  return "right";
}
