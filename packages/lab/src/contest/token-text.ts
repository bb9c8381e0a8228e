/**
 * How a contest writes tokens: which texts mean the same token.
 * @module
 */
import type { TextTokenizer } from "@unseen/client/tokenizer.ts";

/** A token's text with the vocabularies' marks for spaces at its beginning (▁ of SentencePiece, Ġ of byte-level BPE) as spaces. */
export function withSpaces(text: string): string {
  return text.replace(/^[ \u2581\u0120]+/, (marks) => " ".repeat(marks.length));
}

/**
 * The texts by which a tokenizer's token may be called, marks as spaces: how the vocabulary spells it, then the text that it
 * stands for, where that is UTF-8 and no token is spelled so, which would make one text mean two tokens.
 */
export function tokenTexts(tokenizer: TextTokenizer): (id: number) => string[] {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const spellings = new Set<string>();
  for (let id = 0; id < tokenizer.size; id += 1) spellings.add(withSpaces(tokenizer.tokenOf(id) ?? ""));
  const textOf = (id: number): string => {
    try {
      return withSpaces(decoder.decode(tokenizer.tokenBytes(id)));
    } catch (error) {
      // Part of a UTF-8 sequence: it has a spelling and no text.
      if (error instanceof TypeError) return "";
      throw error;
    }
  };
  return (id) => {
    const spelling = withSpaces(tokenizer.tokenOf(id) ?? "");
    const text = textOf(id);
    return text === "" || spellings.has(text) ? [spelling] : [spelling, text];
  };
}
