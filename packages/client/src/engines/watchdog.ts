/**
 * Ends a connection that has gone silent.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";

/** An abort signal that fires when {@link Watchdog.touch} has not been called for `silence` milliseconds. */
export class Watchdog {
  readonly signal: AbortSignal;
  readonly #timer: NodeJS.Timeout;
  readonly #stopListening: () => void;

  /**
   * @param silence - Milliseconds without a sign of life.
   * @param subject - Who is expected to speak, for the message.
   * @param caller - The caller's own signal; either one ends the connection.
   */
  constructor(silence: number, subject: string, caller?: AbortSignal) {
    const controller = new AbortController();
    this.signal = controller.signal;
    const leave = (): void => controller.abort(caller?.reason);
    if (caller?.aborted) leave();
    else caller?.addEventListener("abort", leave, { once: true });
    this.#stopListening = () => caller?.removeEventListener("abort", leave);
    this.#timer = setTimeout(() => {
      const error = new UnseenError("HOST_TIMEOUT", `${subject} sent nothing for ${silence / 1000} s.`, {
        hint: "Check the host's log and load; --timeout changes how long the gateway waits.",
      });
      controller.abort(error);
    }, silence);
  }

  /** A sign of life. */
  touch(): void {
    this.#timer.refresh();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#stopListening();
  }
}
