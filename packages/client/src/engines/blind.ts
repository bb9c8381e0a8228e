/**
 * The blind session: plain ids on this side, cipher ids on the hosts' side.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { createHmac, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { TokenCipher } from "../token-cipher.ts";
import type { Alternative, Engine, GenerateRequest, GeneratedChunk, HostModel } from "./engine.ts";

/** What a host saw of one request: the figures behind `--show-wire`. */
export interface WireEvent {
  readonly host: string;
  readonly direction: "sent" | "received";
  /** Cipher ids. */
  readonly ids: readonly number[];
}

export interface BlindOptions {
  readonly signal: AbortSignal;
  readonly onWire?: (event: WireEvent) => void;
  /** Called when a host failed in mid-answer and another one continues. */
  readonly onResume?: () => void;
}

/** The public facts of an encrypted model that a host must agree with. */
export interface ModelIdentity {
  readonly name: string;
  readonly fingerprint: string;
  readonly vocabularySize: number;
}

interface Host {
  readonly engine: Engine;
  active: number;
  /** Milliseconds since the epoch; a host that failed just now is asked last. */
  failedAt: number;
  /** What it serves, once asked; forgotten after a failure. */
  model: Promise<HostModel> | null;
  /** Tokens of prompt and answer that it offered when it was last asked; null before. */
  contextLength: number | null;
}

/** How long a failed host goes to the end of the queue. */
const PENALTY = 10_000;
/** Between two rounds through all hosts. */
const RESTART_PAUSE = 1_000;
/** An answer that has begun waits so long for a host to load its model again. */
const RESTART_PATIENCE = 20_000;

/**
 * One encrypted model on one or more hosts. {@link BlindEngine.generate} takes and yields plain ids; only cipher ids leave.
 * Since the client knows every id so far, an answer whose host dies goes on at the next host.
 */
export class BlindEngine {
  readonly #identity: ModelIdentity;
  readonly #cipher: TokenCipher;
  readonly #hosts: Host[];
  readonly #saltKey = randomBytes(32);

  constructor(identity: ModelIdentity, cipher: TokenCipher, engines: readonly Engine[]) {
    this.#identity = identity;
    this.#cipher = cipher;
    this.#hosts = engines.map((engine) => ({ engine, active: 0, failedAt: 0, model: null, contextLength: null }));
  }

  /** An unguessable cache salt that stays the same for one user during this run, so that their own prefixes stay cached. */
  cacheSalt(user: string): string {
    return createHmac("sha256", this.#saltKey).update(user).digest("base64url");
  }

  /** Tokens of prompt and answer that every host seen so far offers; Infinity where none says. */
  get contextLength(): number {
    return Math.min(...this.#hosts.map((host) => host.contextLength ?? Infinity));
  }

  /** Waits until at least one host is known, so that {@link contextLength} is. @throws UnseenError as {@link connect}. */
  async ready(): Promise<void> {
    if (!this.#hosts.some((host) => host.contextLength !== null)) await this.connect();
  }

  /**
   * Asks every host what it serves.
   * @throws UnseenError BUNDLE_MISMATCH when any host serves another model; otherwise the last failure when no host answers.
   */
  async connect(): Promise<void> {
    const results = await Promise.allSettled(this.#hosts.map((host) => this.#identify(host)));
    const failures = results.flatMap((result) => (result.status === "rejected" ? [result.reason as unknown] : []));
    const mismatch = failures.find((error) => UnseenError.isInstance(error) && error.code === "BUNDLE_MISMATCH");
    if (mismatch) throw mismatch;
    if (failures.length === results.length) throw failures.at(-1) ?? noHost(this.#identity.name);
  }

  /**
   * Streams one answer in plain ids.
   * @param request - All ids plain.
   * @throws UnseenError TOKEN_OUT_OF_RANGE for an id of the caller's outside the vocabulary; HOST_* when the last host failed.
   */
  async *generate(request: GenerateRequest, options: BlindOptions): AsyncGenerator<GeneratedChunk> {
    const enciphered = this.#encipherFixed(request);
    const received: number[] = [];
    const waiting = new RestartPatience();
    for (let hosts = this.#order(); ;) {
      const host = hosts.shift();
      if (!host) throw noHost(this.#identity.name);
      host.active += 1;
      try {
        const model = await this.#identify(host);
        if (received.length > 0) options.onResume?.();
        const prompt = this.#cipher.encipher([...request.prompt, ...received]);
        const remaining = request.maximumTokens - received.length;
        options.onWire?.({ host: host.engine.url, direction: "sent", ids: prompt });
        for await (const chunk of host.engine.generate(
          { ...enciphered, model: model.id, prompt, maximumTokens: remaining },
          options.signal,
        )) {
          options.onWire?.({ host: host.engine.url, direction: "received", ids: chunk.ids });
          const plain = limit(this.#decipher(chunk, host.engine.url), request.maximumTokens - received.length);
          received.push(...plain.ids);
          if (plain.ids.length > 0) waiting.end();
          if (plain.ids.length > 0 || plain.finishReason) yield plain;
          if (plain.finishReason) return;
        }
        throw new UnseenError("HOST_PROTOCOL", `the host at ${host.engine.url} ended in mid-answer.`, { hint: "See the host's log." });
      } catch (error) {
        if (options.signal.aborted || !UnseenError.isInstance(error)) throw error;
        host.failedAt = Date.now();
        // Whatever comes up there next may be another model.
        host.model = null;
        const finishReason = ended(request, received);
        if (finishReason) return yield { ids: [], finishReason };
        if (hosts.length === 0) {
          if (received.length === 0 || !waiting.allows(error)) throw error;
          await sleep(RESTART_PAUSE, undefined, { signal: options.signal });
          hosts = this.#order();
        }
      } finally {
        host.active -= 1;
      }
    }
  }

  /** The least busy host first, hosts that failed just now last. */
  #order(): Host[] {
    const recently = Date.now() - PENALTY;
    return this.#hosts.toSorted(
      (one, other) => Number(one.failedAt > recently) - Number(other.failedAt > recently) || one.active - other.active,
    );
  }

  /** Shared by all requests that wait for it, therefore without any one caller's abort signal. */
  #identify(host: Host): Promise<HostModel> {
    if (host.model) return host.model;
    const found = host.engine.probe().then((facts) => this.#recognise(host.engine.url, facts.models));
    host.model = found;
    const settle = (model: HostModel): void => {
      host.contextLength = model.contextLength ?? Infinity;
    };
    const forget = (): void => {
      if (host.model === found) host.model = null;
    };
    found.then(settle, forget);
    return found;
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

  #encipherFixed(request: GenerateRequest): GenerateRequest {
    // Checks the caller's own ids before any host is asked, so that a failure below is always a host's.
    this.#cipher.encipher(request.prompt);
    const bias = request.logitBias && new Map([...request.logitBias].map(([id, value]) => [this.#cipher.encipher([id])[0]!, value]));
    return { ...request, stopTokenIds: this.#cipher.encipher(request.stopTokenIds), ...(bias ? { logitBias: bias } : {}) };
  }

  #decipher(chunk: GeneratedChunk, url: string): GeneratedChunk {
    try {
      const ids = this.#cipher.decipher(chunk.ids);
      if (!chunk.logprobs) return { ...chunk, ids };
      const plain = ({ id, logprob }: Alternative): Alternative => ({ id: this.#cipher.decipher([id])[0]!, logprob });
      return { ...chunk, ids, logprobs: chunk.logprobs.map((line) => ({ ...plain(line), top: line.top.map(plain) })) };
    } catch (cause) {
      throw new UnseenError(
        "HOST_PROTOCOL",
        `the host at ${url} sent a token id outside the vocabulary of ${this.#identity.vocabularySize}.`,
        {
          hint: "It serves another model or is faulty.",
          cause,
        },
      );
    }
  }
}

/** A host that sends more than was asked for is cut off. */
function limit(chunk: GeneratedChunk, remaining: number): GeneratedChunk {
  if (chunk.ids.length <= remaining) return chunk;
  const logprobs = chunk.logprobs?.slice(0, remaining);
  return { ids: chunk.ids.slice(0, remaining), ...(logprobs ? { logprobs } : {}), finishReason: "length" };
}

/** Why an answer is already complete although its host never said so. */
function ended(request: GenerateRequest, received: readonly number[]): "stop" | "length" | null {
  const last = received.at(-1);
  if (last !== undefined && !request.ignoreEnd && request.stopTokenIds.includes(last)) return "stop";
  return received.length >= request.maximumTokens ? "length" : null;
}

/** How long an answer that has begun waits for its hosts. A host that died is usually started again by whoever watches over it. */
class RestartPatience {
  #deadline: number | null = null;
  #forgiven = false;

  /** Whether to ask all hosts once more after the last one's failure. */
  allows({ code }: UnseenError): boolean {
    if (code === "HOST_UNREACHABLE" || code === "HOST_LOADING" || code === "ENGINE_CRASHED") {
      this.#deadline ??= Date.now() + RESTART_PATIENCE;
      return Date.now() < this.#deadline;
    }
    // Any other failure may be the last breath of a dying host, once; a host that is simply faulty would go on for ever.
    if (this.#forgiven || code === "HOST_TIMEOUT") return false;
    this.#forgiven = true;
    return true;
  }

  /** The answer goes on. */
  end(): void {
    this.#deadline = null;
  }
}

function noHost(model: string): UnseenError {
  return new UnseenError("HOST_UNREACHABLE", `model ${model} has no host.`, { hint: "Give one with --host URL." });
}
