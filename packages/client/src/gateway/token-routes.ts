/**
 * `POST /tokenize`, `/detokenize`, `/apply-template`, in the shapes of vLLM and of llama.cpp. They ask no host.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { z } from "zod";
import { chatSchema } from "../openai/chat-schema.ts";
import { RequestError } from "../openai/errors.ts";
import { parseRequest } from "../openai/parse.ts";
import type { TextTokenizer } from "../tokenizer.ts";
import type { GatewayContext } from "./exchange.ts";
import { toTemplateMessages } from "./messages.ts";
import type { OfferedModel } from "./model.ts";
import { readBody } from "./read-body.ts";

const templateFields = {
  messages: chatSchema.shape.messages,
  tools: chatSchema.shape.tools,
  chat_template_kwargs: chatSchema.shape.chat_template_kwargs,
  add_generation_prompt: z.boolean().nullish(),
};

const tokenizeSchema = z.object({
  model: z.string().nullish(),
  /** vLLM's name of the text. */
  prompt: z.string().nullish(),
  /** llama.cpp's. */
  content: z.string().nullish(),
  add_special_tokens: z.boolean().nullish(),
  add_special: z.boolean().nullish(),
  return_token_strs: z.boolean().nullish(),
  with_pieces: z.boolean().nullish(),
  ...templateFields,
  messages: templateFields.messages.nullish(),
});

const detokenizeSchema = z.object({ model: z.string().nullish(), tokens: z.array(z.int().nonnegative()).max(1_000_000) });

const templateSchema = z.object({ model: z.string().nullish(), ...templateFields });

/** Text or messages to plain ids. */
export async function tokenizeRoute(context: GatewayContext): Promise<Response> {
  const request = parseRequest(tokenizeSchema, await readBody(context));
  const { model, tokenizer } = choose(context, request.model);
  const isLlama = typeof request.content === "string";
  const text = request.prompt ?? request.content;
  // vLLM adds the beginning-of-text token unless told otherwise, llama.cpp only when told so.
  const specialTokens = request.add_special_tokens ?? request.add_special ?? !isLlama;
  const { messages } = request;
  if (!messages && typeof text !== "string") throw new RequestError("REQUEST_INVALID", "prompt", "prompt: expected a text, or messages.");
  const ids = messages ? render(tokenizer, { ...request, messages }).ids : tokenizer.encode(text!, { specialTokens });
  if (request.with_pieces) return context.json({ tokens: ids.map((id) => ({ id, piece: piece(tokenizer, id) })) });
  const strings = request.return_token_strs ? { token_strs: ids.map((id) => tokenizer.decode([id], { skipSpecialTokens: false })) } : {};
  return context.json({ count: ids.length, max_model_len: model.contextLength, tokens: ids, ...strings });
}

/** Plain ids to text. */
export async function detokenizeRoute(context: GatewayContext): Promise<Response> {
  const request = parseRequest(detokenizeSchema, await readBody(context));
  const { model, tokenizer } = choose(context, request.model);
  const size = model.bundle.vocabularySize;
  if (request.tokens.some((id) => id >= size))
    throw new RequestError("TOKEN_OUT_OF_RANGE", "tokens", `tokens: expected token ids below ${size}, got a larger one.`);
  const text = tokenizer.decode(request.tokens, { skipSpecialTokens: false });
  return context.json({ prompt: text, content: text });
}

/** Messages to the text that the model reads. */
export async function applyTemplateRoute(context: GatewayContext): Promise<Response> {
  const request = parseRequest(templateSchema, await readBody(context));
  return context.json({ prompt: render(choose(context, request.model).tokenizer, request).text });
}

function choose(context: GatewayContext, name: string | null | undefined): { model: OfferedModel; tokenizer: TextTokenizer } {
  const model = context.get("exchange").find(name);
  if (model.tokenizer) return { model, tokenizer: model.tokenizer };
  throw new UnseenError("TOKENIZER_MISSING", `model ${model.id} has no tokenizer.`, { hint: "Add a tokenizer to the model's bundle." });
}

function render(tokenizer: TextTokenizer, request: z.output<typeof templateSchema>): { text: string; ids: number[] } {
  return tokenizer.applyChatTemplate({
    messages: toTemplateMessages(request.messages),
    ...(request.tools?.length ? { tools: request.tools } : {}),
    variables: request.chat_template_kwargs ?? {},
    addGenerationPrompt: request.add_generation_prompt ?? true,
  });
}

/** llama.cpp writes a piece as text, or as bytes where it is only part of a character. */
function piece(tokenizer: TextTokenizer, id: number): string | number[] {
  if (tokenizer.isSpecial(id)) return tokenizer.decode([id], { skipSpecialTokens: false });
  const bytes = tokenizer.tokenBytes(id);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return [...bytes];
  }
}
