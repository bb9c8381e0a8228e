/**
 * Ends a connection that has gone silent.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";

/** An abort signal that fires when {@link Watchdog.touch} has not been called for `silence` milliseconds. */
export class Watchdog {
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;

  /**
   * @param silence - Milliseconds without a sign of life.
   * @param subject - Who is expected to speak, for the message.
   * @param caller - The caller's own signal; either one ends the connection.
   */
  constructor(silence: number, subject: string, caller?: AbortSignal) {
    this.signal = caller ? AbortSignal.any([caller, this.#controller.signal]) : this.#controller.signal;
    this.#timer = setTimeout(() => {
      const error = new UnseenError("HOST_TIMEOUT", `${subject} sent nothing for ${silence / 1000} s.`, {
        hint: "Check the host's log and load; --timeout changes how long the gateway waits.",
      });
      this.#controller.abort(error);
    }, silence);
  }

  /** A sign of life. */
  touch(): void {
    this.#timer.refresh();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
