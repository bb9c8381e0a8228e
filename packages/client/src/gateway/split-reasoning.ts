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

/**
 * Moves a thought at the very beginning of the answer from `text` to `reasoning`; a tag further on is plain text.
 *
 * @param open - The closing tag to wait for, when the answer begins inside a thought.
 */
export async function* splitReasoning(deltas: AsyncIterable<Delta>, usage: Usage, open: string | null = null): AsyncGenerator<Delta> {
  let state: "start" | "inside" | "after" | "text" = open === null ? "start" : "inside";
  let close = open ?? "";
  let pending = "";
  let began = false;
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
