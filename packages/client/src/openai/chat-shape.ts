/**
 * Answers as chat completions and as chat completion chunks.
 * @module
 */
import type { Answer, AnswerToken, Delta, ToolCall, Usage } from "../gateway/delta.ts";
import type { TextTokenizer } from "../tokenizer.ts";
import { freshId, nowSeconds } from "./identifiers.ts";
import { chatLogprobs, type ChatLogprob } from "./logprobs.ts";
import { sumUsage } from "./usage.ts";

export interface ChatShape {
  readonly model: string;
  readonly tokenizer: TextTokenizer;
  readonly promptIds: readonly number[];
  readonly logprobs: boolean;
  readonly tokenIds: boolean;
  /** A last chunk with the usage, `stream_options.include_usage`. */
  readonly usage: boolean;
}

/** The body of a chat completion. */
export function chatCompletion(answers: readonly Answer[], shape: ChatShape): unknown {
  return {
    id: freshId("chatcmpl-"),
    object: "chat.completion",
    created: nowSeconds(),
    model: shape.model,
    choices: answers.map((answer, index) => ({
      index,
      message: {
        role: "assistant",
        content: answer.toolCalls.length > 0 && !answer.text ? null : answer.text,
        refusal: null,
        ...(answer.reasoning ? { reasoning_content: answer.reasoning } : {}),
        ...(answer.toolCalls.length > 0 ? { tool_calls: answer.toolCalls.map(toolCall) } : {}),
      },
      logprobs: shape.logprobs ? { content: spelled(answer.tokens, shape), refusal: null } : null,
      finish_reason: answer.reason,
      ...(shape.tokenIds ? { token_ids: answer.tokens.map((token) => token.id) } : {}),
    })),
    usage: sumUsage(
      answers.map((answer) => answer.usage),
      shape.promptIds.length,
    ),
    ...(shape.tokenIds ? { prompt_token_ids: shape.promptIds } : {}),
  };
}

/** Chunks of a streamed chat completion; `deltas` come from `n` answers at once, each with its index. */
export async function* chatChunks(
  deltas: AsyncIterable<{ readonly index: number; readonly value: Delta }>,
  shape: ChatShape,
): AsyncGenerator<unknown> {
  const id = freshId("chatcmpl-");
  const created = nowSeconds();
  const began = new Set<number>();
  const calls = new Map<number, number>();
  const usages: Usage[] = [];
  const frame = (choices: readonly unknown[], usage: unknown = null): unknown => ({
    id,
    object: "chat.completion.chunk",
    created,
    model: shape.model,
    choices,
    ...(shape.usage ? { usage } : {}),
  });
  const choice = (index: number, delta: unknown, logprobs: unknown = null, extra: object = {}): unknown =>
    frame([{ index, delta, logprobs, finish_reason: null, ...extra }]);

  for await (const { index, value } of deltas) {
    if (!began.has(index)) {
      began.add(index);
      yield choice(index, { role: "assistant", content: "" });
    }
    if (value.kind === "finish") {
      usages.push(value.usage);
      yield frame([{ index, delta: {}, logprobs: null, finish_reason: value.reason }]);
    } else if (value.kind === "tool-call") {
      const place = calls.get(index) ?? 0;
      calls.set(index, place + 1);
      yield choice(index, { tool_calls: [{ index: place, ...toolCall(value.call) }] });
    } else {
      const logprobs = shape.logprobs && value.kind === "text" ? spelled(value.tokens, shape) : [];
      const ids = shape.tokenIds ? { token_ids: value.tokens.map((token) => token.id) } : {};
      if (!value.text && logprobs.length === 0 && !(shape.tokenIds && value.tokens.length > 0)) continue;
      const delta = value.kind === "text" ? { content: value.text } : { reasoning_content: value.text };
      yield choice(index, delta, logprobs.length > 0 ? { content: logprobs, refusal: null } : null, ids);
    }
  }
  if (shape.usage) yield frame([], sumUsage(usages, shape.promptIds.length));
}

function toolCall({ id, name, arguments: given }: ToolCall): object {
  return { id, type: "function", function: { name, arguments: given } };
}

function spelled(tokens: readonly AnswerToken[], shape: ChatShape): ChatLogprob[] {
  return chatLogprobs(
    shape.tokenizer,
    tokens.flatMap((token) => (token.logprob && !token.end ? [token.logprob] : [])),
  );
}
