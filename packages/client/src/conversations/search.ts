/**
 * Finds words in titles and messages.
 * @module
 */
import { setImmediate as breathe } from "node:timers/promises";
import type { ConversationStore } from "./store.ts";

/** Hits of one search. */
export const MAXIMUM_HITS = 100;
/** Characters of what is searched for (CWE-770). */
export const MAXIMUM_QUERY = 200;
/** Characters of an excerpt on each side of what was found. */
const AROUND = 60;

export interface SearchHit {
  readonly conversation: string;
  readonly title: string;
  /** null: the title itself. */
  readonly message: string | null;
  /** Text around the match, and where the match lies in it. */
  readonly excerpt: string;
  readonly start: number;
  readonly length: number;
}

export interface SearchResult {
  readonly hits: readonly SearchHit[];
  /** More were found than are listed. */
  readonly more: boolean;
}

/** Latest conversations and messages first; case does not matter. Words that lie apart are not looked for apart. */
export async function searchConversations(store: ConversationStore, query: string): Promise<SearchResult> {
  const hits: SearchHit[] = [];
  const wanted = query.trim().slice(0, MAXIMUM_QUERY);
  if (wanted === "") return { hits, more: false };
  // Unicode's simple folding keeps every place, where lowering a text would shift some.
  const pattern = new RegExp(wanted.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&").replace(/\s+/g, "\\s+"), "iu");
  for (const id of store.ids) {
    const more = await store
      .with(id, async ({ tree }) => {
        const { title } = tree.head;
        const take = (message: string | null, text: string): boolean => {
          const match = pattern.exec(text);
          if (!match) return false;
          if (hits.length === MAXIMUM_HITS) return true;
          hits.push({ conversation: id, title, message, ...excerptOf(text, match.index, match[0].length) });
          return false;
        };
        if (take(null, title)) return true;
        for (const message of [...tree.messages()].toReversed()) if (take(message.id, message.content)) return true;
        return false;
      })
      // One that was deleted or damaged meanwhile has no hits.
      .catch(() => false);
    if (more) return { hits, more };
    await breathe();
  }
  return { hits, more: false };
}

function excerptOf(text: string, index: number, length: number): Pick<SearchHit, "excerpt" | "start" | "length"> {
  let from = Math.max(0, index - AROUND);
  let to = Math.min(text.length, index + length + AROUND);
  // A character of two halves stays whole.
  if (isLowHalf(text.charCodeAt(from))) from += from < index ? 1 : 0;
  if (isLowHalf(text.charCodeAt(to))) to += 1;
  return { excerpt: text.slice(from, to), start: index - from, length };
}

function isLowHalf(code: number): boolean {
  return code >= 0xdc00 && code <= 0xdfff;
}
