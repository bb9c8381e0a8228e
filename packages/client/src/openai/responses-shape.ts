/**
 * Answers as Responses objects.
 * @module
 */
import type { AnswerToken, FinishReason, ToolCall, Usage } from "../gateway/delta.ts";
import type { TextTokenizer } from "../tokenizer.ts";
import { freshId, nowSeconds } from "./identifiers.ts";
import { chatLogprobs, type ChatLogprob } from "./logprobs.ts";
import type { ResponsesRequest } from "./responses-schema.ts";

/** An item of `output`. */
export type OutputItem =
  | {
      readonly id: string;
      readonly type: "reasoning";
      readonly summary: readonly never[];
      readonly content: readonly { readonly type: "reasoning_text"; readonly text: string }[];
      readonly status: ItemStatus;
    }
  | {
      readonly id: string;
      readonly type: "message";
      readonly role: "assistant";
      readonly status: ItemStatus;
      readonly content: readonly TextPart[];
    }
  | {
      readonly id: string;
      readonly type: "function_call";
      readonly call_id: string;
      readonly name: string;
      readonly arguments: string;
      readonly status: ItemStatus;
    };

export type ItemStatus = "in_progress" | "completed" | "incomplete";

export interface TextPart {
  readonly type: "output_text";
  readonly text: string;
  readonly annotations: readonly never[];
  readonly logprobs: readonly ChatLogprob[];
}

/** What of a request its response repeats, and how log-probabilities are spelled. */
export interface ResponsesShape {
  readonly request: ResponsesRequest;
  readonly model: string;
  readonly tokenizer: TextTokenizer;
  readonly logprobs: boolean;
}

/** The state of a response at one moment. */
export interface ResponseState {
  readonly status: "in_progress" | "completed" | "incomplete" | "failed";
  readonly output: readonly OutputItem[];
  readonly usage?: Usage;
  readonly error?: { readonly code: string; readonly message: string };
}

/** A builder of response objects that share one id and date. */
export function responseBuilder(shape: ResponsesShape): (state: ResponseState) => Record<string, unknown> {
  const { request, model } = shape;
  const id = freshId("resp_");
  const created = nowSeconds();
  return ({ status, output, usage, error }) => ({
    id,
    object: "response",
    created_at: created,
    ...(status === "completed" ? { completed_at: nowSeconds() } : {}),
    status,
    error: error ?? null,
    incomplete_details: status === "incomplete" ? { reason: "max_output_tokens" } : null,
    instructions: request.instructions ?? null,
    max_output_tokens: request.max_output_tokens ?? null,
    model,
    output,
    parallel_tool_calls: request.parallel_tool_calls ?? true,
    previous_response_id: null,
    reasoning: { effort: request.reasoning?.effort ?? null, summary: null },
    store: false,
    temperature: request.temperature ?? null,
    text: { format: request.text?.format ?? { type: "text" } },
    tool_choice: request.tool_choice ?? "auto",
    tools: request.tools ?? [],
    top_p: request.top_p ?? null,
    truncation: "disabled",
    metadata: request.metadata ?? {},
    usage: usage ? responseUsage(usage) : null,
  });
}

/** How a response ends for the reason its answer ended. */
export function finalStatus(reason: FinishReason): "completed" | "incomplete" {
  return reason === "length" ? "incomplete" : "completed";
}

export function reasoningItem(id: string, text: string, status: ItemStatus): OutputItem {
  return {
    id,
    type: "reasoning",
    summary: [],
    content: status === "in_progress" && !text ? [] : [{ type: "reasoning_text", text }],
    status,
  };
}

export function messageItem(id: string, part: TextPart | null, status: ItemStatus): OutputItem {
  return { id, type: "message", role: "assistant", status, content: part ? [part] : [] };
}

export function callItem(id: string, call: ToolCall, status: ItemStatus): OutputItem {
  return {
    id,
    type: "function_call",
    call_id: call.id,
    name: call.name,
    arguments: status === "in_progress" ? "" : call.arguments,
    status,
  };
}

export function textPart(text: string, logprobs: readonly ChatLogprob[]): TextPart {
  return { type: "output_text", text, annotations: [], logprobs };
}

/** The log-probabilities of tokens, when the request wants them. */
export function spellTokens(shape: ResponsesShape, tokens: readonly AnswerToken[]): ChatLogprob[] {
  if (!shape.logprobs) return [];
  return chatLogprobs(
    shape.tokenizer,
    tokens.flatMap((token) => (token.logprob && !token.end ? [token.logprob] : [])),
  );
}

function responseUsage({ promptTokens, completionTokens, reasoningTokens }: Usage): unknown {
  return {
    input_tokens: promptTokens,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: completionTokens,
    output_tokens_details: { reasoning_tokens: reasoningTokens },
    total_tokens: promptTokens + completionTokens,
  };
}
