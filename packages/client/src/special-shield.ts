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
 * A spelling may also be put together from several values ("<|im_" in one part, "end|>" in the next) or from a value and
 * the template's own text ("<|" + name + "|>"), so a value whose end begins a spelling, whose start ends one, or that
 * lies inside one gets a mark at its edges.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { alternatives } from "./added-tokens.ts";

/** Nesting of messages and tools (CWE-674: uncontrolled recursion). */
const MAXIMUM_DEPTH = 64;
const NONCHARACTERS = Array.from({ length: 32 }, (_, index) => String.fromCharCode(0xfdd0 + index));

/**
 * What gets a mark: whole spellings; also edges that could complete one; also whole values that lie inside one.
 * The wider the reach, the likelier a template that compares a value notices.
 */
export type Reach = "spellings" | "edges" | "parts";

/** The control tokens of one tokenizer, ready to be found in untrusted text. */
export class SpecialShield {
  readonly spellings: readonly string[];
  readonly #any: RegExp | null;
  readonly #prefixes = new Set<string>();
  readonly #suffixes = new Set<string>();
  readonly #folded: string; // all spellings in lower case, with something between that no text holds
  readonly #longest: number;

  /** @param spellings of the control tokens, each of at least two characters */
  constructor(spellings: readonly string[]) {
    this.spellings = spellings;
    this.#any = compile(spellings);
    this.#folded = spellings.join("\uFFFF").toLowerCase();
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
    throw new UnseenError("REQUEST_INVALID", "messages: expected text, got every noncharacter of Unicode.", {
      hint: "Remove U+FDD0..U+FDEF from the messages.",
    });
  }

  /**
   * A copy of a value with marks in every string and key.
   *
   * @param only mark these spellings alone
   */
  protect(value: unknown, mark: string, reach: Reach, only?: readonly string[]): unknown {
    const pattern = only ? compile(only) : this.#any;
    if (!pattern) return value;
    const visit = (item: unknown, depth: number): unknown => {
      if (typeof item === "string") return this.#protectText(item, mark, pattern, reach);
      if (typeof item !== "object" || item === null) return item;
      if (depth >= MAXIMUM_DEPTH) throw new UnseenError("REQUEST_INVALID", `messages: expected at most ${MAXIMUM_DEPTH} levels, got more.`);
      if (Array.isArray(item)) return item.map((element) => visit(element, depth + 1));
      // Templates look fields up by name, and a name such as "function" may well lie inside a marker.
      const keyReach = reach === "parts" ? "edges" : reach;
      return Object.fromEntries(
        Object.entries(item).map(([key, element]) => [this.#protectText(key, mark, pattern, keyReach), visit(element, depth + 1)]),
      );
    };
    return visit(value, 0);
  }

  #protectText(text: string, mark: string, pattern: RegExp, reach: Reach): string {
    let marked = text.replace(pattern, `$&${mark}`);
    if (reach === "spellings" || marked === "") return marked;
    const inside = reach === "parts" && this.#isPart(text.trim());
    // Templates trim, so the edge is at the first and last character that is not a space.
    const end = marked.trimEnd();
    if (inside || this.#endsInside(end)) marked = end + mark + marked.slice(end.length);
    const start = marked.trimStart();
    if (inside || this.#startsInside(start)) marked = marked.slice(0, marked.length - start.length) + mark + start;
    return marked;
  }

  #isPart(text: string): boolean {
    return text !== "" && text.length < this.#longest && this.#folded.includes(text.toLowerCase());
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
