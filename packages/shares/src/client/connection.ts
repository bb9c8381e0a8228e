/**
 * A lasting connection to one server: a session while it lives, and another when it has died.
 * @module
 */
import { setTimeout as delay } from "node:timers/promises";
import { UnseenError } from "@unseen/core/errors.ts";
import { ShareSession, serverName, untilAborted, type ServerAddress, type Traffic } from "./session.ts";

/** What a connection needs to open sessions again. */
export interface ShareConnectionOptions extends ServerAddress {
  /** Milliseconds before the second attempt to reconnect; each further one waits twice as long. */
  readonly firstDelay?: number;
  readonly log?: (line: string) => void;
}

/** Attempts to reconnect before a call fails: 3 s of waiting with the first delay of 200 ms. */
const ATTEMPTS = 5;
const FIRST_DELAY = 200;

/** One server, over as many sessions as it takes. */
export class ShareConnection {
  /** Over all sessions. */
  readonly traffic: Traffic = { sent: 0, received: 0 };
  readonly name: string;
  readonly #options: ShareConnectionOptions;
  #session: ShareSession | null = null;
  #opening: Promise<ShareSession> | null = null;
  #closed = false;

  constructor(options: ShareConnectionOptions) {
    this.#options = options;
    this.name = serverName(options);
  }

  /**
   * The session that lives, or a new one. A server that was never reached is tried once, one that was lost several times, with
   * exponential backoff.
   *
   * @throws UnseenError HOST_UNREACHABLE, HOST_TIMEOUT, HOST_PROTOCOL, HOST_REFUSED
   */
  async session(signal?: AbortSignal): Promise<ShareSession> {
    signal?.throwIfAborted();
    if (this.#closed) throw new UnseenError("HOST_UNREACHABLE", `the connection to ${this.name} is closed.`);
    if (this.#session?.open) return this.#session;
    this.#opening ??= this.#open(this.#session === null ? 1 : ATTEMPTS).finally(() => {
      this.#opening = null;
    });
    return untilAborted(this.#opening, signal);
  }

  /** Ends the session, and calls that wait for an answer. */
  close(): void {
    this.#closed = true;
    this.#session?.close();
  }

  async #open(attempts: number): Promise<ShareSession> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const session = await ShareSession.open(this.#options, this.traffic);
        if (this.#closed) session.close();
        this.#session = session;
        return session;
      } catch (error) {
        const lost = UnseenError.isInstance(error) && error.code === "HOST_UNREACHABLE";
        if (!lost || attempt >= attempts || this.#closed) throw error;
      }
      // Between half and all of it, so that the clients of a server that comes back do not all come at once.
      const wait = (this.#options.firstDelay ?? FIRST_DELAY) * 2 ** (attempt - 1) * (0.5 + Math.random() / 2);
      this.#options.log?.(`${this.name} does not answer; trying again in ${(wait / 1000).toFixed(1)} s`);
      await delay(wait);
    }
  }
}
