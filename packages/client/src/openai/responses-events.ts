/**
 * Answers as the typed events of a streamed response, and, read to the end, as the response itself.
 * @module
 */
import type { AnswerToken, Delta } from "../gateway/delta.ts";
import { describeError } from "./errors.ts";
import type { ServerEvent } from "./event-response.ts";
import { freshId } from "./identifiers.ts";
import type { ChatLogprob } from "./logprobs.ts";
import {
  callItem,
  finalStatus,
  messageItem,
  reasoningItem,
  responseBuilder,
  spellTokens,
  textPart,
  type ItemStatus,
  type OutputItem,
  type ResponsesShape,
  type ResponseState,
} from "./responses-shape.ts";

interface OpenItem {
  readonly kind: "text" | "reasoning";
  readonly id: string;
  text: string;
  readonly logprobs: ChatLogprob[];
}

/** Writes one response, event by event. */
export class ResponsesWriter {
  readonly #shape: ResponsesShape;
  readonly #build: (state: ResponseState) => Record<string, unknown>;
  readonly #output: OutputItem[] = [];
  #open: OpenItem | null = null;
  #sequence = 0;

  constructor(shape: ResponsesShape) {
    this.#shape = shape;
    this.#build = responseBuilder(shape);
  }

  /** Every event from `response.created` to `response.completed` or `response.incomplete`. */
  async *events(deltas: AsyncIterable<Delta>): AsyncGenerator<ServerEvent> {
    let began = false;
    for await (const delta of deltas) {
      if (!began) {
        began = true;
        const response = this.#build({ status: "in_progress", output: [] });
        yield this.#event("response.created", { response });
        yield this.#event("response.in_progress", { response });
      }
      if (delta.kind === "tool-call") {
        yield* this.#close("completed");
        yield* this.#call(delta.call);
      } else if (delta.kind === "finish") {
        const status = finalStatus(delta.reason);
        yield* this.#close(status);
        yield this.#event(`response.${status}`, { response: this.#build({ status, output: this.#output, usage: delta.usage }) });
      } else yield* this.#extend(delta.kind, delta.text, delta.tokens);
    }
  }

  /** What the client reads when the answer breaks off. */
  failure(error: unknown): ServerEvent {
    const { code, message, param } = describeError(error).body.error;
    return this.#event("error", { code, message, param });
  }

  *#extend(kind: "text" | "reasoning", text: string, tokens: readonly AnswerToken[]): Generator<ServerEvent> {
    const logprobs = kind === "text" ? spellTokens(this.#shape, tokens) : [];
    if (!text && logprobs.length === 0) return;
    if (this.#open?.kind !== kind) {
      yield* this.#close("completed");
      this.#open = { kind, id: freshId(kind === "text" ? "msg_" : "rs_"), text: "", logprobs: [] };
      const item = kind === "text" ? messageItem(this.#open.id, null, "in_progress") : reasoningItem(this.#open.id, "", "in_progress");
      yield this.#event("response.output_item.added", { output_index: this.#output.length, item });
      yield this.#event("response.content_part.added", {
        ...this.#place(),
        part: kind === "text" ? textPart("", []) : { type: "reasoning_text", text: "" },
      });
    }
    this.#open!.text += text;
    this.#open!.logprobs.push(...logprobs);
    yield kind === "text"
      ? this.#event("response.output_text.delta", { ...this.#place(), delta: text, logprobs })
      : this.#event("response.reasoning_text.delta", { ...this.#place(), delta: text });
  }

  *#close(status: ItemStatus): Generator<ServerEvent> {
    const open = this.#open;
    if (!open) return;
    const place = this.#place();
    const isText = open.kind === "text";
    const part = isText ? textPart(open.text, open.logprobs) : { type: "reasoning_text", text: open.text };
    yield isText
      ? this.#event("response.output_text.done", { ...place, text: open.text, logprobs: open.logprobs })
      : this.#event("response.reasoning_text.done", { ...place, text: open.text });
    yield this.#event("response.content_part.done", { ...place, part });
    const item = isText ? messageItem(open.id, textPart(open.text, open.logprobs), status) : reasoningItem(open.id, open.text, status);
    yield this.#event("response.output_item.done", { output_index: this.#output.length, item });
    this.#output.push(item);
    this.#open = null;
  }

  *#call(call: Extract<Delta, { kind: "tool-call" }>["call"]): Generator<ServerEvent> {
    const id = freshId("fc_");
    const place = { item_id: id, output_index: this.#output.length };
    yield this.#event("response.output_item.added", { output_index: place.output_index, item: callItem(id, call, "in_progress") });
    yield this.#event("response.function_call_arguments.delta", { ...place, delta: call.arguments });
    yield this.#event("response.function_call_arguments.done", { ...place, name: call.name, arguments: call.arguments });
    const item = callItem(id, call, "completed");
    yield this.#event("response.output_item.done", { output_index: place.output_index, item });
    this.#output.push(item);
  }

  #place(): { item_id: string; output_index: number; content_index: number } {
    return { item_id: this.#open!.id, output_index: this.#output.length, content_index: 0 };
  }

  #event(type: string, fields: Record<string, unknown>): ServerEvent {
    const sequence = this.#sequence;
    this.#sequence += 1;
    return { event: type, data: { type, sequence_number: sequence, ...fields } };
  }
}

/** The finished response, without streaming. */
export async function wholeResponse(deltas: AsyncIterable<Delta>, shape: ResponsesShape): Promise<unknown> {
  let last: unknown = null;
  for await (const event of new ResponsesWriter(shape).events(deltas)) last = event.data;
  return (last as { response: unknown }).response;
}
