/**
 * From texts to the rows of cipher ids that an encoder's host gets.
 * @module
 */
import type { ClientInterface } from "@unseen/core/blueprint/interface.ts";
import type { Space } from "@unseen/core/blueprint/space.ts";
import { vocabularyPermutation } from "@unseen/core/blueprint/spaces.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { TokenCipher } from "../token-cipher.ts";
import type { TextTokenizer } from "../tokenizer.ts";
import { largest } from "./scores.ts";
import type { TokenOrder } from "./token-order.ts";

/** A text, a pair of texts that the model reads together, or plain ids with all special tokens in place. */
export type EncoderText = string | readonly [text: string, pair: string] | { readonly ids: readonly number[] };

/** What a host gets of one text. */
export interface Sequence {
  /** Cipher ids. */
  readonly ids: readonly number[];
  /** 1 for each id of the text, 0 for what fills it up; null where nothing does. */
  readonly mask: readonly number[] | null;
  /** Token types, where there are two texts and the model takes them. */
  readonly segments: readonly number[] | null;
  /** The first place of the highest plain id, where the model asks for it: cipher ids no longer tell. */
  readonly peak: number | null;
  /** Tokens of the text itself. */
  readonly length: number;
}

/** Reads texts for one model under one key. */
export class SequenceReader {
  readonly #tokenizer: TextTokenizer | null;
  readonly #cipher: TokenCipher;
  readonly #takesSegments: boolean;
  readonly #takesPeaks: boolean;
  readonly #order: TokenOrder | null;

  /**
   * @param order - As {@link TokenOrder.of} makes it of the same interface.
   * @throws UnseenError REQUEST_UNSUPPORTED for a model whose only input is not token ids.
   */
  constructor(ends: ClientInterface, tokenizer: TextTokenizer | null, secret: Uint8Array, order: TokenOrder | null) {
    const inputs = ends.inputs.filter((input) => input.kind === "ids");
    const [ids] = inputs;
    if (!ids || inputs.length > 1 || ends.inputs.some((input) => input.kind === "tensor"))
      throw new UnseenError("REQUEST_UNSUPPORTED", "input: the model does not read texts alone.", { hint: "Send pictures, as image." });
    this.#tokenizer = tokenizer;
    this.#cipher = new TokenCipher(permutationOf(secret, ids));
    this.#order = order;
    this.#takesSegments = ends.inputs.some((input) => input.kind === "segments");
    this.#takesPeaks = ends.inputs.some((input) => input.kind === "peaks" && input.of === ids.name);
  }

  /**
   * @param maximumLength - Tokens; longer texts are cut, longer ids refused.
   * @throws UnseenError TOKENIZER_MISSING, TOKEN_OUT_OF_RANGE, REQUEST_INVALID, REQUEST_TOO_LARGE.
   */
  read(text: EncoderText, maximumLength: number): Sequence {
    const { ids, segments } = this.#plain(text, maximumLength);
    if (ids.length === 0) throw new UnseenError("REQUEST_INVALID", "input: expected at least one token, got none.");
    const { length } = ids;
    const cipher = this.#cipher.encipher(ids);
    if (this.#order) return { ...this.#order.send({ ids: cipher, segments }, this.#padding(ids)), peak: null, length };
    return { ids: cipher, mask: null, segments, peak: this.#takesPeaks ? largest(ids) : null, length };
  }

  /** The cipher id that fills up: of padding where the tokenizer knows one. Hidden by the mask, any other does as well. */
  #padding(ids: readonly number[]): number {
    const own = this.#tokenizer?.paddingId;
    return this.#cipher.encipher([own !== undefined && own < this.#cipher.size ? own : ids[0]!])[0]!;
  }

  #plain(text: EncoderText, maximumLength: number): { ids: readonly number[]; segments: readonly number[] | null } {
    if (typeof text === "object" && "ids" in text) {
      if (text.ids.length <= maximumLength) return { ids: text.ids, segments: null };
      throw new UnseenError("REQUEST_TOO_LARGE", `input: expected at most ${maximumLength} ids, got ${text.ids.length}.`, {
        hint: "Shorten it, or send text, which is cut.",
      });
    }
    if (!this.#tokenizer)
      throw new UnseenError("TOKENIZER_MISSING", "the model has no tokenizer.", {
        hint: "Send plain token ids, or add a tokenizer to the model's bundle.",
      });
    const [first, second] = typeof text === "string" ? [text, null] : text;
    const { ids, segments } = this.#tokenizer.encodeSequence(first, second, maximumLength);
    return { ids, segments: second !== null && this.#takesSegments ? segments : null };
  }
}

/** The space of ids whose key derivation has this label; the label itself names the ids that keep their number. */
function spaceOf({ label, size }: { readonly label: string; readonly size: number }): Space {
  const fixed = (/\.fixing\.([\d.]+)$/.exec(label)?.[1] ?? "").split(".").filter(Boolean).map(Number);
  if (fixed.some((id) => id >= size))
    throw new UnseenError("BUNDLE_INVALID", `interface.json: label: expected fixed ids below ${size}, got a larger one.`, {
      hint: "Encrypt the model again, or restore the bundle from a backup.",
    });
  return { id: label, size, group: { kind: "permutation", fixed } };
}

/** The cipher id of every plain id; the identity where ids go in clear. */
export function permutationOf(secret: Uint8Array, { label, size }: { readonly label: string | null; readonly size: number }): Uint32Array {
  if (label === null) return Uint32Array.from({ length: size }, (_, id) => id);
  return vocabularyPermutation(secret, spaceOf({ label, size }));
}

/** Rows of one request to a host (CWE-770), and their tokens with padding. */
const MAXIMUM_ROWS = 64;
const MAXIMUM_TOKENS = 16_384;

/**
 * Places of sequences that go into one request together: of similar length, because a host fills each batch up to its longest.
 *
 * @param lengths - Tokens of each sequence.
 */
export function batchesOf(lengths: readonly number[]): number[][] {
  const places = lengths.map((_, place) => place).toSorted((one, other) => lengths[one]! - lengths[other]!);
  const batches: number[][] = [];
  let batch: number[] = [];
  for (const place of places) {
    const tokens = (batch.length + 1) * lengths[place]!; // the longest so far
    if (batch.length === MAXIMUM_ROWS || (batch.length > 0 && tokens > MAXIMUM_TOKENS)) {
      batches.push(batch);
      batch = [];
    }
    batch.push(place);
  }
  return batch.length > 0 ? [...batches, batch] : batches;
}
