/**
 * The tokens that a tokenizer recognises in raw text before its model sees it: control tokens such as `<|end|>`
 * and words that were added after training.
 * @module
 */
import type { AddedToken } from "@huggingface/tokenizers";

/** A piece of text, or a recognised token with its spelling. */
export interface Section {
  text: string;
  readonly token: AddedToken | null;
}

/**
 * Whether a token steers the model, so that a user's text must never turn into it.
 *
 * The `special` flag alone does not tell: some published tokenizers leave it off their turn markers. So anything
 * spelled like a tag counts too; added words and runs of spaces do not.
 */
export function isControl(token: AddedToken): boolean {
  return token.content.length > 1 && (token.special || /[<>[\]{}|\uFF5C]/.test(token.content));
}

/** Finds added tokens in a text, the longest first at each place, as the reference tokenizers do. */
export class AddedTokenSplitter {
  readonly #tokens = new Map<string, AddedToken>();
  readonly #pattern: RegExp | null;

  /** @param spell how a token stands in the texts to split: as it is, or normalised */
  constructor(tokens: readonly AddedToken[], spell: (content: string) => string = (content) => content) {
    for (const token of tokens) {
      const spelling = spell(token.content);
      if (spelling !== "") this.#tokens.set(spelling, token);
    }
    this.#pattern = alternation([...this.#tokens.keys()], "g");
  }

  /** The text in order; a token's `lstrip` and `rstrip` have already taken the spaces beside it. */
  split(text: string): Section[] {
    if (!this.#pattern) return text === "" ? [] : [{ text, token: null }];
    const sections: Section[] = [];
    let end = 0;
    for (const match of text.matchAll(this.#pattern)) {
      const token = this.#tokens.get(match[0])!;
      if (token.single_word && !standsAlone(text, match.index, match[0].length)) continue;
      if (match.index > end) sections.push({ text: text.slice(end, match.index), token: null });
      sections.push({ text: match[0], token });
      end = match.index + match[0].length;
    }
    if (end < text.length) sections.push({ text: text.slice(end), token: null });
    for (const [index, section] of sections.entries()) {
      const [before, after] = [sections[index - 1], sections[index + 1]];
      if (section.token?.lstrip && before && !before.token) before.text = before.text.trimEnd();
      if (section.token?.rstrip && after && !after.token) after.text = after.text.trimStart();
    }
    return sections.filter((section) => section.text !== "");
  }
}

function standsAlone(text: string, start: number, length: number): boolean {
  const [before, after] = [text.slice(Math.max(0, start - 2), start), text.slice(start + length, start + length + 2)];
  return !/[\p{L}\p{N}_]$/u.test(before) && !/^[\p{L}\p{N}_]/u.test(after);
}

/** One expression that finds any of the spellings, the longest first; null for none. */
export function alternation(spellings: readonly string[], flags: string): RegExp | null {
  if (spellings.length === 0) return null;
  return new RegExp(alternatives(spellings), flags);
}

/** The source of {@link alternation}, for a larger expression. */
export function alternatives(spellings: readonly string[]): string {
  const sorted = spellings.toSorted((a, b) => b.length - a.length);
  return sorted.map((spelling) => spelling.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")).join("|");
}
