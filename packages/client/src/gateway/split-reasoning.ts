/**
 * Stage 3: what a model thinks aloud before it answers goes into a channel of its own.
 * @module
 */
import type { AnswerToken, Delta, Usage } from "./delta.ts";
import { heldBack } from "./hold-back.ts";

/** Opening and closing tags: DeepSeek-R1, Qwen3, SmolLM3 and others; Magistral. */
const tags: readonly (readonly [string, string])[] = [
  ["<think>", "</think>"],
  ["[THINK]", "[/THINK]"],
];

/** Tags that some vocabularies hold as special tokens, which would otherwise be silent. */
export const reasoningMarkers: readonly string[] = tags.flat();

/** The closing tag that an answer is expected to bring, when the template has already opened the thinking. */
export function openReasoning(promptText: string): string | null {
  return tags.find(([open]) => promptText.trimEnd().endsWith(open))?.[1] ?? null;
}

/** An answer that has begun, as it was handed out. */
export interface BegunAnswer {
  readonly reasoning: string;
  readonly content: string;
}

/** How a begun answer is spelled for the model that goes on with it. */
export interface SpelledBeginning {
  /** In order; a tag may be a token of its own, and nothing else may become one. */
  readonly parts: readonly { readonly text: string; readonly isTag: boolean }[];
  /** Closing tag of the thought in which it ends; null where it ends in the text. */
  readonly open: string | null;
}

/** Spells a begun answer after a prompt, its tags as {@link splitReasoning} took them out. */
export function spellBeginning(promptText: string, { reasoning, content }: BegunAnswer): SpelledBeginning {
  const opened = openReasoning(promptText);
  if (reasoning === "" && (content !== "" || opened === null)) {
    // A thought that the prompt opened and that stayed empty was closed at once.
    const closing = opened === null ? [] : [tag(opened), plain("\n\n")];
    return { parts: [...closing, plain(content)], open: null };
  }
  const [open, close] = tags.find(([, end]) => end === opened) ?? tags[0]!;
  const beginning = opened === null ? [tag(open), plain("\n")] : [];
  if (content === "") return { parts: [...beginning, plain(reasoning)], open: close };
  return { parts: [...beginning, plain(`${reasoning}\n`), tag(close), plain(`\n\n${content}`)], open: null };
}

const tag = (text: string): SpelledBeginning["parts"][number] => ({ text, isTag: true });
const plain = (text: string): SpelledBeginning["parts"][number] => ({ text, isTag: false });

/**
 * Moves a thought at the very beginning of the answer from `text` to `reasoning`; a tag further on is plain text.
 *
 * @param open - The closing tag to wait for, when the answer begins inside a thought.
 * @param continues - That thought has begun already, so that a space at the beginning belongs to it.
 */
export async function* splitReasoning(
  deltas: AsyncIterable<Delta>,
  usage: Usage,
  open: string | null = null,
  continues = false,
): AsyncGenerator<Delta> {
  let state: "start" | "inside" | "after" | "text" = open === null ? "start" : "inside";
  let close = open ?? "";
  let pending = "";
  let began = continues;
  let waiting: AnswerToken[] = [];

  for await (const delta of deltas) {
    if (delta.kind !== "text") {
      if (pending || waiting.length > 0) yield { kind: state === "inside" ? "reasoning" : "text", text: pending, tokens: waiting };
      pending = "";
      waiting = [];
      yield delta;
      continue;
    }
    if (state === "text") {
      yield delta;
      continue;
    }
    pending += delta.text;
    waiting.push(...delta.tokens);

    if (state === "start") {
      const visible = pending.trimStart();
      const tag = tags.find(([start]) => visible.startsWith(start));
      if (tag) {
        state = "inside";
        close = tag[1];
        pending = visible.slice(tag[0].length);
      } else if (tags.some(([start]) => start.startsWith(visible))) continue;
      else state = "text";
    }
    if (state === "inside") {
      // The model's line breaks beside the tags are layout, not thought.
      if (!began) pending = pending.trimStart();
      const end = pending.indexOf(close);
      const text = pending.slice(0, end < 0 ? pending.length - heldBack(pending, [close]) : end).trimEnd();
      usage.reasoningTokens += waiting.length;
      if (text || waiting.length > 0) yield { kind: "reasoning", text, tokens: waiting };
      began ||= text.length > 0;
      waiting = [];
      pending = pending.slice(end < 0 ? text.length : end + close.length);
      if (end >= 0) state = "after";
    }
    if (state === "after") {
      pending = pending.trimStart();
      if (!pending) continue;
      state = "text";
    }
    if (state === "text") {
      yield { kind: "text", text: pending, tokens: waiting };
      pending = "";
      waiting = [];
    }
  }
}
