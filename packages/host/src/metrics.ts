/**
 * What is counted of a language model, under vLLM's names (with `unseen:` for `vllm:`), so that existing dashboards need one replacement.
 * @module
 */
import { Exposition, Histogram } from "./exposition.ts";
import type { TokenEvent } from "./engine/protocol.ts";

/** Follows one sequence from its arrival to its last token. */
export interface SequenceClock {
  token(event: TokenEvent): void;
  fail(): void;
}

export class Metrics {
  readonly #model: string;
  readonly #firstToken = new Histogram();
  readonly #nextToken = new Histogram();
  readonly #whole = new Histogram();
  readonly #finished = { stop: 0, length: 0, abort: 0, error: 0 };
  #promptTokens = 0;
  #generatedTokens = 0;
  #cachedTokens = 0;

  constructor(model: string) {
    this.#model = model;
  }

  begin(promptTokens: number): SequenceClock {
    const started = performance.now();
    let previous: number | null = null;
    return {
      token: (event) => {
        const now = performance.now();
        if (previous === null) {
          this.#firstToken.observe((now - started) / 1000);
          this.#promptTokens += promptTokens;
          this.#cachedTokens += event.cachedTokens ?? 0;
        } else this.#nextToken.observe((now - previous) / 1000);
        previous = now;
        this.#generatedTokens++;
        if (event.finish) {
          this.#whole.observe((now - started) / 1000);
          this.#finished[event.finish]++;
        }
      },
      fail: () => {
        this.#finished.error++;
      },
    };
  }

  cancelled(sequences: number): void {
    this.#finished.abort += sequences;
  }

  /** The page that Prometheus reads. */
  render({ running, waiting, restarts }: { running: number; waiting: number; restarts: number }): string {
    return new Exposition(this.#model)
      .gauge("num_requests_running", running)
      .gauge("num_requests_waiting", waiting)
      .counter("prompt_tokens_total", this.#promptTokens)
      .counter("generation_tokens_total", this.#generatedTokens)
      .counter("prefix_cache_queries_total", this.#promptTokens)
      .counter("prefix_cache_hits_total", this.#cachedTokens)
      .counter("engine_restarts_total", restarts)
      .counters("request_success_total", "finished_reason", this.#finished)
      .histogram("time_to_first_token_seconds", this.#firstToken)
      .histogram("inter_token_latency_seconds", this.#nextToken)
      .histogram("e2e_request_latency_seconds", this.#whole).page;
  }
}
