/**
 * What a submission is worth.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import type { Solution } from "./solution.ts";
import { withSpaces } from "./token-text.ts";

/** UTF-16 units of a token's text (CWE-770); the longest entries of published vocabularies have some hundred. */
export const MAXIMUM_TOKEN_LENGTH = 1024;

/** Points for a right and for a wrong mapping. */
export const POINTS = { right: 10, wrong: -1 } as const;

/** A scored submission. The counts tell more than participants may know: they get the score alone. */
export interface Tally {
  readonly score: number;
  readonly right: number;
  readonly wrong: number;
  /** Mappings of ids that were given as hints, right or not. */
  readonly void: number;
  /** Ids of the contest, hints aside, of which the submission says nothing. */
  readonly unanswered: number;
}

/** Counts a submission's mappings against the solution. Throws `REQUEST_INVALID` for an id that is not in the contest. */
export function scoreTokens(tokens: ReadonlyMap<number, string>, { hints, tokens: solved }: Solution): Tally {
  const counts = { right: 0, wrong: 0, void: 0 };
  for (const [id, text] of tokens) {
    const accepted = solved.get(id);
    if (!accepted)
      throw new UnseenError("REQUEST_INVALID", `tokens: expected ids that occur in the contest, got ${id}.`, {
        hint: "Leave out ids that are neither in the prompt nor in the response.",
      });
    counts[hints.has(id) ? "void" : accepted.includes(withSpaces(text)) ? "right" : "wrong"] += 1;
  }
  const { right, wrong } = counts;
  const score = right * POINTS.right + wrong * POINTS.wrong;
  return { score, ...counts, unanswered: solved.size - hints.size - right - wrong };
}
