/**
 * `POST /v1/responses`, without memory: the whole input comes with each request.
 * @module
 */
import { parseRequest } from "../openai/parse.ts";
import { ResponsesWriter, wholeResponse } from "../openai/responses-events.ts";
import { toChatRequest } from "../openai/responses-input.ts";
import { responsesSchema } from "../openai/responses-schema.ts";
import type { ResponsesShape } from "../openai/responses-shape.ts";
import { planChat } from "./chat-plan.ts";
import type { GatewayContext } from "./exchange.ts";
import { readBody } from "./read-body.ts";

/** Answers an input. */
export async function responsesRoute(context: GatewayContext): Promise<Response> {
  const exchange = context.get("exchange");
  const request = parseRequest(responsesSchema, await readBody(context));
  const model = exchange.choose(request.model);
  await model.blind.ready();
  const chat = toChatRequest(request);
  const plan = planChat(model, chat, exchange.user(request.user));
  exchange.prompt(plan.prompt.ids.length);
  const shape: ResponsesShape = { request, model: model.id, tokenizer: model.tokenizer!, logprobs: chat.logprobs ?? false };
  const deltas = exchange.measure(plan.start(0, exchange.context()));
  if (!request.stream) return context.json(await wholeResponse(deltas, shape));
  const writer = new ResponsesWriter(shape);
  return exchange.stream("/v1/responses", writer.events(deltas), { done: false, onError: (error) => writer.failure(error) });
}
