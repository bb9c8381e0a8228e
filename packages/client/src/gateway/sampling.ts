/**
 * Sampling settings: the request's, else the model maker's, else OpenAI's defaults.
 * @module
 */
import type { GenerateRequest } from "../engines/engine.ts";
import { RequestError } from "../openai/errors.ts";
import type { SamplingRequest } from "../openai/sampling-schema.ts";
import type { ServedModel } from "./model.ts";

/** Everything of a generation but its prompt and length. */
export type Sampling = Omit<GenerateRequest, "model" | "prompt" | "maximumTokens">;

/** Engines take top_p in (0, 1]; OpenAI's 0 means "the likeliest token only". */
const SMALLEST_TOP_P = 1e-6;

/**
 * @param user - Whoever shares a prefix cache: the API key's holder or the request's `user`.
 * @throws RequestError TOKEN_OUT_OF_RANGE for a bias on an id outside the vocabulary.
 */
export function readSampling(model: ServedModel, request: SamplingRequest, user: string, logprobs: number | undefined): Sampling {
  const { generation, eosIds, vocabularySize } = model.bundle;
  const bias = Object.entries(request.logit_bias ?? {}).map(([id, value]) => [Number(id), value] as const);
  if (bias.some(([id]) => id >= vocabularySize)) {
    throw new RequestError("TOKEN_OUT_OF_RANGE", "logit_bias", `logit_bias: expected token ids below ${vocabularySize}, got a larger one.`);
  }
  const topK = request.top_k ?? generation.topK;
  const minP = request.min_p ?? generation.minP;
  const repetitionPenalty = request.repetition_penalty ?? generation.repetitionPenalty;
  return {
    temperature: request.temperature ?? generation.temperature ?? 1,
    topP: Math.max(SMALLEST_TOP_P, request.top_p ?? generation.topP ?? 1),
    ...(topK === undefined || topK <= 0 ? {} : { topK }),
    ...(minP === undefined ? {} : { minP }),
    ...(repetitionPenalty === undefined ? {} : { repetitionPenalty }),
    // Engines take 32 bits; the sign and what lies above tell no two requests apart that matter.
    ...(request.seed === undefined || request.seed === null ? {} : { seed: Math.abs(request.seed) % 2 ** 32 }),
    presencePenalty: request.presence_penalty ?? 0,
    frequencyPenalty: request.frequency_penalty ?? 0,
    stopTokenIds: request.ignore_eos ? [] : eosIds,
    ...(request.ignore_eos ? { ignoreEnd: true } : {}),
    ...(bias.length ? { logitBias: new Map(bias) } : {}),
    ...(logprobs === undefined ? {} : { logprobs }),
    cacheSalt: model.blind.cacheSalt(user),
  };
}

/**
 * How many tokens the answer may have: what was asked for, as far as the context goes.
 * @throws RequestError REQUEST_TOO_LARGE when the prompt leaves no room at all.
 */
export function fitContext(model: ServedModel, promptTokens: number, requested: number | null | undefined, param: string): number {
  const room = model.contextLength - promptTokens;
  if (room < 1) {
    throw new RequestError(
      "REQUEST_TOO_LARGE",
      param,
      `${param}: expected fewer than ${model.contextLength} tokens (the context of ${model.id}), got ${promptTokens}.`,
      {
        hint: "Shorten the prompt or leave out older messages.",
      },
    );
  }
  return Math.min(room, requested ?? room);
}

/** The sampling of answer number `step` to one prompt: with a seed, each answer gets its own, within what engines accept. */
export function stepSeed(sampling: Sampling, step: number): Sampling {
  return sampling.seed === undefined ? sampling : { ...sampling, seed: (sampling.seed + step) % 2 ** 32 };
}
