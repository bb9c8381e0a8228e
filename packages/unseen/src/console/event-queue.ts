/**
 * Events for one page that may read slowly: it holds what was not read yet, and gives the page up where that becomes too much.
 * @module
 */

/** Events that wait for one reader (CWE-770). */
const MAXIMUM_WAITING = 1000;

export class EventQueue<Event> {
  #waiting: Event[] = [];
  #wake: (() => void) | null = null;
  #ended = false;

  /** Adds one; instead of the last that waits where `replaces` says so. A reader that is too slow gets no more, and has to begin anew. */
  push(event: Event, replaces: (last: Event) => boolean = () => false): void {
    if (this.#ended) return;
    const last = this.#waiting.at(-1);
    if (last !== undefined && replaces(last)) this.#waiting[this.#waiting.length - 1] = event;
    else this.#waiting.push(event);
    if (this.#waiting.length > MAXIMUM_WAITING) {
      this.#waiting = [];
      this.#ended = true;
    }
    this.#wake?.();
  }

  /** No more will come. */
  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** What was pushed, in order, until the end or until the signal fires. */
  async *read(signal: AbortSignal): AsyncGenerator<Event> {
    const stop = (): void => this.end();
    signal.addEventListener("abort", stop, { once: true });
    try {
      while (!signal.aborted) {
        const event = this.#waiting.shift();
        if (event !== undefined) yield event;
        else if (this.#ended) return;
        else await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      signal.removeEventListener("abort", stop);
      this.end();
    }
  }
}
