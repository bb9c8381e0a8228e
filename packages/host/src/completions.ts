/**
 * `POST /v1/completions`: runs a checked request and answers in vLLM's shapes, whole or as server-sent events.
 *
 * As in vLLM, the token that ended a choice is part of `token_ids`, `finish_reason` is then `"stop"` and `stop_reason` the id.
 * `text` is always empty: there are no words on this machine.
 * @module
 */
import { randomUUID } from "node:crypto";
import { UnseenError } from "@unseen/core/errors.ts";
import { requireModel, type Route } from "./application.ts";
import { describeError } from "./errors.ts";
import type { TokenEvent, TokenLogprobs } from "./engine/protocol.ts";
import type { EngineSupervisor } from "./engine/supervisor.ts";
import type { Metrics } from "./metrics.ts";
import { parseCompletionRequest, type CompletionRequest, type RequestLimits } from "./request.ts";

/** Bytes of one answer that may wait for a slow reader (CWE-770); more than 15,000 tokens. */
export const MAXIMUM_UNREAD_BYTES = 4 << 20;

/** What all answers of a server share. */
export interface CompletionContext {
  readonly engine: EngineSupervisor;
  readonly metrics: Metrics;
  /** Name under which the model is served. */
  readonly model: string;
}

interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  prompt_tokens_details: { cached_tokens: number };
}

/** vLLM's completion logprobs; tokens are written `token_id:N`. */
interface Logprobs {
  text_offset: number[];
  token_logprobs: number[];
  tokens: string[];
  top_logprobs: Record<string, number>[];
}

/** The route, for the application. */
export function completionRoute(completion: CompletionContext, limits: RequestLimits): Route {
  return async (body, context) => {
    const request = parseCompletionRequest(body, limits);
    if (request.model !== undefined) requireModel(request.model, completion.model);
    const { signal } = context.req.raw;
    if (!request.stream) return context.json(await complete(completion, request, signal));
    return context.body(streamCompletion(completion, request, signal), 200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache",
      "transfer-encoding": "chunked",
    });
  };
}

/** Runs all sequences; resolves when every one has finished. Rejects with the first failure, cancelling the rest. */
function run(
  { engine, metrics }: CompletionContext,
  request: CompletionRequest,
  signal: AbortSignal,
  onToken: (choice: number, event: TokenEvent) => void,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let open = request.sequences.length;
  let cancel = (): void => {};
  const settle = (error: UnseenError | null): void => {
    signal.removeEventListener("abort", abort);
    if (error) {
      cancel();
      reject(error);
    } else resolve();
  };
  const abort = (): void => {
    metrics.cancelled(open);
    settle(new UnseenError("REQUEST_INVALID", "the client went away."));
  };
  const sequences = request.sequences.map((sequence, choice) => {
    const clock = metrics.begin(sequence.prompt.length);
    return {
      sequence,
      listener: {
        token(event: TokenEvent) {
          clock.token(event);
          onToken(choice, event);
          if (event.finish && --open === 0) settle(null);
        },
        fail(error: UnseenError) {
          clock.fail();
          settle(error);
        },
      },
    };
  });
  if (signal.aborted) {
    abort();
    return promise;
  }
  signal.addEventListener("abort", abort, { once: true });
  try {
    cancel = engine.generate(sequences);
  } catch (error) {
    signal.removeEventListener("abort", abort);
    throw error;
  }
  return promise;
}

/** The whole answer as one object. @throws UnseenError `OVERLOADED`, `HOST_LOADING`, `ENGINE_CRASHED` */
export async function complete(context: CompletionContext, request: CompletionRequest, signal: AbortSignal): Promise<object> {
  const choices = request.sequences.map((sequence, index) => ({
    index,
    text: "",
    token_ids: [] as number[],
    logprobs: sequence.logprobs === null ? null : emptyLogprobs(),
    finish_reason: null as string | null,
    stop_reason: null as number | null,
    prompt_logprobs: null,
    prompt_token_ids: request.returnTokenIds ? Array.from(sequence.prompt) : null,
  }));
  const counter = new UsageCounter(request);
  await run(context, request, signal, (index, event) => {
    const choice = choices[index]!;
    counter.count(event);
    choice.token_ids.push(event.token);
    if (event.logprobs && choice.logprobs) appendLogprobs(choice.logprobs, event.token, event.logprobs);
    if (event.finish) {
      choice.finish_reason = event.finish;
      choice.stop_reason = event.finish === "stop" ? event.token : null;
    }
  });
  const answer = request.returnTokenIds ? choices : choices.map((choice) => ({ ...choice, token_ids: null }));
  return { ...envelope(context.model), choices: answer, usage: counter.usage };
}

/** The answer as server-sent events, one per token. @throws UnseenError as {@link complete}, before the first byte */
export function streamCompletion(context: CompletionContext, request: CompletionRequest, signal: AbortSignal): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const header = envelope(context.model);
  const counter = new UsageCounter(request);
  const gone = new AbortController();
  const unread = new ByteLengthQueuingStrategy({ highWaterMark: MAXIMUM_UNREAD_BYTES });
  const source = {
    start(controller: ReadableStreamDefaultController<Uint8Array>) {
      const send = (data: object): void => {
        controller.enqueue(encoder.encode(`data: ${JSON.stringify(data)}\n\n`));
        // Whoever reads so slowly gets what is there and no end: the engine's time is for those who listen.
        if ((controller.desiredSize ?? 0) < 0) gone.abort();
      };
      const started = new Set<number>();
      const end = (last: object | null): void => {
        if (gone.signal.aborted || signal.aborted) {
          // Nobody listens; errors of a closed stream would only be noise.
          try {
            controller.close();
          } catch {}
          return;
        }
        if (last) send(last);
        controller.enqueue(encoder.encode("data: [DONE]\n\n"));
        controller.close();
      };
      const finished = run(context, request, AbortSignal.any([signal, gone.signal]), (index, event) => {
        counter.count(event);
        const sequence = request.sequences[index]!;
        const isFirst = !started.has(index);
        if (isFirst) started.add(index);
        const logprobs = event.logprobs ? appendLogprobs(emptyLogprobs(), event.token, event.logprobs) : null;
        const choice = {
          index,
          text: "",
          logprobs,
          finish_reason: event.finish ?? null,
          stop_reason: event.finish === "stop" ? event.token : null,
          ...(request.returnTokenIds ? { token_ids: [event.token] } : {}),
          ...(request.returnTokenIds && isFirst ? { prompt_token_ids: Array.from(sequence.prompt) } : {}),
        };
        send({ ...header, choices: [choice] });
      });
      finished.then(
        () => end(request.includeUsage ? { ...header, choices: [], usage: counter.usage } : null),
        (error: unknown) => end(describeError(error).body),
      );
    },
    cancel: () => gone.abort(),
  };
  return new ReadableStream(source, unread);
}

/** Sums what a request used, over all prompts and choices. */
class UsageCounter {
  readonly #promptTokens: number;
  #completionTokens = 0;
  #cachedTokens = 0;

  constructor(request: CompletionRequest) {
    this.#promptTokens = request.promptTokens;
  }

  count(event: TokenEvent): void {
    this.#completionTokens++;
    this.#cachedTokens += event.cachedTokens ?? 0;
  }

  get usage(): Usage {
    return {
      prompt_tokens: this.#promptTokens,
      completion_tokens: this.#completionTokens,
      total_tokens: this.#promptTokens + this.#completionTokens,
      prompt_tokens_details: { cached_tokens: this.#cachedTokens },
    };
  }
}

function envelope(model: string): { id: string; object: string; created: number; model: string } {
  return { id: `cmpl-${randomUUID().replaceAll("-", "")}`, object: "text_completion", created: Math.floor(Date.now() / 1000), model };
}

function emptyLogprobs(): Logprobs {
  return { text_offset: [], token_logprobs: [], tokens: [], top_logprobs: [] };
}

/** The chosen token stands among the best, as in vLLM, also where it is none of them. */
function appendLogprobs(into: Logprobs, token: number, { chosen, topIds, topValues }: TokenLogprobs): Logprobs {
  into.text_offset.push(0);
  into.token_logprobs.push(chosen);
  into.tokens.push(`token_id:${token}`);
  into.top_logprobs.push(
    Object.fromEntries([[`token_id:${token}`, chosen], ...topIds.map((id, index) => [`token_id:${id}`, topValues[index]!])]),
  );
  return into;
}
