/**
 * The body of `POST /v1/completions` in vLLM's token dialect, checked field by field before anything reaches native code.
 * Every limit is named; a message names the field and never repeats what the client sent.
 * @module
 */
import { randomInt } from "node:crypto";
import { UnseenError } from "@unseen/core/errors.ts";
import { z } from "zod";
import type { Sequence } from "./engine/supervisor.ts";
import { parseIds, refuseText, requireBelow } from "./token-ids.ts";

// CWE-770: what one request may ask for.
const MAXIMUM_CHOICES = 16;
const MAXIMUM_PROMPTS = 64;
const MAXIMUM_STOP_IDS = 256;
const MAXIMUM_BIASED_IDS = 4096;
const MAXIMUM_LOGPROBS = 20; // vLLM's --max-logprobs
const MAXIMUM_SALT_LENGTH = 1024;

/** Fields that hold text or need a tokenizer. Refusing them tells a client that leaks by mistake, before it leaks more. */
const TEXT_FIELDS = [
  "stop", "suffix", "bad_words", "grammar", "json_schema", "response_format", "structured_outputs", "regex", "tools", "messages",
  "chat_template_kwargs", "guided_json", "guided_regex", "guided_choice", "guided_grammar",
] as const; // prettier-ignore

/** vLLM fields that would change the answer and that this engine cannot honour. */
const UNSUPPORTED_FIELDS = [
  "prompt_logprobs",
  "allowed_token_ids",
  "logprob_token_ids",
  "prompt_embeds",
  "truncate_prompt_tokens",
  "use_beam_search",
] as const;

const absent = <Schema extends z.ZodType>(schema: Schema) => schema.nullish().transform((value) => value ?? undefined);
const flag = z.boolean().nullish().transform((value) => value ?? false); // prettier-ignore

const schema = z.object({
  model: absent(z.string().max(512)),
  prompt: z.unknown(),
  max_tokens: absent(z.int().min(1).max(1 << 24)),
  n: absent(z.int().min(1).max(MAXIMUM_CHOICES)),
  best_of: absent(z.int().min(1)),
  temperature: absent(z.number().min(0).max(2)),
  top_p: absent(z.number().gt(0).max(1)),
  top_k: absent(z.int().min(-1).max(1 << 24)),
  min_p: absent(z.number().min(0).max(1)),
  seed: absent(z.int()),
  presence_penalty: absent(z.number().min(-2).max(2)),
  frequency_penalty: absent(z.number().min(-2).max(2)),
  repetition_penalty: absent(z.number().gt(0).max(2)),
  stop_token_ids: absent(z.array(z.int().min(0)).max(MAXIMUM_STOP_IDS)),
  ignore_eos: flag,
  min_tokens: absent(z.int().min(0).max(1 << 24)),
  logprobs: absent(z.int().min(0).max(MAXIMUM_LOGPROBS)),
  logit_bias: absent(z.record(z.string().regex(/^\d{1,10}$/), z.number().min(-100).max(100))),
  stream: flag,
  stream_options: absent(z.object({ include_usage: flag, continuous_usage_stats: flag })),
  return_token_ids: absent(z.boolean()),
  return_tokens_as_token_ids: absent(z.boolean()),
  cache_salt: absent(z.string().min(1).max(MAXIMUM_SALT_LENGTH)),
  echo: flag,
}); // prettier-ignore

/** What a request must fit into. */
export interface RequestLimits {
  readonly vocabularySize: number;
  readonly contextLength: number;
  /** End-of-sequence ids of the served model. */
  readonly eosIds: readonly number[];
  /** Choices of one request; the queue could never hold more. */
  readonly maximumSequences: number;
}

/** A request that is safe to run. */
export interface CompletionRequest {
  readonly model: string | undefined;
  /** Choices of each prompt. */
  readonly choices: number;
  /** One per choice, prompt by prompt. */
  readonly sequences: readonly Sequence[];
  readonly promptTokens: number;
  readonly stream: boolean;
  readonly includeUsage: boolean;
  readonly returnTokenIds: boolean;
}

/** @throws UnseenError `REQUEST_INVALID`, `REQUEST_UNSUPPORTED`, `REQUEST_TOO_LARGE`, `TOKEN_OUT_OF_RANGE` */
export function parseCompletionRequest(body: unknown, limits: RequestLimits): CompletionRequest {
  if (typeof body !== "object" || body === null || Array.isArray(body))
    throw new UnseenError("REQUEST_INVALID", "the body is not a JSON object.");
  refuseForeignFields(body as Record<string, unknown>);
  const parsed = schema.safeParse(body);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    // A path below the field itself could be a token id (logit_bias), so only the field is named.
    throw new UnseenError("REQUEST_INVALID", `${String(issue.path[0] ?? "body")}: ${issue.message}.`);
  }
  const fields = parsed.data;
  if (fields.echo)
    throw new UnseenError("REQUEST_UNSUPPORTED", "echo: this server never repeats a prompt.", { hint: "Keep the prompt at the client." });
  const choices = fields.n ?? 1;
  if ((fields.best_of ?? choices) !== choices) throw new UnseenError("REQUEST_UNSUPPORTED", "best_of must equal n.");
  const temperature = fields.temperature ?? 1;
  if (choices > 1 && temperature === 0)
    throw new UnseenError("REQUEST_INVALID", "n must be 1 at temperature 0: all choices would be equal.");

  const prompts = parsePrompts(fields.prompt, limits);
  if (prompts.length * choices > limits.maximumSequences) {
    throw new UnseenError(
      "REQUEST_TOO_LARGE",
      `prompt x n: expected at most ${limits.maximumSequences} sequences, got ${prompts.length * choices}.`,
    );
  }
  const maximumTokens = fields.max_tokens ?? 16;
  const longest = prompts.reduce((length, prompt) => Math.max(length, prompt.length), 0);
  if (longest + maximumTokens > limits.contextLength) {
    throw new UnseenError(
      "REQUEST_TOO_LARGE",
      `prompt and max_tokens: the context holds ${limits.contextLength} tokens, asked for ${longest} + ${maximumTokens}.`,
      { hint: "Shorten the prompt or lower max_tokens." },
    );
  }
  const minimumTokens = fields.min_tokens ?? 0;
  if (minimumTokens > maximumTokens) throw new UnseenError("REQUEST_INVALID", "min_tokens must not exceed max_tokens.");

  const stopIds = Uint32Array.from(new Set([...(fields.stop_token_ids ?? []), ...(fields.ignore_eos ? [] : limits.eosIds)]));
  requireBelow(stopIds, "stop_token_ids", limits.vocabularySize);
  const bias = Object.entries(fields.logit_bias ?? {});
  if (bias.length > MAXIMUM_BIASED_IDS)
    throw new UnseenError("REQUEST_TOO_LARGE", `logit_bias: expected at most ${MAXIMUM_BIASED_IDS} ids, got ${bias.length}.`);
  const biasIds = bias.map(([id]) => Number(id));
  requireBelow(biasIds, "logit_bias", limits.vocabularySize);

  const sampling = {
    temperature,
    topP: fields.top_p ?? 1,
    topK: Math.max(0, fields.top_k ?? 0),
    minP: fields.min_p ?? 0,
    presencePenalty: fields.presence_penalty ?? 0,
    frequencyPenalty: fields.frequency_penalty ?? 0,
    repetitionPenalty: fields.repetition_penalty ?? 1,
    biasIds: Uint32Array.from(biasIds),
    biasValues: Float32Array.from(bias, ([, value]) => value),
  };
  const common = { maximumTokens, minimumTokens, stopIds, salt: fields.cache_salt ?? "", logprobs: fields.logprobs ?? null };
  const seedOf = (choice: number): number => (fields.seed === undefined ? randomInt(2 ** 32) : (fields.seed + choice) >>> 0);
  const sequences = prompts.flatMap((prompt) =>
    Array.from({ length: choices }, (_, choice): Sequence => ({ ...common, prompt, sampling: { ...sampling, seed: seedOf(choice) } })),
  );
  return {
    model: fields.model,
    choices,
    sequences,
    promptTokens: prompts.reduce((total, prompt) => total + prompt.length, 0),
    stream: fields.stream,
    includeUsage: fields.stream_options?.include_usage ?? false,
    returnTokenIds: fields.return_token_ids ?? true,
  };
}

function refuseForeignFields(body: Record<string, unknown>): void {
  const isSet = (value: unknown): boolean =>
    value !== undefined && value !== null && value !== false && value !== "" && !(Array.isArray(value) && value.length === 0);
  for (const field of TEXT_FIELDS) {
    if (isSet(body[field])) {
      throw new UnseenError("REQUEST_UNSUPPORTED", `${field}: this server has no tokenizer and must not receive text.`, {
        hint: "Send requests through `unseen gateway`, which does this on your side.",
      });
    }
  }
  for (const field of UNSUPPORTED_FIELDS) {
    if (isSet(body[field])) throw new UnseenError("REQUEST_UNSUPPORTED", `${field} is not supported.`, { hint: "Leave it out." });
  }
}

/** `int[]` is one prompt, `int[][]` several. */
function parsePrompts(prompt: unknown, limits: RequestLimits): Uint32Array[] {
  refuseText(prompt, "prompt");
  if (!Array.isArray(prompt) || prompt.length === 0)
    throw new UnseenError("REQUEST_INVALID", "prompt: expected a non-empty array of token ids.");
  if (!Array.isArray(prompt[0])) return [parsePrompt(prompt, limits)];
  if (prompt.length > MAXIMUM_PROMPTS)
    throw new UnseenError("REQUEST_TOO_LARGE", `prompt: expected at most ${MAXIMUM_PROMPTS} prompts, got ${prompt.length}.`);
  return prompt.map((ids: unknown) => {
    if (!Array.isArray(ids) || ids.length === 0)
      throw new UnseenError("REQUEST_INVALID", "prompt: expected non-empty arrays of token ids.");
    return parsePrompt(ids, limits);
  });
}

function parsePrompt(ids: readonly unknown[], limits: RequestLimits): Uint32Array {
  // Before allocation: a longer prompt could not run anyway.
  if (ids.length >= limits.contextLength) {
    throw new UnseenError("REQUEST_TOO_LARGE", `prompt: the context holds ${limits.contextLength} tokens, got ${ids.length}.`, {
      hint: "Shorten the prompt.",
    });
  }
  return parseIds(ids, "prompt", limits.vocabularySize);
}
