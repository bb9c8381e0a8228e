/**
 * Token ids to text while they arrive.
 * @module
 */
import type { TextTokenizer } from "./tokenizer.ts";

/** What a {@link Detokenizer} leaves out and how a text begins. */
export interface DetokenizerOptions {
  /** Leave control tokens out of the text; the default. */
  readonly skipSpecialTokens?: boolean;
  /** The text continues another one, so a leading space is kept (a plain completion after its prompt). */
  readonly continues?: boolean;
}

/**
 * Turns one token at a time into text and never shows half a character: bytes of an unfinished UTF-8 sequence
 * wait for the next token. For any ids, the pushes and the flush joined are `tokenizer.decode(ids)`.
 *
 * @example
 * ```ts
 * const detokenizer = new Detokenizer(tokenizer);
 * for await (const id of answer) process.stdout.write(detokenizer.push(id));
 * process.stdout.write(detokenizer.flush());
 * ```
 */
export class Detokenizer {
  readonly #tokenizer: TextTokenizer;
  readonly #skipSpecialTokens: boolean;
  // ignoreBOM keeps a U+FEFF that the model wrote; fatal stays off, so ill-formed bytes become U+FFFD.
  readonly #utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
  readonly #continues: boolean;
  #first: boolean;
  #spaces: number;

  constructor(tokenizer: TextTokenizer, options: DetokenizerOptions = {}) {
    this.#tokenizer = tokenizer;
    this.#skipSpecialTokens = options.skipSpecialTokens ?? true;
    this.#continues = options.continues ?? false;
    this.#first = !this.#continues;
    this.#spaces = this.#continues ? 0 : tokenizer.leadingSpaces;
  }

  /** The text that became certain with this token, often a word, sometimes nothing. @throws UnseenError TOKEN_OUT_OF_RANGE */
  push(id: number): string {
    if (this.#skipSpecialTokens && this.#tokenizer.isSpecial(id)) return "";
    let bytes = this.#tokenizer.tokenBytes(id, { first: this.#first });
    if (bytes.length === 0) return "";
    this.#first = false;
    while (this.#spaces > 0 && bytes.length > 0) {
      if (bytes[0] !== 0x20) this.#spaces = 0;
      else {
        this.#spaces--;
        bytes = bytes.subarray(1);
      }
    }
    return this.#utf8.decode(bytes, { stream: true });
  }

  /** The rest: an unfinished sequence as U+FFFD. The detokenizer then begins a new text. */
  flush(): string {
    const text = this.#utf8.decode();
    this.#first = !this.#continues;
    this.#spaces = this.#continues ? 0 : this.#tokenizer.leadingSpaces;
    return text;
  }
}
