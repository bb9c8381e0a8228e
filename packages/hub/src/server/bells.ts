/**
 * Waiting for a change that another request makes. Other hubs on the same database ring no bell here, so who waits also looks by itself.
 * @module
 */

/** How long a change that another hub made may go unnoticed. */
const LOOK_MILLISECONDS = 1_000;

/** Rung by who changes something, heard by who waits for it. */
export class Bells {
  readonly #listeners = new Map<string, Set<() => void>>();
  #closed = false;

  /** Wakes who waits for one of these topics. */
  ring(...topics: readonly string[]): void {
    for (const topic of topics) for (const wake of this.#listeners.get(topic) ?? []) wake();
  }

  /**
   * Looks at once, at every ring of a topic, and now and then; what `look` gave, or null after `seconds` or when the signal says so.
   */
  async until<Found>(
    topics: readonly string[],
    seconds: number,
    signal: AbortSignal,
    look: () => Promise<Found | null>,
  ): Promise<Found | null> {
    const deadline = performance.now() + seconds * 1000;
    let rung = false;
    let wake = (): void => {};
    // Before the first look: a change between a look and the wait for the next must not be missed.
    const listener = (): void => {
      rung = true;
      wake();
    };
    for (const topic of topics) this.#add(topic, listener);
    signal.addEventListener("abort", listener);
    try {
      for (;;) {
        rung = false;
        const found = signal.aborted ? null : await look();
        const left = deadline - performance.now();
        if (found !== null || left <= 0 || signal.aborted || this.#closed) return found;
        if (rung) continue;
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, Math.min(left, LOOK_MILLISECONDS));
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
    } finally {
      for (const topic of topics) this.#remove(topic, listener);
      signal.removeEventListener("abort", listener);
    }
  }

  /** Ends every wait. */
  close(): void {
    this.#closed = true;
    this.ring(...this.#listeners.keys());
  }

  #add(topic: string, listener: () => void): void {
    const listeners = this.#listeners.get(topic) ?? new Set();
    listeners.add(listener);
    this.#listeners.set(topic, listeners);
  }

  #remove(topic: string, listener: () => void): void {
    const listeners = this.#listeners.get(topic);
    listeners?.delete(listener);
    if (listeners?.size === 0) this.#listeners.delete(topic);
  }
}
