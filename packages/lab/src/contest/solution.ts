/**
 * The private half of a contest: what each id stands for, and the commitment that binds the organiser to it.
 * @module
 */
import { createHash } from "node:crypto";
import { UnseenError } from "@unseen/core/errors.ts";
import { z } from "zod";
import { ID_KEY, idsOf, malformed, type Contest } from "./contest.ts";
import { MAXIMUM_TOKEN_LENGTH } from "./scoring.ts";

/** The contents of `solution.json`. */
export interface Solution {
  /** Id of the contest. */
  readonly contest: string;
  /** 32 random bytes in hexadecimal: without them the commitment would let a guess be tried. */
  readonly salt: string;
  /** Cipher ids that were given away. */
  readonly hints: ReadonlySet<number>;
  /** By cipher id, every text that is right, see `tokenTexts`. Ascending. */
  readonly tokens: ReadonlyMap<number, readonly string[]>;
}

const solutionSchema = z.object({
  version: z.literal(1),
  contest: z.string().regex(/^[0-9a-f]{16}$/),
  salt: z.string().regex(/^[0-9a-f]{64}$/),
  hints: z.array(z.int().min(0)),
  tokens: z.record(z.string().regex(ID_KEY), z.array(z.string().min(1).max(MAXIMUM_TOKEN_LENGTH)).min(1).max(2)),
});

/** Checks a parsed `solution.json`. Throws `CHECKPOINT_MALFORMED`. */
export function checkSolution(value: unknown, path: string): Solution {
  const result = solutionSchema.safeParse(value);
  // The issue names a place, and the value there is left out: it may be the solution.
  if (!result.success) throw malformed(path, { path: result.error.issues[0]?.path.slice(0, 1) ?? [], message: "not as expected" });
  const { contest, salt, hints, tokens } = result.data;
  // Keys that are integers come in ascending order.
  const solution = {
    contest,
    salt,
    hints: new Set(hints),
    tokens: new Map(Object.entries(tokens).map(([id, texts]) => [Number(id), texts])),
  };
  if (hints.some((id) => !solution.tokens.has(id))) throw malformed(path, { path: ["hints"], message: "expected ids of the solution" });
  return solution;
}

/** The contents of a `solution.json`. */
export function solutionFile({ contest, salt, hints, tokens }: Solution): object {
  return { version: 1, contest, salt, hints: [...hints], tokens: Object.fromEntries(tokens) };
}

/**
 * The commitment to a solution: SHA-256 of the JSON text `["unseen-contest-1", contest, salt, hints, tokens]` without spaces,
 * where hints are ids and tokens are pairs `[id, texts]`, both ascending by id.
 */
export function commitmentOf({ contest, salt, hints, tokens }: Solution): string {
  const pairs = [...tokens].toSorted(([a], [b]) => a - b);
  const content = ["unseen-contest-1", contest, salt, [...hints].toSorted((a, b) => a - b), pairs];
  return createHash("sha256").update(JSON.stringify(content)).digest("hex");
}

/** Throws `VERIFICATION_FAILED` unless the solution is the one that the contest was published with. */
export function verifySolution(contest: Contest, solution: Solution): void {
  const ids = idsOf(contest);
  const given = Object.entries(contest.hints);
  const checks = {
    id: contest.id === solution.contest,
    ids: ids.size === solution.tokens.size && [...ids].every((id) => solution.tokens.has(id)),
    hints: given.length === solution.hints.size && given.every(([id, text]) => isHint(solution, Number(id), text)),
    commitment: contest.commitment === commitmentOf(solution),
  };
  const failed = Object.entries(checks).find(([, holds]) => !holds)?.[0];
  if (failed === undefined) return;
  throw new UnseenError("VERIFICATION_FAILED", `the solution is not the one that contest ${contest.id} was published with (${failed}).`, {
    hint: "Take the two files that one `unseen contest new` wrote, unchanged.",
  });
}

function isHint({ hints, tokens }: Solution, id: number, text: string): boolean {
  return hints.has(id) && tokens.get(id)?.[0] === text;
}
