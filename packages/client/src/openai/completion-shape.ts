/**
 * Answers as legacy completions and their chunks.
 * @module
 */
import type { Answer, AnswerToken, Delta, Usage } from "../gateway/delta.ts";
import type { TextTokenizer } from "../tokenizer.ts";
import { freshId, nowSeconds } from "./identifiers.ts";
import { completionLogprobs } from "./logprobs.ts";
import { sumUsage } from "./usage.ts";

export interface CompletionShape {
  readonly model: string;
  readonly tokenizer: TextTokenizer | null;
  /** One per choice: prompts times `n`. */
  readonly prompts: readonly { readonly text: string; readonly ids: readonly number[] }[];
  /** Tokens of all prompts, each counted once. */
  readonly promptTokens: number;
  readonly echo: boolean;
  readonly logprobs: boolean;
  readonly tokenIds: boolean;
  readonly usage: boolean;
}

/** The body of a completion. */
export function completion(answers: readonly Answer[], shape: CompletionShape): unknown {
  return {
    id: freshId("cmpl-"),
    object: "text_completion",
    created: nowSeconds(),
    model: shape.model,
    choices: answers.map((answer, index) => {
      const prompt = shape.prompts[index]!;
      const before = shape.echo ? prompt.text : "";
      return {
        index,
        text: before + answer.text,
        logprobs: shape.logprobs ? spelled(answer.tokens, shape, before.length) : null,
        finish_reason: answer.reason,
        ...(shape.tokenIds ? { token_ids: answer.tokens.map((token) => token.id), prompt_token_ids: prompt.ids } : {}),
      };
    }),
    usage: sumUsage(
      answers.map((answer) => answer.usage),
      shape.promptTokens,
    ),
  };
}

/** Chunks of a streamed completion. */
export async function* completionChunks(
  deltas: AsyncIterable<{ readonly index: number; readonly value: Delta }>,
  shape: CompletionShape,
): AsyncGenerator<unknown> {
  const id = freshId("cmpl-");
  const created = nowSeconds();
  /** Characters sent so far, per choice. */
  const sent = new Map<number, number>();
  const usages: Usage[] = [];
  const frame = (choices: readonly unknown[], usage: unknown = null): unknown => ({
    id,
    object: "text_completion",
    created,
    model: shape.model,
    choices,
    ...(shape.usage ? { usage } : {}),
  });
  for await (const { index, value } of deltas) {
    const prompt = shape.prompts[index]!;
    const first = !sent.has(index);
    const before = first && shape.echo ? prompt.text : "";
    const offset = (sent.get(index) ?? 0) + before.length;
    const promptIds = first && shape.tokenIds ? { prompt_token_ids: prompt.ids } : {};
    if (value.kind === "finish") {
      usages.push(value.usage);
      yield frame([{ index, text: before, logprobs: null, finish_reason: value.reason, ...promptIds }]);
    } else if (value.kind === "text") {
      sent.set(index, offset + value.text.length);
      const listed = value.tokens.length > 0 && (shape.tokenIds || shape.logprobs);
      if (!value.text && !before && !listed) continue;
      const logprobs = shape.logprobs ? spelled(value.tokens, shape, offset) : null;
      const ids = shape.tokenIds ? { token_ids: value.tokens.map((token) => token.id), ...promptIds } : {};
      yield frame([{ index, text: before + value.text, logprobs, finish_reason: null, ...ids }]);
    }
  }
  if (shape.usage) yield frame([], sumUsage(usages, shape.promptTokens));
}

function spelled(tokens: readonly AnswerToken[], shape: CompletionShape, offset: number): ReturnType<typeof completionLogprobs> {
  return completionLogprobs(
    shape.tokenizer,
    tokens.flatMap((token) => (token.logprob && !token.end ? [token.logprob] : [])),
    offset,
  );
}
