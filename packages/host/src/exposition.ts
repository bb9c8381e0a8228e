/**
 * Prometheus' text format; every name begins with `unseen:` and carries the model's name. Numbers about requests, never their content.
 * Source: prometheus.io, "Exposition formats", text format 0.0.4.
 * @module
 */
const LATENCY_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]; // seconds

/** Counts durations; or other numbers, with buckets of their own. */
export class Histogram {
  readonly bounds: readonly number[];
  readonly #counts: Float64Array;
  #sum = 0;
  #count = 0;

  constructor(bounds: readonly number[] = LATENCY_BUCKETS) {
    this.bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const bucket = this.bounds.findIndex((bound) => value <= bound);
    this.#counts[bucket < 0 ? this.bounds.length : bucket]! += 1;
    this.#sum += value;
    this.#count++;
  }

  lines(name: string, label: string): string[] {
    let below = 0;
    const buckets = [...this.bounds, "+Inf"].map(
      (bound, index) => `${name}_bucket{${label},le="${bound}"} ${(below += this.#counts[index]!)}`,
    );
    return [`# TYPE ${name} histogram`, ...buckets, `${name}_sum{${label}} ${this.#sum}`, `${name}_count{${label}} ${this.#count}`];
  }
}

/** Builds the page, one metric after the other. */
export class Exposition {
  readonly #label: string;
  readonly #lines: string[] = [];

  constructor(model: string) {
    this.#label = `model_name="${model.replaceAll(/["\\\n]/g, "_")}"`;
  }

  gauge(name: string, value: number): this {
    this.#lines.push(`# TYPE unseen:${name} gauge`, `unseen:${name}{${this.#label}} ${value}`);
    return this;
  }

  counter(name: string, value: number): this {
    this.#lines.push(`# TYPE unseen:${name} counter`, `unseen:${name}{${this.#label}} ${value}`);
    return this;
  }

  /** One counter for each value of a label. */
  counters(name: string, label: string, values: Readonly<Record<string, number>>): this {
    this.#lines.push(`# TYPE unseen:${name} counter`);
    for (const [value, count] of Object.entries(values)) this.#lines.push(`unseen:${name}{${this.#label},${label}="${value}"} ${count}`);
    return this;
  }

  histogram(name: string, histogram: Histogram): this {
    this.#lines.push(...histogram.lines(`unseen:${name}`, this.#label));
    return this;
  }

  get page(): string {
    return `${this.#lines.join("\n")}\n`;
  }
}
