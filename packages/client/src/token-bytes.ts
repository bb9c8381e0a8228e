/**
 * From token ids to the bytes they stand for, by the `decoder` of a tokenizer.json.
 *
 * Text is always the UTF-8 reading of concatenated token bytes, so that a stream and a whole answer cannot differ.
 * Two consequences, both on purpose: an ill-formed run of byte-fallback tokens becomes one U+FFFD per maximal
 * ill-formed part (Unicode 3.9, as for byte-level tokenizers), and `clean_up_tokenization_spaces`, which would
 * rewrite the model's own spacing and needs look-ahead, is not applied.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";

const encoder = new TextEncoder();
const EMPTY = new Uint8Array(0);

/** A decoder as it stands in a tokenizer.json; every field may be anything. */
export type DecoderConfig = { readonly type?: unknown; readonly [field: string]: unknown } | null;

/** How one vocabulary entry becomes bytes. */
export interface TokenBytes {
  /** The bytes of a token; `first` at the start of a text, where some vocabularies drop their word-start mark. */
  bytes(token: string, literal: boolean, first: boolean): Uint8Array;
  /** A space at the very start of a text belongs to the vocabulary's word marks, not to the text; at most so many are dropped. */
  readonly leadingSpaces: number;
}

/**
 * Compiles the `decoder` of a tokenizer.json.
 *
 * @throws UnseenError REQUEST_UNSUPPORTED for a decoder that no generative model uses (CTC, end-of-word suffixes)
 */
export function compileDecoder(config: DecoderConfig): TokenBytes {
  const steps = (config?.type === "Sequence" ? config["decoders"] : config ? [config] : []) as DecoderConfig[];
  if (!Array.isArray(steps)) throw unsupported("Sequence without a list");
  const transforms: ((token: string, first: boolean) => string)[] = [];
  let byteFallback = false;
  let byteLevel = false;
  let leadingSpaces = 0;
  let fused = false;
  for (const step of steps) {
    switch (step?.type) {
      case "ByteLevel":
        byteLevel = true;
        break;
      case "ByteFallback":
        byteFallback = true;
        break;
      case "Fuse":
        fused = true;
        break;
      case "Replace":
        transforms.push(compileReplace(step));
        break;
      case "Metaspace":
        transforms.push(compileMetaspace(step));
        break;
      case "WordPiece":
        transforms.push(compileWordPiece(step));
        break;
      case "Strip":
        // Only the form that SentencePiece conversions use can be streamed: leading spaces of the whole text.
        if (!fused || step["content"] !== " " || (step["stop"] ?? 0) !== 0) throw unsupported("Strip inside a text");
        leadingSpaces = Number(step["start"] ?? 0);
        break;
      default:
        throw unsupported(String(step?.type));
    }
  }
  if (!config) transforms.push((token, first) => (first ? token : ` ${token}`)); // the reference joins with spaces
  return {
    leadingSpaces,
    bytes(token, literal, first) {
      if (byteLevel) return literal ? encoder.encode(token) : byteLevelBytes(token);
      const byte = byteFallback ? fallbackByte(token) : null;
      if (byte !== null) return Uint8Array.of(byte);
      let text = token;
      for (const transform of transforms) text = transform(text, first);
      return text === "" ? EMPTY : encoder.encode(text);
    },
  };
}

function unsupported(what: string): UnseenError {
  return new UnseenError(
    "REQUEST_UNSUPPORTED",
    `tokenizer decoder: expected one that yields text token by token, got ${what.slice(0, 40)}.`,
    {
      hint: "This tokenizer can encode text but not stream it.",
    },
  );
}

/** `<0xE2>` is one byte that had no token of its own. */
function fallbackByte(token: string): number | null {
  return token.length === 6 && /^<0x[0-9A-Fa-f]{2}>$/.test(token) ? Number.parseInt(token.slice(3, 5), 16) : null;
}

function compileReplace(step: NonNullable<DecoderConfig>): (token: string) => string {
  const pattern = step["pattern"] as { String?: unknown } | undefined;
  const content = String(step["content"] ?? "");
  const search = pattern?.String;
  if (typeof search !== "string" || search === "") throw unsupported("Replace by a regular expression");
  return (token) => token.replaceAll(search, content);
}

function compileMetaspace(step: NonNullable<DecoderConfig>): (token: string, first: boolean) => string {
  const mark = typeof step["replacement"] === "string" && step["replacement"] !== "" ? step["replacement"] : "\u2581";
  const prepends = step["prepend_scheme"] === undefined ? step["add_prefix_space"] !== false : step["prepend_scheme"] !== "never";
  return (token, first) => token.replaceAll(mark, first && prepends ? "" : " ");
}

function compileWordPiece(step: NonNullable<DecoderConfig>): (token: string, first: boolean) => string {
  const prefix = String(step["prefix"] ?? "##");
  const cleanUp = step["cleanup"] !== false;
  return (token, first) => {
    const text = first ? token : token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`;
    if (!cleanUp) return text;
    return text.replace(/^ (?=[.?!,])|^ (?=n't|'m|'s|'ve|'re)/, "").replace(/^ ' /, "'");
  };
}

/**
 * GPT-2's reversible alphabet: printable Latin-1 stands for itself, the other 68 bytes for U+0100 and up.
 * (code point of the alphabet) -> byte
 */
const BYTE_OF_CODE_POINT = (() => {
  const table = new Map<number, number>();
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
    table.set(printable ? byte : next++, byte);
  }
  return table;
})();

function byteLevelBytes(token: string): Uint8Array {
  const bytes = new Uint8Array(token.length);
  let length = 0;
  for (let index = 0; index < token.length; index++) {
    const byte = BYTE_OF_CODE_POINT.get(token.charCodeAt(index));
    // A token outside the alphabet (added by hand) stands for itself as a whole.
    if (byte === undefined) return encoder.encode(token);
    bytes[length++] = byte;
  }
  return bytes;
}
