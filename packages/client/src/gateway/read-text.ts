/**
 * Stage 1: plain ids become text.
 * @module
 */
import type { GeneratedChunk } from "../engines/engine.ts";
import { Detokenizer } from "../detokenizer.ts";
import type { TextTokenizer } from "../tokenizer.ts";
import type { AnswerToken, Delta, FinishReason, Usage } from "./delta.ts";

export interface TextSettings {
  readonly usage: Usage;
  /** The answer continues a text (a plain completion), so its first token keeps its leading space. */
  readonly continues: boolean;
  /** Plain ids that end an answer; not part of its text. */
  readonly endIds: ReadonlySet<number>;
  /** Special tokens that later stages want to see, such as `[TOOL_CALLS]`; all others are silent. */
  readonly markers: readonly string[];
}

/**
 * Turns ids into text as soon as whole characters are there.
 *
 * @param tokenizer - null leaves the text empty: the tokens alone are the answer.
 */
export async function* readText(
  chunks: AsyncIterable<GeneratedChunk>,
  tokenizer: TextTokenizer | null,
  settings: TextSettings,
): AsyncGenerator<Delta> {
  let detokenizer = tokenizer && new Detokenizer(tokenizer, { continues: settings.continues });
  let reason: FinishReason = "length";
  for await (const chunk of chunks) {
    const tokens: AnswerToken[] = [];
    let text = "";
    let stopped = false;
    for (const [index, id] of chunk.ids.entries()) {
      settings.usage.completionTokens += 1;
      const logprob = chunk.logprobs?.[index];
      stopped = settings.endIds.has(id);
      tokens.push({ id, ...(logprob ? { logprob } : {}), ...(stopped ? { end: true as const } : {}) });
      if (stopped) break;
      if (!detokenizer || !tokenizer) continue;
      const marker = settings.markers.length > 0 && tokenizer.isSpecial(id) ? tokenizer.decode([id], { skipSpecialTokens: false }) : "";
      if (settings.markers.includes(marker)) {
        text += detokenizer.flush() + marker;
        detokenizer = new Detokenizer(tokenizer, { continues: true });
      } else text += detokenizer.push(id);
    }
    const finished = stopped || chunk.finishReason !== undefined;
    if (finished) text += detokenizer?.flush() ?? "";
    if (text || tokens.length > 0) yield { kind: "text", text, tokens };
    if (!finished) continue;
    reason = stopped ? "stop" : (chunk.finishReason ?? "stop");
    break;
  }
  yield { kind: "finish", reason, usage: settings.usage };
}
