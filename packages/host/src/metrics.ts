/**
 * Counters in Prometheus' text format under vLLM's names (with `unseen:` for `vllm:`), so that existing dashboards need one replacement.
 * They count; they hold no ids. Source: prometheus.io, "Exposition formats", text format 0.0.4.
 * @module
 */
import type { TokenEvent } from "./engine/protocol.ts";

const LATENCY_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]; // seconds

class Histogram {
  readonly #counts = new Float64Array(LATENCY_BUCKETS.length + 1);
  #sum = 0;
  #count = 0;

  observe(seconds: number): void {
    const bucket = LATENCY_BUCKETS.findIndex((bound) => seconds <= bound);
    this.#counts[bucket < 0 ? LATENCY_BUCKETS.length : bucket]! += 1;
    this.#sum += seconds;
    this.#count++;
  }

  lines(name: string, label: string): string[] {
    let below = 0;
    const buckets = [...LATENCY_BUCKETS, "+Inf"].map(
      (bound, index) => `${name}_bucket{${label},le="${bound}"} ${(below += this.#counts[index]!)}`,
    );
    return [`# TYPE ${name} histogram`, ...buckets, `${name}_sum{${label}} ${this.#sum}`, `${name}_count{${label}} ${this.#count}`];
  }
}

/** Follows one sequence from its arrival to its last token. */
export interface SequenceClock {
  token(event: TokenEvent): void;
  fail(): void;
}

export class Metrics {
  readonly #label: string;
  readonly #firstToken = new Histogram();
  readonly #nextToken = new Histogram();
  readonly #whole = new Histogram();
  readonly #finished = { stop: 0, length: 0, abort: 0, error: 0 };
  #promptTokens = 0;
  #generatedTokens = 0;
  #cachedTokens = 0;

  constructor(model: string) {
    this.#label = `model_name="${model.replaceAll(/["\\\n]/g, "_")}"`;
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
    const label = this.#label;
    const gauge = (name: string, value: number): string[] => [`# TYPE unseen:${name} gauge`, `unseen:${name}{${label}} ${value}`];
    const counter = (name: string, value: number): string[] => [`# TYPE unseen:${name} counter`, `unseen:${name}{${label}} ${value}`];
    const lines = [
      ...gauge("num_requests_running", running),
      ...gauge("num_requests_waiting", waiting),
      ...counter("prompt_tokens_total", this.#promptTokens),
      ...counter("generation_tokens_total", this.#generatedTokens),
      ...counter("prefix_cache_queries_total", this.#promptTokens),
      ...counter("prefix_cache_hits_total", this.#cachedTokens),
      ...counter("engine_restarts_total", restarts),
      "# TYPE unseen:request_success_total counter",
      ...Object.entries(this.#finished).map(
        ([reason, count]) => `unseen:request_success_total{${label},finished_reason="${reason}"} ${count}`,
      ),
      ...this.#firstToken.lines("unseen:time_to_first_token_seconds", label),
      ...this.#nextToken.lines("unseen:inter_token_latency_seconds", label),
      ...this.#whole.lines("unseen:e2e_request_latency_seconds", label),
    ];
    return `${lines.join("\n")}\n`;
  }
}
