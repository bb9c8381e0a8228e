/**
 * Text to plain token ids and back, on the client, from a model's own tokenizer.json.
 * @module
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type AddedToken, Tokenizer } from "@huggingface/tokenizers";
import { UnseenError } from "@unseen/core/errors.ts";
import { AddedTokenSplitter, isControl, type Section } from "./added-tokens.ts";
import { type ChatMessage, ChatTemplate, type Conversation, normalizeMessages } from "./chat-template.ts";
import { type Reach, SpecialShield } from "./special-shield.ts";
import { compileDecoder, type DecoderConfig, type TokenBytes } from "./token-bytes.ts";
import { parseTokenizerFiles, type TokenizerFiles } from "./tokenizer-files.ts";
import { cutLongestFirst } from "./truncation.ts";

/** Each marker that a template might read costs two renderings (CWE-407). */
const MAXIMUM_READ_MARKERS = 8;

/** Which spellings in a text become added tokens. */
type Recognition =
  | "all" // every one: the text is trusted as a whole (a raw completion prompt)
  | "words" // added words alone: the text is someone's content
  | "template"; // every one, as spelled in the raw text: the output of a chat template whose values are shielded

/** What {@link TextTokenizer.encode} adds and recognises. */
export interface EncodeOptions {
  /** Add what the tokenizer puts around a text (a beginning-of-text token). */
  readonly specialTokens: boolean;
  /** Let spellings such as `<|end|>` become control tokens; by default only together with `specialTokens`. */
  readonly parseSpecial?: boolean;
}

/** What an encoder reads of one text or one pair of texts. */
export interface EncodedSequence {
  /** Plain ids with the special tokens around. */
  readonly ids: number[];
  /** Which of the two texts each id belongs to, 0 or 1. */
  readonly segments: number[];
}

/** How {@link TextTokenizer.tokenBytes} reads a token. */
export interface TokenBytesOptions {
  /** The token begins a text, where word-start marks are dropped. */
  readonly first?: boolean;
}

/**
 * A model's tokenizer and chat template.
 *
 * @example
 * ```ts
 * const tokenizer = await TextTokenizer.load("models/story-llama");
 * const ids = tokenizer.encode("Once upon a time", { specialTokens: true });
 * tokenizer.decode(ids); // "Once upon a time"
 * ```
 */
export class TextTokenizer {
  readonly #tokenizer: Tokenizer;
  readonly #decoder: DecoderConfig;
  readonly #lowers: boolean;
  readonly #padding: string | null;
  readonly #template: ChatTemplate | null;
  readonly #added: readonly AddedToken[];
  readonly #addedIds: ReadonlySet<number>;
  readonly #specialIds: ReadonlySet<number>;
  readonly #controls: ReadonlySet<AddedToken>; // what a message must never turn into
  readonly #reserved: ReadonlySet<string>; // spellings that ordinary text must never yield
  readonly #splitters = new Map<Recognition, readonly [raw: AddedTokenSplitter, normalized: AddedTokenSplitter]>();
  readonly #shield: SpecialShield;
  #bytes: TokenBytes | null = null;

  private constructor(files: TokenizerFiles) {
    const { tokenizerJson, tokenizerConfig, chatTemplate, namedTokens, specialSpellings } = parseTokenizerFiles(files);
    try {
      this.#tokenizer = new Tokenizer(tokenizerJson, tokenizerConfig);
    } catch (error) {
      throw new UnseenError("BUNDLE_INVALID", "tokenizer.json: expected a Hugging Face tokenizer, got one that cannot be built.", {
        hint: "Take tokenizer.json from the model's own directory.",
        cause: error,
      });
    }
    this.#decoder = tokenizerJson.decoder as DecoderConfig;
    this.#lowers = lowersCase(tokenizerJson["normalizer"]);
    this.#padding = paddingOf(namedTokens["pad_token"], tokenizerJson["padding"]);
    this.#added = [...this.#tokenizer.get_added_tokens_decoder().values()];
    this.#addedIds = new Set(this.#added.map((token) => token.id));
    this.#specialIds = new Set(
      this.#added.filter((token) => token.special || specialSpellings.has(token.content)).map((token) => token.id),
    );
    const unknown = this.#tokenizer.model!.unk_token;
    const controls = this.#added
      .filter((token) => isControl(token) || this.#specialIds.has(token.id))
      .filter((token) => token.content.length > 1);
    this.#controls = new Set(controls);
    this.#reserved = new Set(controls.map((token) => token.content).filter((content) => content !== unknown));
    this.#shield = new SpecialShield(controls.map((token) => token.content));
    this.#template = chatTemplate === null ? null : new ChatTemplate(chatTemplate, namedTokens);
  }

  /**
   * Builds a tokenizer from the contents of its files.
   *
   * @throws UnseenError BUNDLE_INVALID
   */
  static fromFiles(files: TokenizerFiles): TextTokenizer {
    return new TextTokenizer(files);
  }

  /**
   * Reads `tokenizer.json`, `tokenizer_config.json` and `chat_template.jinja` from a directory.
   *
   * @throws UnseenError TOKENIZER_MISSING, BUNDLE_INVALID
   */
  static async load(directory: string): Promise<TextTokenizer> {
    const [tokenizerJson, tokenizerConfig, chatTemplate] = await Promise.all(
      ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"].map((name) =>
        readFile(join(directory, name)).catch((error: NodeJS.ErrnoException) => {
          if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
          throw error;
        }),
      ),
    );
    if (!tokenizerJson) {
      throw new UnseenError("TOKENIZER_MISSING", `${directory}: expected a tokenizer.json, got none.`, {
        hint: "Give the directory of the model's tokenizer with --tokenizer DIR.",
      });
    }
    return new TextTokenizer({ tokenizerJson, tokenizerConfig, chatTemplate });
  }

  /** One more than the largest id that has a token. */
  get size(): number {
    return this.#tokenizer.model!.vocab.length;
  }

  /** Whether the model came with a chat template. */
  get hasChatTemplate(): boolean {
    return this.#template !== null;
  }

  /** At most so many spaces at the start of a text belong to word marks; see {@link TokenBytes}. */
  get leadingSpaces(): number {
    return this.#decoding.leadingSpaces;
  }

  get #decoding(): TokenBytes {
    return (this.#bytes ??= compileDecoder(this.#decoder));
  }

  /** What fills sequences up, where the tokenizer says. */
  get paddingId(): number | undefined {
    return this.#padding === null ? undefined : this.idOf(this.#padding);
  }

  /** The id of a token as the vocabulary spells it. */
  idOf(token: string): number | undefined {
    return this.#tokenizer.model!.tokens_to_ids.get(token);
  }

  /** A token as the vocabulary spells it (not its text: see {@link tokenBytes}). */
  tokenOf(id: number): string | undefined {
    return this.#tokenizer.model!.vocab[id];
  }

  /** Whether an id is a control token, which answers leave out. */
  isSpecial(id: number): boolean {
    return this.#specialIds.has(id);
  }

  /**
   * The plain ids of a text, equal to the reference tokenizer's with `add_special_tokens` = `specialTokens`
   * (and, unless `parseSpecial`, `split_special_tokens`).
   */
  encode(text: string, { specialTokens, parseSpecial = specialTokens }: EncodeOptions): number[] {
    let tokens = this.#tokenize(text, parseSpecial ? "all" : "words", "");
    if (specialTokens && this.#tokenizer.post_processor) tokens = this.#tokenizer.post_processor(tokens, null, true).tokens;
    return this.#ids(tokens);
  }

  /**
   * A text, or a pair of texts, as an encoder reads it: equal to the reference tokenizer's with `truncation=True` and
   * `split_special_tokens=True`. What the texts spell stays text.
   *
   * @param maximumLength - Tokens in all, special ones included; what exceeds it is cut off at the end of the longer text.
   */
  encodeSequence(text: string, pair: string | null, maximumLength: number): EncodedSequence {
    const processor = this.#tokenizer.post_processor;
    const first = this.#tokenize(text, "words", "");
    const second = pair === null ? null : this.#tokenize(pair, "words", "");
    const added = processor ? processor([], second && [], true).tokens.length : 0;
    const [keptFirst, keptSecond] = cutLongestFirst([first.length, second?.length ?? 0], maximumLength, added);
    const cut = [first.slice(0, keptFirst), second && second.slice(0, keptSecond)] as const;
    const whole = processor ? processor(cut[0], cut[1], true) : null;
    const tokens = whole?.tokens ?? [...cut[0], ...(cut[1] ?? [])];
    // RoBERTa knows one segment alone, which its processor here does not say.
    const single = second === null || (processor?.config as { readonly type?: unknown } | undefined)?.type === "RobertaProcessing";
    const given = single ? undefined : whole?.token_type_ids;
    const segments = tokens.map((_: string, index: number) => given?.[index] ?? (single || whole || index < keptFirst ? 0 : 1));
    return { ids: this.#ids(tokens), segments };
  }

  /** The text of plain ids; ids beyond the tokenizer (padding rows of the embedding) stand for nothing. @throws UnseenError TOKEN_OUT_OF_RANGE */
  decode(ids: readonly number[], { skipSpecialTokens = true }: { readonly skipSpecialTokens?: boolean } = {}): string {
    const parts: Uint8Array[] = [];
    for (const id of ids) {
      if (skipSpecialTokens && this.isSpecial(id)) continue;
      const bytes = this.tokenBytes(id, { first: parts.length === 0 });
      if (bytes.length > 0) parts.push(bytes);
    }
    const whole = Buffer.concat(parts);
    let start = 0;
    while (start < this.leadingSpaces && whole[start] === 0x20) start++;
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(whole.subarray(start));
  }

  /** The bytes that a token adds to a text; a part of a UTF-8 sequence where the vocabulary cuts inside one. @throws UnseenError TOKEN_OUT_OF_RANGE */
  tokenBytes(id: number, { first = false }: TokenBytesOptions = {}): Uint8Array {
    if (!Number.isInteger(id) || id < 0)
      throw new UnseenError("TOKEN_OUT_OF_RANGE", "token: expected an integer id of at least 0, got another value.");
    const token = this.tokenOf(id);
    return token === undefined ? new Uint8Array(0) : this.#decoding.bytes(token, this.#addedIds.has(id), first);
  }

  /**
   * A conversation in the model's own form, as text and as plain ids.
   *
   * Control tokens come from the template alone: what the messages spell stays text ({@link SpecialShield}).
   *
   * @throws UnseenError REQUEST_UNSUPPORTED without a template, REQUEST_INVALID when the template refuses the conversation
   */
  applyChatTemplate(conversation: Conversation): { text: string; ids: number[] } {
    const template = this.#template;
    if (!template) {
      throw new UnseenError("REQUEST_UNSUPPORTED", "messages: expected a model with a chat template, got one without.", {
        hint: "Use /v1/completions, or put a chat_template.jinja into the model's bundle.",
      });
    }
    const messages = normalizeMessages(conversation.messages, template.readsParts((conversation.tools?.length ?? 0) > 0));
    const { text, mark } = this.#renderShielded(template, { ...conversation, messages });
    return { text: mark === "" ? text : text.replaceAll(mark, ""), ids: this.#ids(this.#tokenize(text, "template", mark)) };
  }

  /** The conversation's text with marks ({@link SpecialShield}) in what was not written by the template. */
  #renderShielded(template: ChatTemplate, plain: Conversation): { text: string; mark: string } {
    const text = template.render(plain);
    const values = JSON.stringify([plain.messages, plain.tools, plain.variables]);
    const mark = this.#shield.chooseMark(values, text, template.source(true), template.source(false));
    const render = (reach: Reach, assistantOnly: readonly string[] | undefined): string => {
      const protect = (value: unknown): unknown => this.#shield.protect(value, mark, reach);
      const messages = plain.messages.map((message) => {
        const only = message.role === "assistant" ? assistantOnly : undefined;
        // The role was checked against a list, and templates do put it inside a marker.
        return { ...(this.#shield.protect(message, mark, reach, only) as ChatMessage), role: message.role };
      });
      return template.render({ ...plain, messages, tools: protect(plain.tools), variables: protect(plain.variables) } as Conversation);
    };
    const unmarked = (marked: string): string => marked.replaceAll(mark, "");
    for (const reach of ["parts", "edges"] as const) {
      const marked = render(reach, undefined);
      if (unmarked(marked) === text) return { text: marked, mark };
    }
    // The template looks into the values for a marker. It may do so in the assistant's own turns (to drop reasoning
    // before an old `</think>`), for the markers that it reads there and that end no turn; elsewhere safety wins.
    const { spellings } = this.#shield;
    const written = JSON.stringify(plain.messages.filter((message) => message.role === "assistant"));
    const candidates = [...this.#controls]
      .filter((token) => !token.special && written.includes(token.content))
      .slice(0, MAXIMUM_READ_MARKERS);
    const without = (read: readonly string[]): string[] => spellings.filter((spelling) => !read.includes(spelling));
    let read: string[] = [];
    for (const { content } of candidates) {
      const more = [...read, content];
      if (unmarked(render("edges", without(more))) !== unmarked(render("edges", without(read)))) read = more;
    }
    return { text: render("edges", without(read)), mark };
  }

  #ids(tokens: readonly string[]): number[] {
    const model = this.#tokenizer.model!;
    return tokens.map((token) => {
      const id = model.tokens_to_ids.get(token) ?? model.unk_token_id;
      if (id !== undefined) return id;
      throw new UnseenError("BUNDLE_INVALID", "tokenizer.json: expected an unknown-token entry for text outside the vocabulary, got none.");
    });
  }

  /** The reference algorithm: added tokens are cut out before and after normalisation, the model does the rest. */
  #tokenize(text: string, recognition: Recognition, mark: string): string[] {
    const [raw, normalized] = this.#splitter(recognition);
    const unmarked = (section: Section): string => (mark === "" ? section.text : section.text.replaceAll(mark, ""));
    return raw.split(text).flatMap((section, index) => {
      if (section.token) return [section.token.content];
      const plain = unmarked(section);
      if (plain === "") return [];
      return normalized
        .split(this.#normalize(plain))
        .flatMap((part) => (part.token ? [part.token.content] : this.#ordinary(part.text, index)));
    });
  }

  /** JavaScript lowers a sigma at the end of a word to another letter; the reference lowers each character by itself. */
  #normalize(text: string): string {
    const { normalizer } = this.#tokenizer;
    if (!normalizer) return text;
    return normalizer(this.#lowers ? text.replaceAll("\u03A3", "\u03C3") : text);
  }

  #ordinary(text: string, index: number): string[] {
    const { pre_tokenizer: preTokenizer, model } = this.#tokenizer;
    const tokens: string[] = model!(preTokenizer ? preTokenizer(text, { section_index: index }) : [text]);
    if (!tokens.some((token) => this.#reserved.has(token))) return tokens;
    // Some models find a control token's spelling by themselves (a unigram lattice, `ignore_merges`): cut it in two.
    return tokens.flatMap((token) =>
      this.#reserved.has(token) ? [token.slice(0, 1), token.slice(1)].flatMap((half) => model!([half]) as string[]) : [token],
    );
  }

  #splitter(recognition: Recognition): readonly [AddedTokenSplitter, AddedTokenSplitter] {
    let pair = this.#splitters.get(recognition);
    if (!pair) {
      const { normalizer } = this.#tokenizer;
      const later = (token: AddedToken): boolean => token.normalized && normalizer !== null;
      const control = (token: AddedToken): boolean => this.#controls.has(token);
      const known = recognition === "words" ? this.#added.filter((token) => !control(token)) : this.#added;
      // Normalisation could make a control token out of look-alike text, so a template's are taken as they are spelled.
      const early = known.filter((token) => !later(token) || (recognition === "template" && control(token)));
      const rest = known.filter((token) => !early.includes(token));
      pair = [new AddedTokenSplitter(early), new AddedTokenSplitter(rest, (content) => this.#normalize(content))];
      this.#splitters.set(recognition, pair);
    }
    return pair;
  }
}

/** The padding token: of tokenizer_config.json, else of tokenizer.json. */
function paddingOf(named: unknown, settings: unknown): string | null {
  const token = named ?? (settings as { pad_token?: unknown } | null | undefined)?.pad_token;
  return typeof token === "string" ? token : null;
}

/** Whether a normalizer's configuration turns capitals into small letters. */
function lowersCase(normalizer: unknown): boolean {
  const { type, lowercase, normalizers } = (normalizer ?? {}) as { type?: unknown; lowercase?: unknown; normalizers?: unknown };
  if (type === "Sequence") return Array.isArray(normalizers) && normalizers.some(lowersCase);
  return type === "Lowercase" || (type === "BertNormalizer" && lowercase !== false);
}
