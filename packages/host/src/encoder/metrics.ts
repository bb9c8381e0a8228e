/**
 * What is counted of an ONNX model: rows and how they were put together. Names that vLLM has are vLLM's (with `unseen:` for `vllm:`).
 * @module
 */
import type { RunRecord } from "../engine/onnx/supervisor.ts";
import { Exposition, Histogram } from "../exposition.ts";

const ROW_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128];

/** Follows one row from its arrival to its result. */
export interface RowClock {
  done(): void;
  fail(): void;
}

export class EncoderMetrics {
  readonly #model: string;
  readonly #whole = new Histogram();
  readonly #run = new Histogram();
  readonly #runRows = new Histogram(ROW_BUCKETS);
  readonly #finished = { stop: 0, abort: 0, error: 0 };
  #tokens = 0;
  #paddingTokens = 0;

  constructor(model: string) {
    this.#model = model;
  }

  begin(): RowClock {
    const started = performance.now();
    return {
      done: () => {
        this.#whole.observe((performance.now() - started) / 1000);
        this.#finished.stop++;
      },
      fail: () => {
        this.#finished.error++;
      },
    };
  }

  cancelled(rows: number): void {
    this.#finished.abort += rows;
  }

  ran({ rows, tokens, padding, seconds }: RunRecord): void {
    this.#run.observe(seconds);
    this.#runRows.observe(rows);
    this.#tokens += tokens;
    this.#paddingTokens += padding;
  }

  /** The page that Prometheus reads. */
  render({ running, waiting, restarts }: { running: number; waiting: number; restarts: number }): string {
    return new Exposition(this.#model)
      .gauge("num_requests_running", running)
      .gauge("num_requests_waiting", waiting)
      .counter("prompt_tokens_total", this.#tokens)
      .counter("padding_tokens_total", this.#paddingTokens)
      .counter("engine_restarts_total", restarts)
      .counters("request_success_total", "finished_reason", this.#finished)
      .histogram("batch_rows", this.#runRows)
      .histogram("batch_seconds", this.#run)
      .histogram("e2e_request_latency_seconds", this.#whole).page;
  }
}
