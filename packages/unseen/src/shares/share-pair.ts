/**
 * The two servers of one model, and what each of them saw of the last message.
 * @module
 */
import type { ByteTap, ModelHost } from "@unseen/client/engines/engine.ts";
import type { CallObserver } from "@unseen/shares/client/call-observer.ts";
import { isHealthy } from "@unseen/shares/client/health.ts";
import { PairWitness, type ServerSight } from "@unseen/shares/client/pair-witness.ts";
import type { RemoteMultiplier, ShareStatistics } from "@unseen/shares/client/remote-multiplier.ts";
import type { Multiplier } from "@unseen/shares/multiplier.ts";

export class SharePair {
  /** Of A and B, without a final slash. */
  readonly urls: readonly [string, string];
  /** Both are on one machine, which was allowed. */
  readonly sameOperator: boolean;
  readonly #addresses: readonly [URL, URL];
  readonly #multiplier: RemoteMultiplier;
  #watched = false;
  #last: PairWitness | null = null;

  constructor(addresses: readonly [URL, URL], multiplier: RemoteMultiplier, sameOperator: boolean) {
    const [a, b] = addresses;
    this.urls = [withoutSlash(a), withoutSlash(b)];
    this.sameOperator = sameOperator;
    this.#addresses = addresses;
    this.#multiplier = multiplier;
  }

  /** Both addresses, for messages. */
  get url(): string {
    return this.urls.join(" and ");
  }

  get statistics(): ShareStatistics {
    return this.#multiplier.statistics();
  }

  /** What A and B saw of the last message since {@link watch}; null before one. */
  get sights(): readonly [ServerSight, ServerSight] | null {
    return this.#last?.sights ?? null;
  }

  /** Looks at messages from now on, which takes a moment for each byte sent. */
  watch(): void {
    this.#watched = true;
  }

  /** The multiplier of one message. @param tap - Gets the frames to and from each server. */
  begin(tap?: ByteTap): Multiplier {
    const witness = this.#watched ? new PairWitness() : null;
    this.#last = witness;
    if (!witness && !tap) return this.#multiplier;
    const [a, b] = this.urls;
    const observer: CallObserver = {
      begin: (role, seed) => witness?.begin(role, seed),
      frame: (role, direction, bytes) => {
        witness?.frame(role, direction, bytes);
        tap?.({ host: role === "A" ? a : b, direction, bytes });
      },
    };
    return { multiply: (group, rows, count, signal) => this.#multiplier.multiply(group, rows, count, signal, observer) };
  }

  /** Whether A and B answer just now. @param patience - Milliseconds. */
  async health(patience: number): Promise<readonly [boolean, boolean]> {
    const [a, b] = this.#addresses;
    return Promise.all([isHealthy(a, patience), isHealthy(b, patience)]);
  }

  close(): void {
    this.#multiplier.close();
  }
}

/** The servers behind an engine; null where it is a host. */
export function pairOf(engine: ModelHost): SharePair | null {
  return "pair" in engine && engine.pair instanceof SharePair ? engine.pair : null;
}

function withoutSlash(url: URL): string {
  return url.href.replace(/\/+$/, "");
}
