/**
 * Figures about the gateway in the Prometheus text format. No figure depends on content.
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/
 * @module
 */

/** Upper bounds of the histogram of seconds to the first token. */
const bounds = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** Counters of one running gateway. */
export class Metrics {
  /** Requests by `route` and `status`. */
  readonly #requests = new Map<string, number>();
  readonly #firstToken = bounds.map(() => 0);
  #firstTokenCount = 0;
  #firstTokenSum = 0;
  #promptTokens = 0;
  #completionTokens = 0;
  #active = 0;
  #resumes = 0;

  begin(): void {
    this.#active += 1;
  }

  end(route: string, status: number): void {
    this.#active -= 1;
    const key = `route="${route}",status="${status}"`;
    this.#requests.set(key, (this.#requests.get(key) ?? 0) + 1);
  }

  prompt(tokens: number): void {
    this.#promptTokens += tokens;
  }

  completion(tokens: number): void {
    this.#completionTokens += tokens;
  }

  firstToken(seconds: number): void {
    this.#firstTokenCount += 1;
    this.#firstTokenSum += seconds;
    for (const [index, bound] of bounds.entries()) if (seconds <= bound) this.#firstToken[index]! += 1;
  }

  resume(): void {
    this.#resumes += 1;
  }

  /** The page that a Prometheus server reads. */
  render(): string {
    return [
      ...family(
        "unseen_gateway_requests_total",
        "counter",
        "Answered requests.",
        [...this.#requests].map(([labels, value]) => [`{${labels}}`, value]),
      ),
      ...family("unseen_gateway_requests_active", "gauge", "Requests that are being answered.", [["", this.#active]]),
      ...family("unseen_gateway_prompt_tokens_total", "counter", "Tokens sent to hosts.", [["", this.#promptTokens]]),
      ...family("unseen_gateway_completion_tokens_total", "counter", "Tokens received from hosts.", [["", this.#completionTokens]]),
      ...family("unseen_gateway_resumes_total", "counter", "Answers continued after their host failed.", [["", this.#resumes]]),
      ...family("unseen_gateway_first_token_seconds", "histogram", "Seconds from request to first token.", [
        ...bounds.map((bound, index) => [`_bucket{le="${bound}"}`, this.#firstToken[index]!] as const),
        ['_bucket{le="+Inf"}', this.#firstTokenCount],
        ["_sum", this.#firstTokenSum],
        ["_count", this.#firstTokenCount],
      ]),
      "",
    ].join("\n");
  }
}

function family(name: string, type: string, help: string, samples: readonly (readonly [suffix: string, value: number])[]): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...samples.map(([suffix, value]) => `${name}${suffix} ${value}`)];
}
