/**
 * Speaks the encoder dialect of `unseen serve`: cipher ids or enciphered tensors out, encrypted numbers back.
 * @module
 */
import type { UnseenError } from "@unseen/core/errors.ts";
import { z } from "zod";
import type { HostAttestation } from "../engines/attested-connection.ts";
import type { HostFacts, ModelHost } from "../engines/engine.ts";
import { HostConnection, type HostResponse } from "../engines/host-connection.ts";
import { connectionError, readJson, refusal } from "../engines/host-error.ts";
import { DEFAULT_SILENCE, hostRoot, listHostModels, protocolViolation, type HostAddress } from "../engines/model-list.ts";
import { Watchdog } from "../engines/watchdog.ts";
import { volume, type Tensor } from "./tensor.ts";

/** Bytes of one answer (CWE-770): a batch of 64 pictures' or texts' outputs as decimal numbers. */
const MAXIMUM_ANSWER_BYTES = 128 * 1024 * 1024;
const MAXIMUM_RANK = 16;

/** Sequences of cipher ids, with their token types where the model reads two texts at once. */
export interface IdRows {
  readonly ids: readonly (readonly number[])[];
  /** 0 where the sequence was filled up; absent where none was. */
  readonly masks?: readonly (readonly number[])[];
  readonly segments?: readonly (readonly number[])[];
  /** For each row the first place of its highest plain id, where the model asks for it. */
  readonly peaks?: readonly number[];
}

/** A batch as the host's own inputs. */
export interface TensorRows {
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/** A connection to one host that computes vectors, scores and logits. All ids are cipher ids, all numbers encrypted. */
export interface EncoderEngine extends ModelHost {
  /** The model's first output for each row, without the batch axis. @throws UnseenError HOST_*, ENGINE_CRASHED, OVERLOADED. */
  outputs(model: string, rows: IdRows | TensorRows, signal: AbortSignal): Promise<Tensor[]>;
  /** One pooled vector for each row. @throws UnseenError as {@link outputs}. */
  embed(model: string, rows: IdRows, signal: AbortSignal): Promise<Float64Array[]>;
  /** The cosine of each document with the query, in the documents' order. @throws UnseenError as {@link outputs}. */
  rank(model: string, query: readonly number[], documents: readonly (readonly number[])[], signal: AbortSignal): Promise<number[]>;
}

const index = z.int().nonnegative();

const outputList = z.object({
  data: z.array(z.object({ index, outputs: z.array(z.number()), shape: z.array(z.int().nonnegative()).max(MAXIMUM_RANK) })),
});

const vectorList = z.object({ data: z.array(z.object({ index, embedding: z.base64() })) });

const scoreList = z.object({ results: z.array(z.object({ index, relevance_score: z.number() })) });

/** `unseen serve` with an encrypted ONNX model. */
export class EncoderHost implements EncoderEngine {
  readonly url: string;
  readonly attestation: HostAttestation | undefined;
  readonly #connection: HostConnection;
  readonly #silence: number;

  constructor(options: HostAddress) {
    this.url = hostRoot(options.url);
    this.attestation = options.attestation;
    this.#connection = new HostConnection(this.url, options.apiKey, options.attestation);
    this.#silence = options.silence ?? DEFAULT_SILENCE;
  }

  probe(signal?: AbortSignal): Promise<HostFacts> {
    return listHostModels(this.url, this.#connection, this.#silence, signal);
  }

  async outputs(model: string, rows: IdRows | TensorRows, signal: AbortSignal): Promise<Tensor[]> {
    const body = "ids" in rows ? idBody(model, rows) : { model, tensors: tensorBody(rows.tensors) };
    const answer = this.#read(outputList, await this.#post("/classify", body, signal));
    const ordered = this.#inOrder(answer.data, batchOf(rows));
    return ordered.map(({ outputs, shape }) => {
      if (volume(shape) !== outputs.length) throw this.#violation("the numbers of an output do not fill its shape");
      return { shape, values: Float64Array.from(outputs) };
    });
  }

  async embed(model: string, rows: IdRows, signal: AbortSignal): Promise<Float64Array[]> {
    const body = { ...idBody(model, rows), encoding_format: "base64" };
    const answer = this.#read(vectorList, await this.#post("/v1/embeddings", body, signal));
    const vectors = this.#inOrder(answer.data, rows.ids.length).map(({ embedding }) => this.#readVector(embedding));
    if (vectors.some((vector) => vector.length !== vectors[0]!.length)) throw this.#violation("its vectors have several lengths");
    return vectors;
  }

  async rank(model: string, query: readonly number[], documents: readonly (readonly number[])[], signal: AbortSignal): Promise<number[]> {
    const answer = this.#read(scoreList, await this.#post("/v1/rerank", { model, query, documents }, signal));
    return this.#inOrder(answer.results, documents.length).map(({ relevance_score: score }) => score);
  }

  async #post(path: string, body: unknown, signal: AbortSignal): Promise<unknown> {
    const watchdog = new Watchdog(this.#silence, `the host at ${this.url}`, signal);
    let response: HostResponse | undefined;
    let read = false;
    try {
      response = await this.#connection.post(path, JSON.stringify(body), watchdog.signal);
      if (!response.ok) throw await refusal(this.url, response);
      const value = await readJson(this.url, response, MAXIMUM_ANSWER_BYTES, () => watchdog.touch());
      read = true;
      return value;
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw connectionError(this.url, watchdog.signal.aborted ? watchdog.signal.reason : error);
    } finally {
      watchdog.stop();
      if (read) response?.finish();
      else response?.hangUp();
    }
  }

  #read<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
    const result = schema.safeParse(value);
    if (result.success) return result.data;
    throw this.#violation("its answer has another form");
  }

  /** Entries by index, each index once. */
  #inOrder<Entry extends { readonly index: number }>(entries: readonly Entry[], count: number): Entry[] {
    const ordered: (Entry | undefined)[] = Array.from({ length: count });
    for (const entry of entries) {
      if (entry.index >= count || ordered[entry.index]) throw this.#violation("an index is out of range or occurs twice");
      ordered[entry.index] = entry;
    }
    return ordered.map((entry) => {
      if (!entry) throw this.#violation("rows are missing");
      return entry;
    });
  }

  /** Little-endian float32. */
  #readVector(text: string): Float64Array {
    const bytes = Buffer.from(text, "base64");
    if (bytes.length === 0 || bytes.length % 4 !== 0) throw this.#violation("a vector is not a list of float32");
    const vector = Float64Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i));
    if (!vector.every(Number.isFinite)) throw this.#violation("a vector holds what is not a number");
    return vector;
  }

  #violation(what: string): UnseenError {
    return protocolViolation(this.url, what, "It serves another model or is faulty.");
  }
}

function batchOf(rows: IdRows | TensorRows): number {
  return "ids" in rows ? rows.ids.length : (rows.tensors.values().next().value?.shape[0] ?? 0);
}

function idBody(model: string, { ids, masks, segments, peaks }: IdRows): Record<string, unknown> {
  return { model, input: ids, ...(masks ? { mask: masks } : {}), ...(segments ? { segments } : {}), ...(peaks ? { peaks } : {}) };
}

function tensorBody(tensors: ReadonlyMap<string, Tensor>): Record<string, unknown> {
  const entries = [...tensors].map(([name, { shape, values }]) => [name, { type: "float32", shape, data: encodeFloats(values) }] as const);
  return Object.fromEntries(entries);
}

/** Little-endian float32 as base64. */
export function encodeFloats(values: ArrayLike<number>): string {
  const bytes = Buffer.alloc(4 * values.length);
  for (let i = 0; i < values.length; i++) bytes.writeFloatLE(values[i]!, 4 * i);
  return bytes.toString("base64");
}
