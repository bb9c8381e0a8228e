/**
 * What every host looks like to the client: token ids in, token ids out, nothing else.
 * @module
 */
import type { HostAttestation } from "./attested-connection.ts";

/**
 * One generation. At an engine's door every id is a cipher id; at {@link BlindEngine}'s door every id is a plain id.
 */
export interface GenerateRequest {
  /** The host's own name of the model, as its probe stated it; engines that serve one model may leave it out. */
  readonly model?: string;
  readonly prompt: readonly number[];
  readonly maximumTokens: number;
  /** 0 is greedy. */
  readonly temperature: number;
  readonly topP: number;
  readonly topK?: number;
  readonly minP?: number;
  readonly seed?: number;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  readonly repetitionPenalty?: number;
  readonly stopTokenIds: readonly number[];
  /** Goes on past the model's own end tokens. */
  readonly ignoreEnd?: boolean;
  readonly logitBias?: ReadonlyMap<number, number>;
  /** How many alternatives to report per token; absent means no log-probabilities at all. */
  readonly logprobs?: number;
  /** Secret and unguessable: separates the host's prefix cache from that of its other customers (CVE-2025-46570). */
  readonly cacheSalt: string;
}

export interface Alternative {
  readonly id: number;
  readonly logprob: number;
}

/** The natural log-probability of a generated token and of the likeliest ones at its place, best first. */
export interface TokenLogprob extends Alternative {
  readonly top: readonly Alternative[];
}

/** A piece of an answer: zero or more new ids, and on the last piece why it ended. */
export interface GeneratedChunk {
  readonly ids: readonly number[];
  /** One per id, when asked for. */
  readonly logprobs?: readonly TokenLogprob[];
  readonly finishReason?: "stop" | "length";
}

/** A model that a host offers. */
export interface HostModel {
  readonly id: string;
  /** Absent where the host cannot know it (engines that are not ours). */
  readonly fingerprint?: string;
  readonly vocabularySize?: number;
  /** Tokens of prompt and answer together. */
  readonly contextLength?: number;
}

export interface HostFacts {
  readonly models: readonly HostModel[];
  /** What answers there, as it calls itself: `vllm`, `unseen`, ... */
  readonly engine: string;
}

/** A connection to one host, whatever it computes. */
export interface ModelHost {
  readonly url: string;
  /** What the host must prove before it is sent anything; absent where nothing is demanded. */
  readonly attestation?: HostAttestation | undefined;
  /** Asks the host what it serves. @throws UnseenError HOST_UNREACHABLE, HOST_LOADING, HOST_REFUSED, HOST_PROTOCOL, HOST_TIMEOUT. */
  probe(signal?: AbortSignal): Promise<HostFacts>;
  /** Ends what it keeps open, if anything; the program could not end otherwise. */
  close?(): void;
}

/** Bytes that a host received or sent just now: what it can read of a request, inside TLS where there is any. */
export interface ByteEvent {
  /** Address. */
  readonly host: string;
  readonly direction: "sent" | "received";
  readonly bytes: Uint8Array;
}

/** Gets every piece as it passes, each its own to keep; the end of an answer's envelope may come after its last chunk. */
export type ByteTap = (event: ByteEvent) => void;

/** A connection to one host that continues token ids. */
export interface Engine extends ModelHost {
  /** Ids reach no machine, since the forward pass runs here. */
  readonly keepsIds?: true;
  /**
   * Streams one answer; leaving the loop early closes the connection, so the host stops computing.
   * @param tap - Gets what passes on the wire.
   * @throws UnseenError HOST_* or OVERLOADED; the abort reason once `signal` fires.
   */
  generate(request: GenerateRequest, signal: AbortSignal, tap?: ByteTap): AsyncIterable<GeneratedChunk>;
}
