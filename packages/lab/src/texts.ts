/**
 * Reads the texts that attacks are measured on, and shares them out: what was recorded, what nobody recorded, what the attacker
 * takes for the language.
 * @module
 */
import { readFile, stat } from "node:fs/promises";
import { basename } from "node:path";
import type { TextTokenizer } from "@unseen/client/tokenizer.ts";
import { explainSystemError, UnseenError } from "@unseen/core/errors.ts";
import { SAMPLE_TEXTS } from "./sample-texts.ts";
import type { Texts } from "./trial.ts";

/** Bytes of one file (CWE-770). */
const MAXIMUM_FILE = 1 << 28;
/** Characters of one text: what is longer is cut into several. */
const MAXIMUM_TEXT = 4000;
/** Tokens of one text. */
const MAXIMUM_TOKENS = 1024;
/** Every so manieth text is held out. */
const HELD_OUT = 5;

/** How much is read. */
export interface TextLimits {
  /** Tokens of what was recorded, of what is held out, of the attacker's own texts: each at most. */
  readonly recorded: number;
  readonly heldOut: number;
  readonly prior: number;
}

/** Enough for every attack's statistics, and tokenised in seconds. */
export const TEXT_LIMITS: TextLimits = { recorded: 200_000, heldOut: 20_000, prior: 400_000 };

export interface TextFiles {
  /** A text file of what is sent, or a `.jsonl` file of recorded cipher ids; null for none. */
  readonly traffic: string | null;
  /** A text file that the attacker has; null leaves a part of the traffic's file to the attacker: the worst case. */
  readonly prior: string | null;
}

/**
 * Texts in plain ids. Without traffic nothing is recorded, and what is held out are some sentences of ours.
 *
 * @param decipher plain id of a cipher id, for recorded ids
 * @throws UnseenError `USAGE` for files that are not there, too large or malformed, `TOKENIZER_MISSING`, `TOKEN_OUT_OF_RANGE`
 */
export async function readTexts(
  { traffic, prior }: TextFiles,
  tokenizer: TextTokenizer | null,
  decipher: Uint32Array,
  limits: TextLimits = TEXT_LIMITS,
): Promise<Texts> {
  const encode = (text: string): Uint32Array => Uint32Array.from(requireTokenizer(tokenizer).encode(text, { specialTokens: true }));
  const own = prior ? takeTokens((await readPassages(prior)).values().map(encode), limits.prior) : null;
  if (!traffic) {
    const heldOut = tokenizer ? SAMPLE_TEXTS.map(encode) : [];
    return { recorded: [], heldOut, prior: own ?? [] };
  }
  const sent = traffic.endsWith(".jsonl")
    ? (await readRecorded(traffic, decipher)).values()
    : (await readPassages(traffic)).values().map(encode);
  const shares: { recorded: Uint32Array[]; heldOut: Uint32Array[]; prior: Uint32Array[] } = { recorded: [], heldOut: [], prior: [] };
  const room = { ...limits };
  let index = 0;
  for (const ids of sent) {
    // Of each five texts one is held out and, where the attacker has no file, two are the attacker's.
    const place = index % HELD_OUT;
    index += 1;
    const share = place === 0 ? "heldOut" : own === null && place < 3 ? "prior" : "recorded";
    if (room[share] <= 0) {
      if (room.heldOut <= 0 && room.recorded <= 0 && (own !== null || room.prior <= 0)) break;
      continue;
    }
    const cut = ids.subarray(0, Math.min(MAXIMUM_TOKENS, room[share]));
    room[share] -= cut.length;
    if (cut.length > 0) shares[share].push(cut);
  }
  return { ...shares, prior: own ?? shares.prior };
}

/** Known plaintext: every token of a text file that the attacker knows to have been sent. Throws as {@link readTexts}. */
export async function readKnownText(path: string, tokenizer: TextTokenizer | null): Promise<Uint32Array[]> {
  const passages = await readPassages(path);
  return passages.map((text) => Uint32Array.from(requireTokenizer(tokenizer).encode(text, { specialTokens: true })));
}

/** Paragraphs of a text file, or its lines where it has no empty ones. */
async function readPassages(path: string): Promise<string[]> {
  const text = (await readBounded(path)).replaceAll("\r\n", "\n").replaceAll("<|endoftext|>", "\n\n");
  const parts = /\n\s*\n/.test(text) ? text.split(/\n\s*\n/) : text.split("\n");
  const passages = parts
    .map((part) => part.trim())
    .filter((part) => part !== "")
    .flatMap((part) =>
      Array.from({ length: Math.ceil(part.length / MAXIMUM_TEXT) }, (_, i) => part.slice(i * MAXIMUM_TEXT, (i + 1) * MAXIMUM_TEXT)),
    );
  if (passages.length === 0) throw new UnseenError("USAGE", `${basename(path)} has no text.`, { hint: "Give a text file in UTF-8." });
  return passages;
}

/** One request or answer a line: `[513, 3856]` or an object with `ids` or `prompt`. */
async function readRecorded(path: string, decipher: Uint32Array): Promise<Uint32Array[]> {
  const lines = (await readBounded(path)).split("\n").filter((line) => line.trim() !== "");
  return lines.map((line, number) => {
    const ids = parseIds(line);
    if (!ids || ids.some((id) => !Number.isInteger(id) || id < 0 || id >= decipher.length))
      throw new UnseenError("USAGE", `${basename(path)}, line ${number + 1}: expected a JSON list of token ids below ${decipher.length}.`, {
        hint: 'Write one request a line, such as [513, 3856] or {"ids": [513, 3856]}.',
      });
    return Uint32Array.from(ids, (id) => decipher[id] as number);
  });
}

function parseIds(line: string): readonly number[] | null {
  try {
    const value = JSON.parse(line) as unknown;
    const found = Array.isArray(value)
      ? value
      : ((value as { ids?: unknown; prompt?: unknown } | null)?.ids ?? (value as { prompt?: unknown } | null)?.prompt);
    return Array.isArray(found) ? (found as number[]) : null;
  } catch {
    return null;
  }
}

async function readBounded(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > MAXIMUM_FILE)
      throw new UnseenError("USAGE", `${basename(path)} has ${size} bytes, and at most ${MAXIMUM_FILE} are read.`, {
        hint: "Give a part of it.",
      });
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT")
      throw new UnseenError("USAGE", `${path} does not exist.`, { hint: "Give a text file.", cause: error });
    throw explainSystemError(error, path);
  }
}

function takeTokens(texts: Iterable<Uint32Array>, limit: number): Uint32Array[] {
  const taken: Uint32Array[] = [];
  let left = limit;
  for (const ids of texts) {
    if (left <= 0) break;
    const cut = ids.subarray(0, Math.min(left, MAXIMUM_TOKENS));
    left -= cut.length;
    if (cut.length > 0) taken.push(cut);
  }
  return taken;
}

function requireTokenizer(tokenizer: TextTokenizer | null): TextTokenizer {
  if (tokenizer) return tokenizer;
  throw new UnseenError("TOKENIZER_MISSING", "the model's bundle has no tokenizer, so texts cannot be turned into ids.", {
    hint: "Give its directory with --tokenizer, or recorded ids as a .jsonl file.",
  });
}
