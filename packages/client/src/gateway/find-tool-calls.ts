/**
 * Stage 4: function calls inside the text become tool calls.
 * @module
 */
import type { AnswerToken, Delta, ToolCall, Usage } from "./delta.ts";
import { findFirst, heldBack } from "./hold-back.ts";
import { LIST_OPEN, PYTHON_TAG, readToolCalls, TAG_CLOSE, TAG_OPEN } from "./tool-call-formats.ts";

const openers = [TAG_OPEN, LIST_OPEN, PYTHON_TAG];

export interface ToolSettings {
  /** Functions that may be called; anything else that looks like a call stays text. */
  readonly names: ReadonlySet<string>;
  /** false ends the answer after its first call. */
  readonly parallel: boolean;
  readonly usage: Usage;
}

/**
 * Lets text through at once, holds what may be a call until it is complete, and yields each call whole.
 * An answer with a call finishes for the reason `tool_calls`.
 */
export async function* findToolCalls(deltas: AsyncIterable<Delta>, settings: ToolSettings): AsyncGenerator<Delta> {
  let state: "start" | "text" | "tagged" | "rest" = "start";
  let opener = "";
  let pending = "";
  let waiting: AnswerToken[] = [];
  let called = false;

  const text = (value: string): Delta[] => {
    const tokens = waiting.splice(0);
    return value || tokens.length > 0 ? [{ kind: "text", text: value, tokens }] : [];
  };
  const calls = (found: readonly ToolCall[]): Delta[] => {
    called = true;
    waiting = [];
    return (settings.parallel ? found : found.slice(0, 1)).map((call) => ({ kind: "tool-call", call }));
  };

  for await (const delta of deltas) {
    if (delta.kind === "finish") {
      const found = state === "tagged" || state === "rest" ? readToolCalls(pending, settings.names) : null;
      // White space after a call is layout.
      const rest = opener + pending;
      yield* found ? calls(found) : text(called && !rest.trim() ? "" : rest);
      yield called ? { ...delta, reason: delta.reason === "length" && !found ? "length" : "tool_calls" } : delta;
      return;
    }
    if (delta.kind !== "text") {
      yield delta;
      continue;
    }
    pending += delta.text;
    waiting.push(...delta.tokens);

    for (let again = true; again;) {
      again = false;
      if (state === "start") {
        const visible = pending.trimStart();
        if (!visible) break;
        state = visible.startsWith("{") ? "rest" : "text";
      }
      if (state === "text") {
        const found = findFirst(pending, openers);
        const ready = found ? found.index : pending.length - heldBack(pending, openers);
        const before = pending.slice(0, ready);
        if (before.trim() || (before && !found && !called)) yield* text(before);
        else if (found || called) waiting = [];
        else if (!before) break;
        pending = pending.slice(ready);
        if (!found) break;
        opener = found.marker;
        pending = pending.slice(opener.length);
        state = opener === TAG_OPEN ? "tagged" : "rest";
      }
      if (state === "tagged") {
        const end = pending.indexOf(TAG_CLOSE);
        if (end < 0) break;
        const found = readToolCalls(pending.slice(0, end), settings.names);
        if (found) {
          yield* calls(found);
          if (!settings.parallel) return yield { kind: "finish", reason: "tool_calls", usage: settings.usage };
        } else yield* text(opener + pending.slice(0, end + TAG_CLOSE.length));
        pending = pending.slice(end + TAG_CLOSE.length);
        opener = "";
        state = "text";
        again = pending.length > 0;
      }
    }
  }
}
