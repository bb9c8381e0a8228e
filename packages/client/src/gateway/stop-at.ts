/**
 * Stage 2: stop strings. They are text, so no host may see them; the gateway watches for them and hangs up.
 * @module
 */
import type { AnswerToken, Delta, Usage } from "./delta.ts";
import { findFirst, heldBack } from "./hold-back.ts";

/**
 * Ends the answer before the first stop string. Text that may be the beginning of one waits, with its tokens;
 * a stop string closes the stages below, which aborts the host's generation.
 */
export async function* stopAt(deltas: AsyncIterable<Delta>, stops: readonly string[], usage: Usage): AsyncGenerator<Delta> {
  if (stops.length === 0) return yield* deltas;
  let pending = "";
  /** Tokens of the pending text; `end` is the offset in it where the token's text ends. */
  let waiting: { token: AnswerToken; start: number; end: number }[] = [];

  const release = (length: number, all: boolean): Delta => {
    const text = pending.slice(0, length);
    // A token that begins before the cut belongs to the text before it, at least in part.
    const count = waiting.findIndex((entry) => (all ? false : entry.end > length));
    const tokens = waiting.splice(0, count < 0 ? waiting.length : count).map((entry) => entry.token);
    pending = pending.slice(length);
    waiting = waiting.map((entry) => ({ ...entry, start: entry.start - length, end: entry.end - length }));
    return { kind: "text", text, tokens };
  };

  for await (const delta of deltas) {
    if (delta.kind === "finish") {
      if (pending || waiting.length > 0) yield release(pending.length, true);
      yield delta;
      return;
    }
    if (delta.kind !== "text") {
      yield delta;
      continue;
    }
    const start = pending.length;
    pending += delta.text;
    for (const token of delta.tokens) waiting.push({ token, start, end: pending.length });
    const found = findFirst(pending, stops);
    if (found) {
      waiting = waiting.filter((entry) => entry.start < found.index);
      yield release(found.index, true);
      yield { kind: "finish", reason: "stop", usage };
      return;
    }
    const ready = pending.length - heldBack(pending, stops);
    if (ready > 0 || waiting.some((entry) => entry.end <= ready)) yield release(ready, false);
  }
}
