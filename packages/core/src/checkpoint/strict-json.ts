/**
 * A JSON reader for headers from strangers (RFC 8259). Unlike `JSON.parse` it sees duplicate keys, gives Maps
 * instead of objects with a prototype, and stops at a depth and a number of values.
 * @module
 */
import { UnseenError } from "../errors.ts";
import { malformed, quote, tooLarge } from "./checks.ts";

export type StrictJson = null | boolean | number | string | readonly StrictJson[] | StrictJsonObject;
export type StrictJsonObject = ReadonlyMap<string, StrictJson>;

export interface StrictJsonLimits {
  /** Nested arrays and objects (CWE-674). */
  readonly depth: number;
  /** Values in all, keys not counted (CWE-770). */
  readonly values: number;
}

/**
 * Parses UTF-8 JSON whose outermost value is an object.
 *
 * @param where what the bytes are, for messages
 * @throws UnseenError `CHECKPOINT_MALFORMED` (also for bytes that are not UTF-8, and a key `__proto__`),
 *   `CHECKPOINT_DUPLICATE`, `CHECKPOINT_TOO_LARGE`
 */
export function parseStrictJson(bytes: Uint8Array, where: string, limits: StrictJsonLimits): StrictJsonObject {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new UnseenError("CHECKPOINT_MALFORMED", `${where} is not UTF-8 text.`, {
      hint: "The file is damaged; download it again.",
      cause,
    });
  }
  return new Parser(text, where, limits).document();
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const LITERALS = [
  ["true", true],
  ["false", false],
  ["null", null],
] as const;

class Parser {
  readonly #text: string;
  readonly #where: string;
  readonly #limits: StrictJsonLimits;
  #at = 0;
  #depth = 0;
  #values = 0;

  constructor(text: string, where: string, limits: StrictJsonLimits) {
    this.#text = text;
    this.#where = where;
    this.#limits = limits;
  }

  document(): StrictJsonObject {
    this.#space();
    if (this.#text[this.#at] !== "{") throw this.#unexpected("an object");
    const object = this.#object();
    this.#space();
    if (this.#at < this.#text.length) throw this.#unexpected("the end");
    return object;
  }

  #value(): StrictJson {
    this.#values += 1;
    if (this.#values > this.#limits.values) throw tooLarge(`${this.#where} holds more than ${this.#limits.values} values.`);
    this.#space();
    const first = this.#text[this.#at];
    if (first === "{") return this.#object();
    if (first === "[") return this.#array();
    if (first === '"') return this.#string();
    for (const [word, value] of LITERALS) {
      if (this.#text.startsWith(word, this.#at)) {
        this.#at += word.length;
        return value;
      }
    }
    NUMBER.lastIndex = this.#at;
    if (!NUMBER.test(this.#text)) throw this.#unexpected("a value");
    const number = Number(this.#text.slice(this.#at, NUMBER.lastIndex));
    this.#at = NUMBER.lastIndex;
    return number;
  }

  #object(): StrictJsonObject {
    const entries = new Map<string, StrictJson>();
    this.#enter();
    if (this.#take("}")) return this.#leave(entries);
    do {
      this.#space();
      if (this.#text[this.#at] !== '"') throw this.#unexpected("a key");
      const key = this.#string();
      // Maps have no prototype, but a caller's object would (CWE-1321).
      if (key === "__proto__") throw malformed(`${this.#where} has a key "__proto__".`);
      if (entries.has(key))
        throw new UnseenError("CHECKPOINT_DUPLICATE", `${this.#where} has the key ${quote(key)} twice.`, {
          hint: "The file is damaged or hostile; download it again.",
        });
      if (!this.#take(":")) throw this.#unexpected('":"');
      entries.set(key, this.#value());
    } while (this.#take(","));
    if (!this.#take("}")) throw this.#unexpected('"," or "}"');
    return this.#leave(entries);
  }

  #array(): readonly StrictJson[] {
    const items: StrictJson[] = [];
    this.#enter();
    if (this.#take("]")) return this.#leave(items);
    do items.push(this.#value());
    while (this.#take(","));
    if (!this.#take("]")) throw this.#unexpected('"," or "]"');
    return this.#leave(items);
  }

  #string(): string {
    const start = this.#at;
    let end = start + 1;
    while (end < this.#text.length && this.#text[end] !== '"') end += this.#text[end] === "\\" ? 2 : 1;
    this.#at = end + 1;
    let value: string;
    try {
      value = JSON.parse(this.#text.slice(start, this.#at)) as string;
    } catch {
      throw malformed(`${this.#where}: expected a string at character ${start}.`);
    }
    if (!value.isWellFormed()) throw malformed(`${this.#where} has a string with half a surrogate pair.`);
    return value;
  }

  #enter(): void {
    this.#at += 1;
    this.#depth += 1;
    if (this.#depth > this.#limits.depth) throw tooLarge(`${this.#where} nests deeper than ${this.#limits.depth} levels.`);
  }

  #leave<T>(value: T): T {
    this.#depth -= 1;
    return value;
  }

  #take(character: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #space(): void {
    while (" \t\n\r".includes(this.#text[this.#at] ?? "x")) this.#at += 1;
  }

  #unexpected(expected: string): UnseenError {
    return malformed(`${this.#where}: expected ${expected} at character ${this.#at}.`);
  }
}
