/**
 * The blind session: plain ids on this side, cipher ids on the hosts' side.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { createHmac, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { TokenCipher } from "../token-cipher.ts";
import type { Alternative, ByteTap, Engine, GenerateRequest, GeneratedChunk } from "./engine.ts";
import { HostPool, type ModelIdentity } from "./host-pool.ts";

/** What a host saw of one request: the figures behind `--show-wire`. */
export interface WireEvent {
  readonly host: string;
  readonly direction: "sent" | "received";
  /** Cipher ids. */
  readonly ids: readonly number[];
  /** For ids that were filled up to a fixed length: 1 for each that is the text's own. */
  readonly mask?: readonly number[];
  /** Encrypted numbers, where no ids passed. */
  readonly values?: ArrayLike<number>;
}

export interface BlindOptions {
  readonly signal: AbortSignal;
  readonly onWire?: (event: WireEvent) => void;
  /** Gets the bytes behind {@link WireEvent}s. */
  readonly onBytes?: ByteTap;
  /** Called when a host failed in mid-answer and another one continues. */
  readonly onResume?: () => void;
}

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
  readonly #pool: HostPool<Engine>;
  readonly #saltKey = randomBytes(32);

  constructor(identity: ModelIdentity, cipher: TokenCipher, engines: readonly Engine[]) {
    this.#identity = identity;
    this.#cipher = cipher;
    this.#pool = new HostPool(identity, engines);
  }

  /** An unguessable cache salt that stays the same for one user during this run, so that their own prefixes stay cached. */
  cacheSalt(user: string): string {
    return createHmac("sha256", this.#saltKey).update(user).digest("base64url");
  }

  /** Tokens of prompt and answer that every host seen so far offers; Infinity where none says. */
  get contextLength(): number {
    return this.#pool.contextLength;
  }

  /** Waits until at least one host is known, so that {@link contextLength} is. @throws UnseenError as {@link connect}. */
  ready(): Promise<void> {
    return this.#pool.ready();
  }

  /**
   * Asks every host what it serves.
   * @throws UnseenError BUNDLE_MISMATCH when any host serves another model; otherwise the last failure when no host answers.
   */
  connect(): Promise<void> {
    return this.#pool.connect();
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
    for (let hosts = this.#pool.order(); ;) {
      const host = hosts.shift();
      if (!host) throw this.#pool.none();
      host.active += 1;
      try {
        const model = await this.#pool.identify(host);
        if (received.length > 0) options.onResume?.();
        const prompt = this.#cipher.encipher([...request.prompt, ...received]);
        const remaining = request.maximumTokens - received.length;
        const onWire = host.engine.keepsIds ? undefined : options.onWire;
        onWire?.({ host: host.engine.url, direction: "sent", ids: prompt });
        for await (const chunk of host.engine.generate(
          { ...enciphered, model: model.id, prompt, maximumTokens: remaining },
          options.signal,
          options.onBytes,
        )) {
          onWire?.({ host: host.engine.url, direction: "received", ids: chunk.ids });
          const plain = limit(this.#decipher(chunk, host.engine.url), request.maximumTokens - received.length);
          received.push(...plain.ids);
          if (plain.ids.length > 0) waiting.end();
          if (plain.ids.length > 0 || plain.finishReason) yield plain;
          if (plain.finishReason) return;
        }
        throw new UnseenError("HOST_PROTOCOL", `the host at ${host.engine.url} ended in mid-answer.`, { hint: "See the host's log." });
      } catch (error) {
        if (options.signal.aborted || !UnseenError.isInstance(error)) throw error;
        this.#pool.fail(host);
        const finishReason = ended(request, received);
        if (finishReason) return yield { ids: [], finishReason };
        if (hosts.length === 0) {
          if (received.length === 0 || !waiting.allows(error)) throw error;
          await sleep(RESTART_PAUSE, undefined, { signal: options.signal });
          hosts = this.#pool.order();
        }
      } finally {
        host.active -= 1;
      }
    }
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
