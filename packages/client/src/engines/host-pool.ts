/**
 * Several hosts that serve one encrypted model: which of them to ask next, and whether each serves that very model.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import type { HostModel, ModelHost } from "./engine.ts";

/** The public facts of an encrypted model that a host must agree with. */
export interface ModelIdentity {
  readonly name: string;
  readonly fingerprint: string;
  /** Ids that the model knows; 0 where it takes none. */
  readonly vocabularySize: number;
}

/** A host and what is known of it. */
export interface Seat<Host extends ModelHost> {
  readonly engine: Host;
  active: number;
  /** Milliseconds since the epoch; a host that failed just now is asked last. */
  failedAt: number;
  /** What it serves, once asked; forgotten after a failure. */
  model: Promise<HostModel> | null;
  /** Tokens that it takes, as it said when it was last asked; null before. */
  contextLength: number | null;
}

/** How long a failed host goes to the end of the queue. */
const PENALTY = 10_000; // ms

/** The hosts of one encrypted model. */
export class HostPool<Host extends ModelHost> {
  readonly #identity: ModelIdentity;
  readonly #seats: readonly Seat<Host>[];

  constructor(identity: ModelIdentity, engines: readonly Host[]) {
    this.#identity = identity;
    this.#seats = engines.map((engine) => ({ engine, active: 0, failedAt: 0, model: null, contextLength: null }));
  }

  /** Tokens that every host seen so far takes; Infinity where none says. */
  get contextLength(): number {
    return Math.min(...this.#seats.map((seat) => seat.contextLength ?? Infinity));
  }

  /** Waits until at least one host is known, so that {@link contextLength} is. @throws UnseenError as {@link connect}. */
  async ready(): Promise<void> {
    if (!this.#seats.some((seat) => seat.contextLength !== null)) await this.connect();
  }

  /**
   * Asks every host what it serves.
   * @throws UnseenError BUNDLE_MISMATCH when any host serves another model; otherwise the last failure when no host answers.
   */
  async connect(): Promise<void> {
    const results = await Promise.allSettled(this.#seats.map((seat) => this.identify(seat)));
    const failures = results.flatMap((result) => (result.status === "rejected" ? [result.reason as unknown] : []));
    const mismatch = failures.find((error) => UnseenError.isInstance(error) && error.code === "BUNDLE_MISMATCH");
    if (mismatch) throw mismatch;
    if (failures.length === results.length) throw failures.at(-1) ?? this.none();
  }

  /** The least busy host first, hosts that failed just now last. */
  order(): Seat<Host>[] {
    const recently = Date.now() - PENALTY;
    return this.#seats.toSorted(
      (one, other) => Number(one.failedAt > recently) - Number(other.failedAt > recently) || one.active - other.active,
    );
  }

  /** What a host serves. Shared by all requests that wait for it, therefore without any one caller's abort signal. */
  identify(seat: Seat<Host>): Promise<HostModel> {
    if (seat.model) return seat.model;
    const found = seat.engine.probe().then((facts) => this.#recognise(seat.engine.url, facts.models));
    seat.model = found;
    const settle = (model: HostModel): void => {
      seat.contextLength = model.contextLength ?? Infinity;
    };
    const forget = (): void => {
      if (seat.model === found) seat.model = null;
    };
    found.then(settle, forget);
    return found;
  }

  /** Notes a failure: the host goes to the end of the queue, and whatever comes up there next may be another model. */
  fail(seat: Seat<Host>): void {
    seat.failedAt = Date.now();
    seat.model = null;
  }

  /** The error where there is nobody left to ask. */
  none(): UnseenError {
    return new UnseenError("HOST_UNREACHABLE", `model ${this.#identity.name} has no host.`, { hint: "Give one with --host URL." });
  }

  #recognise(url: string, models: readonly HostModel[]): HostModel {
    const { name, fingerprint, vocabularySize } = this.#identity;
    // Engines that are not ours state no fingerprint: their only model, or the one of our name, must be it.
    const unnamed = models.filter((candidate) => candidate.fingerprint === undefined);
    const model =
      models.find((candidate) => candidate.fingerprint === fingerprint) ??
      (models.length === 1 ? unnamed[0] : unnamed.find((candidate) => candidate.id === name));
    if (model && (model.vocabularySize ?? vocabularySize) === vocabularySize) return model;
    const offered =
      models
        .map((candidate) => candidate.fingerprint?.slice(0, 8) ?? "without a fingerprint")
        .slice(0, 4)
        .join(", ") || "nothing";
    throw new UnseenError(
      "BUNDLE_MISMATCH",
      `the host at ${url} serves another encrypted model: expected ${fingerprint.slice(0, 8)}, got ${offered}.`,
      {
        hint: `Serve the directory that was encrypted as ${name}, or choose the bundle of the model that is served there.`,
      },
    );
  }
}
