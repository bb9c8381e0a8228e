/**
 * Two servers as one engine: the gateway hands cipher ids in and gets cipher ids back, and the forward pass runs here.
 * @module
 */
import type { ByteTap, Engine, GenerateRequest, GeneratedChunk, HostFacts } from "@unseen/client/engines/engine.ts";
import type { DecoderState } from "@unseen/shares/model/decoder-state.ts";
import type { ShareDecoder } from "@unseen/shares/model/decoder.ts";
import { logprobsOf, sample, uniformFrom } from "@unseen/shares/sampling/sample.ts";
import type { SharePair } from "./share-pair.ts";

/** Conversations whose keys and values are kept, so that the next turn, or a stream that broke, goes on where it was. */
const MAXIMUM_STATES = 8;

/** What the gateway needs to know of the model. */
export interface SharedModel {
  readonly id: string;
  readonly fingerprint: string;
  readonly vocabularySize: number;
  readonly contextLength: number;
}

export class SharesEngine implements Engine {
  readonly keepsIds = true;
  readonly pair: SharePair;
  readonly #model: SharedModel;
  readonly #decoder: ShareDecoder;
  /** Nobody uses them now; the latest last. */
  readonly #idle: DecoderState[] = [];

  constructor(pair: SharePair, model: SharedModel, decoder: ShareDecoder) {
    this.pair = pair;
    this.#model = model;
    this.#decoder = decoder;
  }

  /** Both addresses, for messages. */
  get url(): string {
    return this.pair.url;
  }

  async probe(): Promise<HostFacts> {
    return { engine: "unseen-shares", models: [this.#model] };
  }

  close(): void {
    this.pair.close();
  }

  async *generate(request: GenerateRequest, signal: AbortSignal, tap?: ByteTap): AsyncGenerator<GeneratedChunk> {
    const multiplier = this.pair.begin(tap);
    const { prompt, maximumTokens, stopTokenIds, ignoreEnd, logprobs } = request;
    const state = this.#take(prompt);
    const uniform = uniformFrom(request.seed);
    const answer: number[] = [];
    try {
      for (;;) {
        const pending = answer.length === 0 ? prompt.slice(state.length) : answer.slice(-1);
        const logits = await this.#decoder.step(state, pending, multiplier, { signal, logits: "last" });
        const id = sample(logits, request, { prompt, answer }, uniform);
        answer.push(id);
        const isEnd = !ignoreEnd && stopTokenIds.includes(id);
        yield {
          ids: [id],
          ...(logprobs === undefined ? {} : { logprobs: [logprobsOf(logits, id, logprobs)] }),
          ...(isEnd ? { finishReason: "stop" as const } : answer.length >= maximumTokens ? { finishReason: "length" as const } : {}),
        };
        if (isEnd || answer.length >= maximumTokens) return;
      }
    } finally {
      this.#keep(state);
    }
  }

  /** The kept text that shares the longest beginning with a prompt, cut back to it; at least the last id is run again. */
  #take(prompt: readonly number[]): DecoderState {
    const shared = this.#idle.map(({ ids }) => commonLength(ids, prompt));
    const best = shared.reduce((leader, length, index) => (length > (shared[leader] ?? 0) ? index : leader), 0);
    const length = Math.min(shared[best] ?? 0, prompt.length - 1);
    if (length <= 0) return this.#decoder.start();
    const [state] = this.#idle.splice(best, 1) as [DecoderState];
    state.rewind(length);
    return state;
  }

  #keep(state: DecoderState): void {
    this.#idle.push(state);
    if (this.#idle.length > MAXIMUM_STATES) this.#idle.shift();
  }
}

function commonLength(left: readonly number[], right: readonly number[]): number {
  let length = 0;
  while (length < left.length && length < right.length && left[length] === right[length]) length += 1;
  return length;
}
