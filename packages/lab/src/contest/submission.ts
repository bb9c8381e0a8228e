/**
 * Reading submissions, which come from strangers.
 * @module
 */
import { RequestError } from "@unseen/client/openai/errors.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { ID_KEY } from "./contest.ts";
import { MAXIMUM_TOKEN_LENGTH } from "./scoring.ts";

/** Bytes of a submission (CWE-770); one for all of a vocabulary of 50,000 takes about one million. */
export const MAXIMUM_SUBMISSION_BYTES = 2 * 1024 * 1024;
/** UTF-16 units of a participant's name (CWE-770). */
const MAXIMUM_NAME_LENGTH = 100;

/** What a participant believes. */
export interface Submission {
  /** Who claims to send it; null where it does not say. */
  readonly participant: string | null;
  /** Token texts by cipher id. */
  readonly tokens: ReadonlyMap<number, string>;
}

/**
 * Parses `{"tokens":{"12":" an"}}`, with or without a `participant`.
 *
 * @throws UnseenError REQUEST_TOO_LARGE, REQUEST_INVALID; also where a key occurs twice, of which JSON parsers silently take the last
 */
export function parseSubmission(content: Uint8Array): Submission {
  if (content.length > MAXIMUM_SUBMISSION_BYTES)
    throw new UnseenError("REQUEST_TOO_LARGE", `submission: expected at most ${MAXIMUM_SUBMISSION_BYTES} bytes.`, {
      hint: "Send each id of the contest once at most.",
    });
  const { text, value } = parseJson(content);
  if (!isObject(value)) throw invalid("", "a JSON object");
  const { tokens, participant = null, ...others } = value;
  if (Object.keys(others).length > 0) throw invalid("", "tokens and participant and no other field");
  if (participant !== null && (typeof participant !== "string" || participant.length > MAXIMUM_NAME_LENGTH))
    throw invalid("participant", `a name of at most ${MAXIMUM_NAME_LENGTH} characters`);
  if (!isObject(tokens)) throw invalid("tokens", "an object of token texts by id");
  const entries = Object.entries(tokens).map(([key, token], index) => checkEntry(key, token, index));
  if (countMembers(text) !== Object.keys(value).length + entries.length) throw invalid("", "every key once");
  return { participant, tokens: new Map(entries) };
}

function parseJson(content: Uint8Array): { text: string; value: unknown } {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(content);
    return { text, value: JSON.parse(text) as unknown };
  } catch {
    throw invalid("", "JSON in UTF-8");
  }
}

function checkEntry(key: string, token: unknown, index: number): [number, string] {
  // "012", "1e1" and "12" would be three names for one id.
  if (!ID_KEY.test(key)) throw invalid("tokens", `decimal ids as in the contest (entry ${index + 1})`);
  if (typeof token !== "string" || token === "" || token.length > MAXIMUM_TOKEN_LENGTH)
    throw invalid("tokens", `texts of 1 to ${MAXIMUM_TOKEN_LENGTH} characters (entry ${index + 1})`);
  return [Number(key), token];
}

/** Members of all objects in a text that is known to be JSON: colons outside of strings. */
function countMembers(text: string): number {
  return text.replace(/"(?:[^"\\]|\\.)*"/g, "").split(":").length - 1;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function invalid(field: string, expected: string): RequestError {
  return new RequestError("REQUEST_INVALID", field, `submission${field && `: ${field}`}: expected ${expected}, got something else.`, {
    hint: 'It has the form {"tokens":{"12":" an"}}.',
  });
}
