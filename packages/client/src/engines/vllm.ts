/**
 * Speaks vLLM's token dialect: `/v1/completions` with ids instead of text. `unseen serve` speaks it too.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { z } from "zod";
import type { HostAttestation } from "./attested-connection.ts";
import type { Alternative, ByteTap, Engine, GenerateRequest, GeneratedChunk, HostFacts, TokenLogprob } from "./engine.ts";
import { readEvents } from "./event-stream.ts";
import { HostConnection, type HostResponse } from "./host-connection.ts";
import { connectionError, failure, refusal } from "./host-error.ts";
import { DEFAULT_SILENCE, hostRoot, listHostModels, protocolViolation, type HostAddress } from "./model-list.ts";
import { Watchdog } from "./watchdog.ts";

/** Events in a row that bring no token (CWE-835); engines send a few at the start and at the end. */
const MAXIMUM_IDLE_EVENTS = 1_000;
/** What OpenAI writes for "practically impossible"; stands for the null that JSON makes of minus infinity. */
const LEAST_LOGPROB = -9999;

const identifier = z.int().nonnegative();

const logprobLists = z.object({
  tokens: z.array(z.string()),
  token_logprobs: z.array(z.number().nullable()),
  top_logprobs: z.array(z.record(z.string(), z.number()).nullable()).nullish(),
});

const chunk = z.object({
  error: z.unknown().optional(),
  choices: z
    .array(
      z.object({
        text: z.string().nullish(),
        token_ids: z.array(identifier).nullish(),
        finish_reason: z.string().nullish(),
        logprobs: logprobLists.nullish(),
      }),
    )
    .nullish(),
});

/** A host that speaks vLLM's dialect (vLLM >= 0.10.2, `unseen serve`). */
export class VllmEngine implements Engine {
  readonly url: string;
  readonly attestation: HostAttestation | undefined;
  readonly #connection: HostConnection;
  readonly #silence: number;

  constructor(options: HostAddress) {
    this.url = hostRoot(options.url);
    this.attestation = options.attestation;
    this.#connection = new HostConnection(this.url, options.apiKey, options.attestation);
    this.#silence = options.silence ?? DEFAULT_SILENCE;
  }

  probe(signal?: AbortSignal): Promise<HostFacts> {
    return listHostModels(this.url, this.#connection, this.#silence, signal);
  }

  async *generate(request: GenerateRequest, signal: AbortSignal, tap?: ByteTap): AsyncGenerator<GeneratedChunk> {
    const watchdog = new Watchdog(this.#silence, `the host at ${this.url}`, signal);
    let response: HostResponse | undefined;
    let finished = false;
    try {
      response = await this.#connection.post(
        "/v1/completions",
        JSON.stringify(completionBody(request)),
        watchdog.signal,
        tap && ((direction, bytes) => tap({ host: this.url, direction, bytes })),
      );
      if (!response.ok) throw await refusal(this.url, response);
      let idleEvents = 0;
      for await (const data of readEvents(response.body, () => watchdog.touch())) {
        if (data === "[DONE]") break;
        const piece = this.#readChunk(data, request.logprobs);
        idleEvents = piece?.ids.length ? 0 : idleEvents + 1;
        if (idleEvents > MAXIMUM_IDLE_EVENTS) throw this.#violation("it sends events without tokens");
        finished = piece?.finishReason !== undefined;
        if (piece) yield piece;
        if (finished) return;
      }
      throw new UnseenError("HOST_PROTOCOL", `the host at ${this.url} ended in mid-answer.`, {
        hint: "See the host's log; it may be restarting.",
      });
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw connectionError(this.url, watchdog.signal.aborted ? watchdog.signal.reason : error);
    } finally {
      watchdog.stop();
      // Also reached when the consumer leaves the loop: the host must stop computing at once.
      if (finished) response?.finish();
      else response?.hangUp();
    }
  }

  #readChunk(data: string, logprobs: number | undefined): GeneratedChunk | null {
    let value: unknown;
    try {
      value = JSON.parse(data);
    } catch {
      throw this.#violation("an event is not JSON");
    }
    const parsed = chunk.safeParse(value);
    if (!parsed.success) throw this.#violation("an event has another form");
    if (parsed.data.error) throw failure(this.url, parsed.data);
    const choice = parsed.data.choices?.[0];
    if (!choice) return null;
    if (!choice.token_ids && choice.text) {
      throw this.#violation("it sends text instead of token ids", "vLLM returns ids from version 0.10.2 on (return_token_ids).");
    }
    const ids = choice.token_ids ?? [];
    const finishReason = choice.finish_reason ?? undefined;
    if (finishReason !== undefined && finishReason !== "stop" && finishReason !== "length") {
      throw this.#violation("it ended an answer for an unknown reason");
    }
    const lines = logprobs === undefined || ids.length === 0 ? undefined : this.#readLogprobs(ids, choice.logprobs, logprobs);
    return { ids, ...(lines ? { logprobs: lines } : {}), ...(finishReason ? { finishReason } : {}) };
  }

  #readLogprobs(ids: readonly number[], given: z.output<typeof logprobLists> | null | undefined, count: number): TokenLogprob[] {
    if (!given || given.token_logprobs.length < ids.length) throw this.#violation("log-probabilities are missing");
    return ids.map((id, index) => {
      const top: Alternative[] = [];
      for (const [name, logprob] of Object.entries(given.top_logprobs?.[index] ?? {})) {
        const match = /^token_id:(\d{1,15})$/.exec(name);
        if (!match) throw this.#violation("it names tokens by text", "It must support return_tokens_as_token_ids.");
        top.push({ id: Number(match[1]), logprob });
      }
      top.sort((one, other) => other.logprob - one.logprob);
      return { id, logprob: given.token_logprobs[index] ?? LEAST_LOGPROB, top: top.slice(0, count) };
    });
  }

  #violation(what: string, hint?: string): UnseenError {
    return protocolViolation(this.url, what, hint);
  }
}

/**
 * Everything that a host ever receives: numbers, and two strings that say nothing (its own name of the model and the random salt).
 * Each neutral value is sent too, because engines fill gaps from the model's `generation_config.json`.
 */
export function completionBody(request: GenerateRequest): Record<string, unknown> {
  return {
    ...(request.model === undefined ? {} : { model: request.model }),
    prompt: request.prompt,
    max_tokens: request.maximumTokens,
    temperature: request.temperature,
    top_p: request.topP,
    top_k: request.topK ?? -1,
    min_p: request.minP ?? 0,
    presence_penalty: request.presencePenalty,
    frequency_penalty: request.frequencyPenalty,
    repetition_penalty: request.repetitionPenalty ?? 1,
    ...(request.seed === undefined ? {} : { seed: request.seed }),
    stop_token_ids: request.stopTokenIds,
    ...(request.ignoreEnd ? { ignore_eos: true } : {}),
    ...(request.logitBias?.size ? { logit_bias: Object.fromEntries(request.logitBias) } : {}),
    // 0 means "the chosen token only" to vLLM and "none" to others; 1 means the same to all.
    ...(request.logprobs === undefined ? {} : { logprobs: Math.max(1, request.logprobs), return_tokens_as_token_ids: true }),
    stream: true,
    return_token_ids: true,
    cache_salt: request.cacheSalt,
  };
}
