/**
 * Keeps what a person (or a web page, or a tool) wrote from turning into control tokens.
 *
 * A chat template glues its own markers and the messages into one string, and in that string `<|end|>` from a
 * message looks like `<|end|>` from the template: whoever controls a message could end the turn and speak as the
 * system. The shield puts a mark, one Unicode noncharacter that occurs nowhere else, into every spelling of a control
 * token inside the values handed to the template. The rendered text then holds whole spellings only where the template
 * wrote them. After the control tokens are recognised the marks are removed, so the message is tokenised as it
 * was written, as ordinary text.
 *
 * A spelling may also be put together from two values ("<|im_" in one part, "end|>" in the next), so a value whose end
 * begins a spelling, or whose start ends one, gets a mark at that edge.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { alternatives } from "./added-tokens.ts";

/** Nesting of messages and tools (CWE-674: uncontrolled recursion). */
const MAXIMUM_DEPTH = 64;
const NONCHARACTERS = Array.from({ length: 32 }, (_, index) => String.fromCharCode(0xfdd0 + index));

/** The control tokens of one tokenizer, ready to be found in untrusted text. */
export class SpecialShield {
  readonly spellings: readonly string[];
  readonly #any: RegExp | null;
  readonly #prefixes = new Set<string>();
  readonly #suffixes = new Set<string>();
  readonly #longest: number;

  /** @param spellings of the control tokens, each of at least two characters */
  constructor(spellings: readonly string[]) {
    this.spellings = spellings;
    this.#any = compile(spellings);
    this.#longest = spellings.reduce((longest, spelling) => Math.max(longest, spelling.length), 0);
    for (const spelling of spellings) {
      const folded = spelling.toLowerCase();
      for (let length = 1; length < folded.length; length++) {
        this.#prefixes.add(folded.slice(0, length));
        this.#suffixes.add(folded.slice(folded.length - length));
      }
    }
  }

  /** A mark that occurs in none of the texts. @throws UnseenError REQUEST_INVALID when every candidate occurs */
  chooseMark(...texts: readonly string[]): string {
    const mark = NONCHARACTERS.find((candidate) => texts.every((text) => !text.includes(candidate)));
    if (mark !== undefined) return mark;
    throw new UnseenError("REQUEST_INVALID", "messages: expected text, got every noncharacter of Unicode.", { hint: "Remove U+FDD0..U+FDEF from the messages." });
  }

  /**
   * A copy of a value with marks in every string and key.
   *
   * @param only mark these spellings alone, and no edges
   */
  protect(value: unknown, mark: string, only?: readonly string[]): unknown {
    const pattern = only ? compile(only) : this.#any;
    if (!pattern) return value;
    const visit = (item: unknown, depth: number): unknown => {
      if (typeof item === "string") return this.#protectText(item, mark, pattern, only === undefined);
      if (typeof item !== "object" || item === null) return item;
      if (depth >= MAXIMUM_DEPTH) throw new UnseenError("REQUEST_INVALID", `messages: expected at most ${MAXIMUM_DEPTH} levels, got more.`);
      if (Array.isArray(item)) return item.map((element) => visit(element, depth + 1));
      return Object.fromEntries(Object.entries(item).map(([key, element]) => [visit(key, depth) as string, visit(element, depth + 1)]));
    };
    return visit(value, 0);
  }

  #protectText(text: string, mark: string, pattern: RegExp, edges: boolean): string {
    let marked = text.replace(pattern, `$&${mark}`);
    if (!edges || marked === "") return marked;
    // Templates trim, so the edge is at the first and last character that is not a space.
    const end = marked.trimEnd();
    if (this.#endsInside(end)) marked = end + mark + marked.slice(end.length);
    const start = marked.trimStart();
    if (this.#startsInside(start)) marked = marked.slice(0, marked.length - start.length) + mark + start;
    return marked;
  }

  #endsInside(text: string): boolean {
    const tail = text.slice(-this.#longest).toLowerCase();
    for (let length = 1; length <= tail.length; length++) if (this.#prefixes.has(tail.slice(-length))) return true;
    return false;
  }

  #startsInside(text: string): boolean {
    const head = text.slice(0, this.#longest).toLowerCase();
    for (let length = 1; length <= head.length; length++) if (this.#suffixes.has(head.slice(0, length))) return true;
    return false;
  }
}

/** Finds the first character of every spelling, overlapping ones too, in any case (a template may change the case). */
function compile(spellings: readonly string[]): RegExp | null {
  return spellings.length === 0 ? null : new RegExp(`(?=${alternatives(spellings)})[\\s\\S]`, "giu");
}
