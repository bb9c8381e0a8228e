/**
 * The public half of a contest: what the organiser publishes for one day, `contest.json`.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { z } from "zod";
import { MAXIMUM_TOKEN_LENGTH, POINTS } from "./scoring.ts";

/** Ids of a prompt or a response (CWE-770). */
export const MAXIMUM_IDS = 100_000;
const MAXIMUM_VOCABULARY = 2 ** 24;

/** A cipher id as the key of an object: decimal, without sign or leading zeros. */
export const ID_KEY = /^(?:0|[1-9]\d{0,7})$/;

/** One day's package; all ids are cipher ids. */
export interface Contest {
  readonly version: 1;
  /** 16 random hexadecimal digits. */
  readonly id: string;
  /** `YYYY-MM-DD`; submissions close when this day ends in UTC. */
  readonly date: string;
  /** Made for trying out, under a key that encrypts nothing else. */
  readonly practice: boolean;
  readonly model: {
    /** Of the encrypted model, 32 hexadecimal digits; null in practice, where none was encrypted. */
    readonly fingerprint: string | null;
    readonly family: string;
    readonly vocabularySize: number;
  };
  readonly prompt: readonly number[];
  readonly response: readonly number[];
  /** Token texts that are given away, by cipher id. */
  readonly hints: Readonly<Record<string, string>>;
  /** Points for a right and for a wrong mapping. */
  readonly scoring: typeof POINTS;
  /** SHA-256 of the solution, see `commitmentOf`. */
  readonly commitment: string;
  /** For people, a sentence or two each. */
  readonly rules: readonly string[];
}

const ids = z.array(z.int().min(0).max(MAXIMUM_VOCABULARY)).max(MAXIMUM_IDS);
const contestSchema = z.object({
  version: z.literal(1),
  id: z.string().regex(/^[0-9a-f]{16}$/),
  date: z.iso.date(),
  practice: z.boolean(),
  model: z.object({
    fingerprint: z
      .string()
      .regex(/^[0-9a-f]{32}$/)
      .nullable(),
    family: z.string().min(1).max(100),
    vocabularySize: z.int().min(1).max(MAXIMUM_VOCABULARY),
  }),
  prompt: ids,
  response: ids,
  hints: z.record(z.string().regex(ID_KEY), z.string().min(1).max(MAXIMUM_TOKEN_LENGTH)),
  scoring: z.object({ right: z.literal(POINTS.right), wrong: z.literal(POINTS.wrong) }),
  commitment: z.string().regex(/^[0-9a-f]{64}$/),
  rules: z.array(z.string().max(1000)).max(100),
});

/** Checks a parsed `contest.json`. Throws `CHECKPOINT_MALFORMED`. */
export function checkContest(value: unknown, path: string): Contest {
  const result = contestSchema.safeParse(value);
  if (!result.success) throw malformed(path, result.error.issues[0]);
  const contest = result.data;
  const known = idsOf(contest);
  if (known.size === 0) throw malformed(path, { path: ["prompt"], message: "expected at least one id with the response" });
  if ([...known].some((id) => id >= contest.model.vocabularySize))
    throw malformed(path, { path: ["prompt"], message: "expected ids below the vocabulary's size" });
  if (Object.keys(contest.hints).some((id) => !known.has(Number(id))))
    throw malformed(path, { path: ["hints"], message: "expected ids that occur in prompt or response" });
  return contest;
}

/** The distinct ids of prompt and response, ascending. */
export function idsOf({ prompt, response }: Pick<Contest, "prompt" | "response">): ReadonlySet<number> {
  return new Set([...prompt, ...response].toSorted((a, b) => a - b));
}

/** When submissions close, in milliseconds since 1970: at the end of the contest's day in UTC. */
export function closingTime({ date }: Pick<Contest, "date">): number {
  return Date.parse(`${date}T00:00:00Z`) + 86_400_000;
}

/** The rules of a contest, for people. */
export function rulesOf({ date }: Pick<Contest, "date">): string[] {
  return [
    "A text was turned into token ids by the model's own tokenizer, and each id was replaced under a secret key. Equal ids are equal tokens.",
    'Submit {"tokens":{"ID":"TEXT"}}: for as many of the ids as you like, the text of the token behind it.',
    `Each right mapping earns ${POINTS.right} points, each wrong one costs ${-POINTS.wrong}. Tokens that are given as hints count nothing.`,
    "Texts are compared character by character. A token may be written as the model's vocabulary spells it, or as the text that it stands for where no other token is spelled so. Marks at its beginning that stand for spaces (▁, Ġ) are the same as spaces.",
    "A submission with an id that does not occur here is refused, and may be corrected.",
    "The first submission of a participant that is accepted counts, and no other. Higher scores come first, earlier submissions before later ones.",
    `Submissions close when ${date} ends, in UTC.`,
    "The commitment is a SHA-256 hash of the solution with a random salt. Once the solution is published, everyone can check that it is the one that was meant from the start.",
  ];
}

/** What is wrong with a file of a contest: the first thing. */
export function malformed(
  path: string,
  issue: { readonly path: readonly PropertyKey[]; readonly message: string } | undefined,
): UnseenError {
  return new UnseenError("CHECKPOINT_MALFORMED", `${path}: ${issue?.path.map(String).join(".") || "contents"}: ${issue?.message ?? ""}.`, {
    hint: "Take the file as `unseen contest new` wrote it.",
  });
}
