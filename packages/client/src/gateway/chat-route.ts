/**
 * `POST /v1/chat/completions`.
 * @module
 */
import { chatSchema } from "../openai/chat-schema.ts";
import { chatChunks, chatCompletion, type ChatShape } from "../openai/chat-shape.ts";
import { parseRequest } from "../openai/parse.ts";
import { planChat } from "./chat-plan.ts";
import { collect } from "./delta.ts";
import type { GatewayContext } from "./exchange.ts";
import { asEvents } from "./events.ts";
import { merge } from "./merge.ts";
import { readBody } from "./read-body.ts";

/** Answers a chat. */
export async function chatRoute(context: GatewayContext): Promise<Response> {
  const exchange = context.get("exchange");
  const request = parseRequest(chatSchema, await readBody(context));
  const model = exchange.choose(request.model);
  await model.blind.ready();
  const plan = planChat(model, request, exchange.user(request.user));
  exchange.prompt(plan.prompt.ids.length);
  const shape: ChatShape = {
    model: model.id,
    tokenizer: model.tokenizer!,
    promptIds: plan.prompt.ids,
    logprobs: request.logprobs ?? false,
    tokenIds: request.return_token_ids ?? false,
    usage: request.stream_options?.include_usage ?? false,
  };
  const answers = Array.from({ length: request.n ?? 1 }, (_, index) => exchange.measure(plan.start(index, exchange.context())));
  if (request.stream) return exchange.stream("/v1/chat/completions", asEvents(chatChunks(merge(answers), shape)), { done: true });
  return context.json(chatCompletion(await Promise.all(answers.map(collect)), shape));
}
