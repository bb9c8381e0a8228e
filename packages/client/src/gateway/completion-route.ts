/**
 * `POST /v1/completions`: text or plain token ids in, a continuation out.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { completionSchema, listPrompts, type CompletionRequest } from "../openai/completion-schema.ts";
import { completion, completionChunks, type CompletionShape } from "../openai/completion-shape.ts";
import { RequestError } from "../openai/errors.ts";
import { parseRequest } from "../openai/parse.ts";
import { stopStrings } from "../openai/sampling-schema.ts";
import { answer } from "./answer.ts";
import { collect } from "./delta.ts";
import { asEvents } from "./events.ts";
import type { GatewayContext } from "./exchange.ts";
import type { Prompt } from "./instruct.ts";
import { merge } from "./merge.ts";
import type { ServedModel } from "./model.ts";
import { readBody } from "./read-body.ts";
import { fitContext, readSampling, stepSeed } from "./sampling.ts";

/** OpenAI's default for this endpoint. */
const DEFAULT_TOKENS = 16;
/** Generations of one request: prompts times `n` (CWE-770). */
const MAXIMUM_GENERATIONS = 128;

/** Continues one or more prompts. */
export async function completionRoute(context: GatewayContext): Promise<Response> {
  const exchange = context.get("exchange");
  const request = parseRequest(completionSchema, await readBody(context));
  const model = exchange.choose(request.model);
  await model.blind.ready();
  if (request.suffix)
    throw new RequestError("REQUEST_UNSUPPORTED", "suffix", "suffix is not supported.", {
      hint: "Put the model's own fill-in-the-middle form into prompt.",
    });
  const prompts = listPrompts(request.prompt).map((prompt) => readPrompt(model, prompt, request));
  const repeated = prompts.flatMap((prompt) => Array.from({ length: request.n ?? 1 }, (_, copy) => ({ prompt, copy })));
  if (repeated.length > MAXIMUM_GENERATIONS)
    throw new RequestError("REQUEST_INVALID", "n", `n: expected at most ${MAXIMUM_GENERATIONS} answers in all, got ${repeated.length}.`);
  const lengths = prompts.map((prompt) => fitContext(model, prompt.ids.length, request.max_tokens ?? DEFAULT_TOKENS, "prompt"));
  const promptTokens = prompts.reduce((sum, prompt) => sum + prompt.ids.length, 0);
  exchange.prompt(promptTokens);
  const sampling = readSampling(model, request, exchange.user(request.user), request.logprobs ?? undefined);
  const stops = stopStrings(request.stop);
  const answers = repeated.map(({ prompt, copy }) => {
    const settings = { prompt, maximumTokens: lengths[prompts.indexOf(prompt)]!, sampling: stepSeed(sampling, copy), stops, chat: null };
    return exchange.measure(answer(model, settings, exchange.context()));
  });
  const shape: CompletionShape = {
    model: model.id,
    tokenizer: model.tokenizer,
    prompts: repeated.map(({ prompt }) => prompt),
    promptTokens,
    echo: request.echo ?? false,
    logprobs: typeof request.logprobs === "number",
    tokenIds: request.return_token_ids ?? false,
    usage: request.stream_options?.include_usage ?? false,
  };
  if (request.stream) return exchange.stream("/v1/completions", asEvents(completionChunks(merge(answers), shape)), { done: true });
  return context.json(completion(await Promise.all(answers.map(collect)), shape));
}

function readPrompt(model: ServedModel, prompt: string | number[], request: CompletionRequest): Prompt {
  const { tokenizer, bundle } = model;
  if (typeof prompt !== "string") {
    if (prompt.some((id) => id >= bundle.vocabularySize)) {
      throw new RequestError(
        "TOKEN_OUT_OF_RANGE",
        "prompt",
        `prompt: expected token ids below ${bundle.vocabularySize}, got a larger one.`,
      );
    }
    return { ids: prompt, text: request.echo && tokenizer ? tokenizer.decode(prompt, { skipSpecialTokens: false }) : "" };
  }
  if (!tokenizer)
    throw new UnseenError("TOKENIZER_MISSING", `model ${model.id} has no tokenizer.`, {
      hint: "Send prompt as token ids, or add a tokenizer to the model's bundle.",
    });
  const ids = tokenizer.encode(prompt, { specialTokens: request.add_special_tokens ?? true });
  // An empty text has no tokens, and no engine continues nothing.
  if (ids.length === 0 && bundle.bosId !== null) ids.push(bundle.bosId);
  if (ids.length === 0) throw new RequestError("REQUEST_INVALID", "prompt", "prompt: expected at least one token.");
  return { ids, text: prompt };
}
