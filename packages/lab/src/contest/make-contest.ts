/**
 * From a text and a key to a day's contest and its solution.
 * @module
 */
import { randomBytes, randomInt } from "node:crypto";
import { TokenCipher } from "@unseen/client/token-cipher.ts";
import type { TextTokenizer } from "@unseen/client/tokenizer.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { idsOf, MAXIMUM_IDS, rulesOf, type Contest } from "./contest.ts";
import { POINTS } from "./scoring.ts";
import { commitmentOf, type Solution } from "./solution.ts";
import { tokenTexts } from "./token-text.ts";

/** What a contest is made of. */
export interface ContestSource extends Pick<Contest, "date" | "practice" | "model"> {
  readonly tokenizer: TextTokenizer;
  /** Cipher id of every plain id: the secret. */
  readonly permutation: Uint32Array;
  /** Encoded with the special tokens that open a text, and where it spells others, with those; may be empty. */
  readonly prompt: string;
  /** Encoded as it stands; may be empty. */
  readonly response: string;
  /** How many ids to give away, drawn at random. */
  readonly hints: number;
}

/** The two halves of a contest. */
export interface MadeContest {
  readonly contest: Contest;
  readonly solution: Solution;
}

/** Makes a contest with a random id and salt. Throws `USAGE` for a text without tokens or of too many, or hints that leave nothing. */
export function makeContest(source: ContestSource): MadeContest {
  const { date, practice, model, tokenizer, permutation } = source;
  const plain = {
    prompt: source.prompt === "" ? [] : tokenizer.encode(source.prompt, { specialTokens: true }),
    response: source.response === "" ? [] : tokenizer.encode(source.response, { specialTokens: false, parseSpecial: true }),
  };
  const longest = Math.max(plain.prompt.length, plain.response.length);
  if (longest === 0 || longest > MAXIMUM_IDS)
    throw new UnseenError("USAGE", `text: expected 1 to ${MAXIMUM_IDS} tokens in prompt or response, got ${longest}.`, {
      hint: "Give a text with --prompt, --response or --text.",
    });
  const cipher = new TokenCipher(permutation);
  const prompt = cipher.encipher(plain.prompt);
  const response = cipher.encipher(plain.response);
  const ids = [...idsOf({ prompt, response })];
  const textsOf = tokenTexts(tokenizer);
  const tokens = new Map(ids.map((id) => [id, textsOf(cipher.decipher([id])[0] as number)]));
  const hints = drawHints(ids, source.hints);
  const id = randomBytes(8).toString("hex");
  const solution = { contest: id, salt: randomBytes(32).toString("hex"), hints: new Set(hints), tokens };
  const contest: Contest = {
    version: 1,
    id,
    date,
    practice,
    model,
    prompt,
    response,
    hints: Object.fromEntries(hints.map((hint) => [hint, tokens.get(hint)?.[0] as string])),
    scoring: POINTS,
    commitment: commitmentOf(solution),
    rules: rulesOf({ date }),
  };
  return { contest, solution };
}

/** Some of the ids, each choice as likely, ascending. Throws `USAGE` where none would be left to find. */
function drawHints(ids: readonly number[], count: number): number[] {
  if (count >= ids.length)
    throw new UnseenError("USAGE", `hints: expected fewer than the ${ids.length} different tokens of the text, got ${count}.`, {
      hint: "Give a longer text, or lower --hints.",
    });
  const left = [...ids];
  return Array.from({ length: count }, () => left.splice(randomInt(left.length), 1)[0] as number).toSorted((a, b) => a - b);
}
