/**
 * What flows from stage to stage: pieces of one answer.
 *
 * ```text
 * messages -> template -> ids -> BlindEngine -> ids -> readText -> stopAt -> splitReasoning -> findToolCalls -> OpenAI shape
 * ```
 * @module
 */
import type { TokenLogprob } from "../engines/engine.ts";

/** A generated token. Plain ids. */
export interface AnswerToken {
  readonly id: number;
  readonly logprob?: TokenLogprob;
  /** The token that ended the answer: counted and listed, not part of the text. */
  readonly end?: true;
}

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON text. */
  readonly arguments: string;
}

/** Counts of one answer; the stages that see the tokens add to it while the answer runs. */
export interface Usage {
  readonly promptTokens: number;
  completionTokens: number;
  reasoningTokens: number;
}

/** A count that begins with the prompt. */
export function startUsage(promptTokens: number): Usage {
  return { promptTokens, completionTokens: 0, reasoningTokens: 0 };
}

export type FinishReason = "stop" | "length" | "tool_calls";

export interface TextDelta {
  readonly kind: "text" | "reasoning";
  readonly text: string;
  readonly tokens: readonly AnswerToken[];
}

export type Delta =
  | TextDelta
  | { readonly kind: "tool-call"; readonly call: ToolCall }
  | { readonly kind: "finish"; readonly reason: FinishReason; readonly usage: Usage };

/** A whole answer. */
export interface Answer {
  readonly text: string;
  readonly reasoning: string;
  readonly toolCalls: readonly ToolCall[];
  /** Tokens of the text, in order. */
  readonly tokens: readonly AnswerToken[];
  readonly reason: FinishReason;
  readonly usage: Usage;
}

/** Reads an answer to its end. */
export async function collect(deltas: AsyncIterable<Delta>): Promise<Answer> {
  const text: string[] = [];
  const reasoning: string[] = [];
  const toolCalls: ToolCall[] = [];
  const tokens: AnswerToken[] = [];
  let finish: { reason: FinishReason; usage: Usage } = { reason: "stop", usage: startUsage(0) };
  for await (const delta of deltas) {
    if (delta.kind === "finish") finish = delta;
    else if (delta.kind === "tool-call") toolCalls.push(delta.call);
    else if (delta.kind === "reasoning") reasoning.push(delta.text);
    else {
      text.push(delta.text);
      tokens.push(...delta.tokens);
    }
  }
  return { text: text.join(""), reasoning: reasoning.join(""), toolCalls, tokens, reason: finish.reason, usage: finish.usage };
}

/** Replays a whole answer as deltas. */
export function* replay(answer: Answer): Generator<Delta> {
  if (answer.reasoning) yield { kind: "reasoning", text: answer.reasoning, tokens: [] };
  if (answer.text || answer.tokens.length > 0) yield { kind: "text", text: answer.text, tokens: answer.tokens };
  for (const call of answer.toolCalls) yield { kind: "tool-call", call };
  yield { kind: "finish", reason: answer.reason, usage: answer.usage };
}
