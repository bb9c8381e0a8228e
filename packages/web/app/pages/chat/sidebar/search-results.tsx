/**
 * Where words were said, in all conversations and all their branches.
 * @module
 */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { SearchHit, SearchResult } from "../../../../src/protocol/conversations.ts";
import type { Failure } from "../../../../src/protocol/failure.ts";
import { failureOf } from "../../../api/console.ts";
import { count } from "../../../parts/numbers.ts";
import { FailureNotice } from "../../../parts/notice.tsx";
import { searchConversations } from "../data/conversation-list.ts";
import style from "./sidebar.module.css";

const DELAY = 150; // ms without typing

export function SearchResults({ words, onChosen }: { readonly words: string; readonly onChosen: () => void }): JSX.Element {
  const [result, setResult] = useState<SearchResult | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  useEffect(() => {
    const leaving = new AbortController();
    const find = async (): Promise<void> => {
      try {
        setResult(await searchConversations(words, leaving.signal));
        setFailure(null);
      } catch (error) {
        if (!leaving.signal.aborted) setFailure(failureOf(error));
      }
    };
    const timer = setTimeout(() => void find(), DELAY);
    return () => {
      clearTimeout(timer);
      leaving.abort();
    };
  }, [words]);
  return (
    <section aria-label="Search results">
      <FailureNotice failure={failure} />
      <p class={style["none"]} role="status">
        {result === null
          ? "Searching"
          : result.hits.length === 0
            ? `Nothing holds “${words}”. Try fewer or other words.`
            : `${result.more ? "The newest " : ""}${count(result.hits.length, "match", "matches")}`}
      </p>
      <ul class={style["rows"]}>
        {result?.hits.map((hit, index) => (
          <li key={index}>
            <a class={style["hit"]} href={addressOf(hit)} onClick={onChosen}>
              <bdi class={style["title"]}>{hit.title}</bdi>
              <span class={style["excerpt"]} dir="auto">
                {hit.excerpt.slice(0, hit.start)}
                <mark>{hit.excerpt.slice(hit.start, hit.start + hit.length)}</mark>
                {hit.excerpt.slice(hit.start + hit.length)}
              </span>
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}

function addressOf({ conversation, message }: SearchHit): string {
  return `/chat/${encodeURIComponent(conversation)}${message === null ? "" : `?message=${encodeURIComponent(message)}`}`;
}
