/**
 * One request and its answer: who asks, what is measured, and how it ends when the client goes away.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import type { Context } from "hono";
import { describeError, RequestError } from "../openai/errors.ts";
import { eventResponse, type EventResponseOptions, type ServerEvent } from "../openai/event-response.ts";
import type { WireEvent } from "../engines/blind.ts";
import type { AnswerContext } from "./answer.ts";
import type { Delta } from "./delta.ts";
import type { Metrics } from "./metrics.ts";
import type { EncoderModel, OfferedModel, ServedModel } from "./model.ts";

/** A line of the gateway's log. It never holds content, only what an operator needs. */
export interface LogEntry {
  readonly time: string;
  readonly method: string;
  /** The route's pattern, never the path as sent. */
  readonly route: string;
  readonly status: number;
  readonly milliseconds: number;
  readonly model?: string;
  readonly promptTokens?: number;
  readonly completionTokens?: number;
  /** Code of the error that ended the request. */
  readonly code?: string;
}

/** What the routes share. */
export interface Gateway {
  readonly models: readonly OfferedModel[];
  readonly metrics: Metrics;
  readonly log: (entry: LogEntry) => void;
  readonly onWire: ((event: WireEvent) => void) | undefined;
}

/** Hono's context variables. */
export interface GatewayEnvironment {
  readonly Variables: { exchange: Exchange };
}

export type GatewayContext = Context<GatewayEnvironment>;

/** nginx's unofficial status for "the client closed the request"; appears in logs and metrics only. */
const CLIENT_CLOSED = 499;

export class Exchange {
  readonly abort = new AbortController();
  /** Whoever shares a prefix cache: the API key presented. */
  readonly holder: string;
  readonly #gateway: Gateway;
  readonly #method: string;
  readonly #start = performance.now();
  #model: string | undefined;
  #promptTokens = 0;
  #completionTokens = 0;
  #ended = false;
  /** A stream ends its exchange itself, after its handler has returned. */
  streaming = false;

  constructor(gateway: Gateway, method: string, holder: string, signal: AbortSignal) {
    this.#gateway = gateway;
    this.#method = method;
    this.holder = holder;
    const leave = (): void => this.abort.abort(new DOMException("The client went away.", "AbortError"));
    if (signal.aborted) leave();
    else signal.addEventListener("abort", leave, { once: true });
    gateway.metrics.begin();
  }

  /** The model that a request names, whatever it does. @throws UnseenError MODEL_NOT_FOUND, RequestError REQUEST_INVALID. */
  find(name: string | null | undefined): OfferedModel {
    const { models } = this.#gateway;
    const found = name ? models.find((model) => model.id === name) : models.length === 1 ? models[0] : undefined;
    if (found) {
      this.#model = found.id;
      return found;
    }
    const offered = models.map((model) => model.id).join(", ");
    if (!name)
      throw new RequestError("REQUEST_INVALID", "model", "model: expected the name of a model.", { hint: `Choose one of: ${offered}.` });
    throw new UnseenError("MODEL_NOT_FOUND", "no model of that name is served here.", { hint: `Choose one of: ${offered}.` });
  }

  /** The model that a request names, to continue text. @throws UnseenError as {@link find}; RequestError REQUEST_UNSUPPORTED for an encoder. */
  choose(name: string | null | undefined): ServedModel {
    const found = this.find(name);
    if (!("encoder" in found)) return found;
    const isClassifier = found.encoder.task === "classification";
    throw new RequestError(
      "REQUEST_UNSUPPORTED",
      "model",
      `model ${found.id} writes no text; it makes ${isClassifier ? "labels" : "vectors"}.`,
      { hint: isClassifier ? "Use POST /classify." : "Use POST /v1/embeddings or /v1/rerank." },
    );
  }

  /** The model that a request names, to encode. @throws UnseenError as {@link find}; RequestError REQUEST_UNSUPPORTED for one that continues text. */
  chooseEncoder(name: string | null | undefined): EncoderModel {
    const found = this.find(name);
    if ("encoder" in found) return found;
    throw new RequestError("REQUEST_UNSUPPORTED", "model", `model ${found.id} writes text; it makes no embeddings, labels or scores.`, {
      hint: "Use POST /v1/chat/completions, or choose an encoder.",
    });
  }

  /** Salt input of a request's prefix cache. */
  user(user: string | null | undefined): string {
    return JSON.stringify([this.holder, user ?? null]);
  }

  /** For the answers of this exchange. */
  context(): AnswerContext {
    const { metrics, onWire } = this.#gateway;
    return { signal: this.abort.signal, onResume: () => metrics.resume(), ...(onWire ? { onWire } : {}) };
  }

  /** Counts a prompt's tokens. */
  prompt(tokens: number): void {
    this.#promptTokens += tokens;
    this.#gateway.metrics.prompt(tokens);
  }

  /** Passes an answer through and counts it. */
  async *measure(deltas: AsyncIterable<Delta>): AsyncGenerator<Delta> {
    let first = true;
    for await (const delta of deltas) {
      if (first) this.#gateway.metrics.firstToken((performance.now() - this.#start) / 1000);
      first = false;
      if (delta.kind === "finish") {
        this.#completionTokens += delta.usage.completionTokens;
        this.#gateway.metrics.completion(delta.usage.completionTokens);
      }
      yield delta;
    }
  }

  /** Answers with a stream of events. */
  async stream(
    route: string,
    events: AsyncGenerator<ServerEvent>,
    options: Pick<EventResponseOptions, "done" | "onError">,
  ): Promise<Response> {
    const response = await eventResponse(events, {
      ...options,
      abort: this.abort,
      onEnd: (error) => this.end(route, error === undefined ? 200 : describeError(error).status, error),
    });
    this.streaming = true;
    return response;
  }

  /** Closes the books: stops whatever still runs at the hosts, logs and counts. */
  end(route: string, status: number, error?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    const left = this.abort.signal.aborted;
    this.abort.abort(new DOMException("The request has ended.", "AbortError"));
    const finalStatus = left ? CLIENT_CLOSED : status;
    this.#gateway.metrics.end(route, finalStatus);
    this.#gateway.log({
      time: new Date().toISOString(),
      method: this.#method,
      route,
      status: finalStatus,
      milliseconds: Math.round(performance.now() - this.#start),
      ...(this.#model === undefined ? {} : { model: this.#model }),
      ...(this.#promptTokens ? { promptTokens: this.#promptTokens } : {}),
      ...(this.#completionTokens ? { completionTokens: this.#completionTokens } : {}),
      ...(error === undefined || left ? {} : { code: describeError(error).code }),
    });
  }
}
