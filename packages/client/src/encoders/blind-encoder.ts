/**
 * The blind encoder: texts and pictures on this side, cipher ids and encrypted numbers on the hosts' side.
 * @module
 */
import type { ClientInterface } from "@unseen/core/blueprint/interface.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { setTimeout as sleep } from "node:timers/promises";
import type { WireEvent } from "../engines/blind.ts";
import { HostPool, type ModelIdentity } from "../engines/host-pool.ts";
import { protocolViolation } from "../engines/model-list.ts";
import type { Stem } from "../stem/stem.ts";
import type { TextTokenizer } from "../tokenizer.ts";
import type { EncoderEngine, IdRows, TensorRows } from "./encoder-host.ts";
import { cosine, largest, normalise, probabilities } from "./scores.ts";
import { batchesOf, SequenceReader, type EncoderText, type Sequence } from "./sequences.ts";
import { isIsometric } from "./isometry.ts";
import { AxisElements, type Tensor } from "./tensor.ts";
import { cutAlong, TokenOrder } from "./token-order.ts";

/** A text as {@link EncoderText}, or the bytes of a picture's file. */
export type EncoderInput = EncoderText | Uint8Array;

export interface EncodeOptions {
  readonly signal: AbortSignal;
  readonly onWire?: ((event: WireEvent) => void) | undefined;
}

/** What a classifier says of one input. */
export interface Classification {
  readonly index: number;
  readonly label: string;
  readonly probabilities: readonly number[];
  readonly logits: readonly number[];
}

/** Results in the order of the inputs. */
export interface Encoded<Result> {
  readonly results: readonly Result[];
  /** Tokens that hosts got for it, without what fills them up; 0 for pictures. */
  readonly tokens: number;
}

interface EncodedTexts<Result> extends Encoded<Result> {
  /** Tokens of each text; null for pictures. */
  readonly lengths: readonly number[] | null;
}

export interface EncoderParts {
  readonly identity: ModelIdentity;
  readonly ends: ClientInterface;
  readonly tokenizer: TextTokenizer | null;
  /** The 32-byte key. */
  readonly secret: Uint8Array;
  readonly engines: readonly EncoderEngine[];
  /** Where {@link ClientInterface.stem} names one. */
  readonly stem: Stem | null;
}

/** Between two rounds through all hosts. */
const RESTART_PAUSE = 1_000; // ms
/** Documents of one ranking request; with the query 64 rows. */
const RANKED_AT_ONCE = 63;

/**
 * One encrypted encoder on one or more hosts. A request changes nothing at a host, so one that fails is asked of the next.
 *
 * @example
 * ```ts
 * const { results } = await encoder.classify(["a gorgeous film"], { signal: AbortSignal.timeout(10_000) });
 * results[0].label; // "POSITIVE"
 * ```
 */
export class BlindEncoder {
  readonly #parts: EncoderParts;
  readonly #pool: HostPool<EncoderEngine>;
  readonly #output: AxisElements;
  readonly #inputs: ReadonlyMap<string, AxisElements>;
  readonly #order: TokenOrder | null;
  /** Axes of the output, the batch first, that count tokens in secret order. */
  readonly #tokenAxes: readonly number[];
  #reader: SequenceReader | null = null;
  #isometric: boolean | null = null;

  /** @throws UnseenError BUNDLE_INVALID for an interface without outputs, or with recipes or an order of tokens that cannot be. */
  constructor(parts: EncoderParts) {
    const { ends, secret } = parts;
    const [output] = ends.outputs;
    if (!output)
      throw new UnseenError("BUNDLE_INVALID", "interface.json: outputs: expected at least one, got none.", {
        hint: "Encrypt the model again, or restore the bundle from a backup.",
      });
    this.#parts = parts;
    this.#pool = new HostPool(parts.identity, parts.engines);
    this.#output = new AxisElements(output.name, output.axes, secret);
    this.#order = TokenOrder.of(ends, secret);
    this.#tokenAxes = output.axes.flatMap((recipe, axis) => (this.#order?.runsAlong(recipe) ? [axis] : []));
    this.#inputs = new Map(
      ends.inputs.flatMap((input) =>
        input.kind === "tensor" ? [[input.name, new AxisElements(input.name, input.axes, secret)] as const] : [],
      ),
    );
  }

  /** Whether the model reads pictures rather than texts. */
  get readsPictures(): boolean {
    return this.#parts.ends.image !== null;
  }

  /** What the model was made for. */
  get task(): ClientInterface["task"] {
    return this.#parts.ends.task;
  }

  get engines(): readonly EncoderEngine[] {
    return this.#parts.engines;
  }

  /** The same model at other hosts; both share what runs on this machine. */
  withEngines(engines: readonly EncoderEngine[]): BlindEncoder {
    return new BlindEncoder({ ...this.#parts, engines });
  }

  /** Tokens of one text: the model's own limit, as far as the hosts offer it; Infinity where none is known. */
  get maximumLength(): number {
    return Math.min(this.#parts.ends.maximumLength ?? Infinity, this.#order?.length ?? Infinity, this.#pool.contextLength);
  }

  /** Asks every host what it serves. @throws UnseenError BUNDLE_MISMATCH, or HOST_* when none answers. */
  connect(): Promise<void> {
    return this.#pool.connect();
  }

  /** Ends what the encoder runs on this machine, and what its hosts' connections keep open. */
  close(): void {
    this.#parts.stem?.close();
    for (const engine of this.#parts.engines) engine.close?.();
  }

  /**
   * Which class each input belongs to. A single logit is the probability of the first label.
   * @throws UnseenError REQUEST_UNSUPPORTED where the model gives no classes; REQUEST_*, TOKEN*, HOST_* as they come.
   */
  async classify(inputs: readonly EncoderInput[], options: EncodeOptions): Promise<Encoded<Classification>> {
    if (this.task === "embedding") throw unsupported("makes vectors, it knows no classes", "Use POST /v1/embeddings or /v1/rerank.");
    const { results, tokens } = await this.outputs(inputs, options);
    const { labels } = this.#parts.ends;
    return { results: results.map((tensor) => describe(tensor, labels)), tokens };
  }

  /**
   * One vector for each input, deciphered.
   *
   * @param options.encrypted - Leave the vectors as the host made them: cosines and norms are those of the plain ones, so a vector
   * database can search them without reading them.
   * @throws UnseenError REQUEST_UNSUPPORTED where the model makes no vectors, or none that keep their angles.
   */
  async embed(inputs: readonly EncoderInput[], options: EncodeOptions & { readonly encrypted?: boolean }): Promise<Encoded<Float64Array>> {
    if (this.task === "classification") throw unsupported("knows classes, it makes no vectors", "Use POST /classify.");
    if (options.encrypted && !this.#keepsAngles())
      throw unsupported("has vectors whose angles change under encryption", "Leave encrypted out; the vectors then come deciphered.");
    const { results, tokens } = await this.#vectors(inputs, options);
    const axis = this.#output.rank - 1;
    const vectors = options.encrypted ? results : this.#output.decipherRows(results, axis);
    if (this.#parts.ends.normalise) for (const vector of vectors) normalise(vector);
    return { results: vectors, tokens };
  }

  /**
   * How well each document fits the query: the cosine of their vectors, or a cross-encoder's probability.
   * @throws UnseenError REQUEST_UNSUPPORTED where the model can do neither.
   */
  async rerank(query: EncoderText, documents: readonly EncoderText[], options: EncodeOptions): Promise<Encoded<number>> {
    if (this.task === "embedding") return this.#rankVectors(query, documents, options);
    const pairs = documents.map((document) => [wordsOf(query), wordsOf(document)] as const);
    const { results, tokens } = await this.classify(pairs, options);
    if (results.some(({ logits }) => logits.length !== 1))
      throw unsupported("sorts texts into classes; it does not score pairs", "Use POST /classify.");
    return { results: results.map((result) => result.probabilities[0]!), tokens };
  }

  /** The model's first output for each input, deciphered, without the batch axis. @throws UnseenError as {@link classify}. */
  async outputs(inputs: readonly EncoderInput[], options: EncodeOptions): Promise<Encoded<Tensor>> {
    const { results, tokens, lengths } = await this.#encrypted(inputs, options);
    for (const tensor of results) this.#output.decipher({ shape: [1, ...tensor.shape], values: tensor.values });
    const axes = this.#tokenAxes.map((axis) => axis - 1);
    return { results: lengths ? results.map((tensor, place) => cutAlong(tensor, axes, lengths[place]!)) : results, tokens };
  }

  async #encrypted(inputs: readonly EncoderInput[], options: EncodeOptions): Promise<EncodedTexts<Tensor>> {
    const ask = (rows: IdRows | TensorRows): Promise<Tensor[]> => this.#askOutputs(rows, options);
    if (inputs.every((input) => input instanceof Uint8Array)) {
      const results: Tensor[] = [];
      for (const picture of inputs) results.push((await ask({ tensors: await this.#readPicture(picture) }))[0]!);
      return { results, tokens: 0, lengths: null };
    }
    return this.#inBatches(await this.#readTexts(inputs), ask);
  }

  async #vectors(inputs: readonly EncoderInput[], options: EncodeOptions): Promise<Encoded<Float64Array>> {
    if (inputs.every((input) => input instanceof Uint8Array)) {
      const { results, tokens } = await this.#encrypted(inputs, options);
      if (results.some(({ shape }) => shape.length !== 1)) throw unsupported("makes several vectors of one picture", "Use another model.");
      return { results: results.map(({ values }) => values), tokens };
    }
    return this.#inBatches(await this.#readTexts(inputs), (rows) =>
      this.#ask(async (engine, model) => {
        noteIds(engine.url, rows, options);
        const vectors = await engine.embed(model, rows, options.signal);
        const width = this.#output.size(this.#output.rank - 1);
        if (width !== null && vectors.some((vector) => vector.length !== width))
          throw protocolViolation(engine.url, "its vectors have another length than the model's", "It serves another model or is faulty.");
        for (const values of vectors) options.onWire?.({ host: engine.url, direction: "received", ids: [], values });
        return vectors;
      }, options.signal),
    );
  }

  async #rankVectors(query: EncoderText, documents: readonly EncoderText[], options: EncodeOptions): Promise<Encoded<number>> {
    // A ranking request has no room for what hosts must be told of such models' texts: places and masks.
    const takesPeaks = this.#parts.ends.inputs.some((input) => input.kind === "peaks");
    if (takesPeaks || this.#order || !this.#keepsAngles()) {
      const { results, tokens } = await this.embed([query, ...documents], options);
      const [first, ...rest] = results as readonly [Float64Array, ...Float64Array[]];
      return { results: rest.map((vector) => cosine(first, vector)), tokens };
    }
    // The host compares vectors that it cannot read.
    const [asked, ...sequences] = (await this.#readTexts([query, ...documents])) as [Sequence, ...Sequence[]];
    const results: number[] = [];
    for (let start = 0; start < sequences.length; start += RANKED_AT_ONCE) {
      const ids = sequences.slice(start, start + RANKED_AT_ONCE).map((sequence) => sequence.ids);
      const scores = await this.#ask(async (engine, model) => {
        noteIds(engine.url, { ids: [asked.ids, ...ids] }, options);
        const values = await engine.rank(model, asked.ids, ids, options.signal);
        options.onWire?.({ host: engine.url, direction: "received", ids: [], values });
        return values;
      }, options.signal);
      results.push(...scores);
    }
    return { results, tokens: countTokens([asked, ...sequences]) };
  }

  async #readTexts(inputs: readonly EncoderInput[]): Promise<Sequence[]> {
    if (this.readsPictures) throw unsupported("reads pictures, not texts", "Send image, the file as base64.");
    const { ends, tokenizer, secret } = this.#parts;
    this.#reader ??= new SequenceReader(ends, tokenizer, secret, this.#order);
    const reader = this.#reader;
    await this.#pool.ready();
    const fixed = this.#order?.length ?? 0;
    if (fixed > this.#pool.contextLength)
      throw new UnseenError("HOST_REFUSED", `the hosts take ${this.#pool.contextLength} tokens; the model's sequences have ${fixed}.`, {
        hint: "Serve the model without --context.",
      });
    return inputs.map((input) => {
      if (input instanceof Uint8Array) throw unsupported("reads texts, not pictures", "Send input, a text.");
      return reader.read(input, this.maximumLength);
    });
  }

  /** A picture's file as the host's enciphered inputs. */
  async #readPicture(bytes: Uint8Array): Promise<Map<string, Tensor>> {
    const { ends, stem } = this.#parts;
    if (!ends.image) throw unsupported("does not read pictures", "Send input, a text.");
    // Loaded here, because the image library is large and texts do without it.
    const { readPicture } = await import("../pictures/preprocess.ts");
    const plain = await readPicture(bytes, ends.image);
    const [name] = this.#inputs.keys();
    const tensors = stem ? await stem.run(plain) : new Map(name === undefined ? [] : [[name, plain]]);
    if (tensors.size !== this.#inputs.size || [...tensors.keys()].some((key) => !this.#inputs.has(key)))
      throw new UnseenError("BUNDLE_INVALID", "interface.json: expected a picture or a stem for every input of the model, got others.", {
        hint: "Encrypt the model again, or restore the bundle from a backup.",
      });
    for (const [key, tensor] of tensors) this.#inputs.get(key)!.encipher(tensor);
    return tensors;
  }

  #askOutputs(rows: IdRows | TensorRows, options: EncodeOptions): Promise<Tensor[]> {
    return this.#ask(async (engine, model) => {
      if ("ids" in rows) noteIds(engine.url, rows, options);
      else for (const { values } of rows.tensors.values()) options.onWire?.({ host: engine.url, direction: "sent", ids: [], values });
      const tensors = await engine.outputs(model, rows, options.signal);
      for (const { shape, values } of tensors) {
        options.onWire?.({ host: engine.url, direction: "received", ids: [], values });
        if (!this.#output.fits([1, ...shape]))
          throw protocolViolation(engine.url, "an output has another shape than the model's", "It serves another model or is faulty.");
      }
      return tensors;
    }, options.signal);
  }

  /** Sequences in batches of similar length; results in the order of the sequences. */
  async #inBatches<Result>(sequences: readonly Sequence[], ask: (rows: IdRows) => Promise<Result[]>): Promise<EncodedTexts<Result>> {
    const results: Result[] = [];
    for (const places of batchesOf(sequences.map(({ ids }) => ids.length))) {
      const rows = places.map((place) => sequences[place]!);
      const segments = rows.some((row) => row.segments) ? rows.map((row) => row.segments ?? row.ids.map(() => 0)) : null;
      const peaks = rows.flatMap((row) => row.peak ?? []);
      const ids = rows.map((row) => row.ids);
      const masks = rows.flatMap((row) => (row.mask ? [row.mask] : []));
      const answers = await ask({
        ids,
        ...(masks.length > 0 ? { masks } : {}),
        ...(segments ? { segments } : {}),
        ...(peaks.length > 0 ? { peaks } : {}),
      });
      places.forEach((place, index) => (results[place] = answers[index]!));
    }
    return { results, tokens: countTokens(sequences), lengths: sequences.map(({ length }) => length) };
  }

  /** Asks one host after the other, and all of them once more when an engine has just crashed: our hosts start it again. */
  async #ask<Result>(work: (engine: EncoderEngine, model: string) => Promise<Result>, signal: AbortSignal): Promise<Result> {
    let isForgiven = false;
    for (let seats = this.#pool.order(); ;) {
      const seat = seats.shift();
      if (!seat) throw this.#pool.none();
      seat.active += 1;
      try {
        const model = await this.#pool.identify(seat);
        return await work(seat.engine, model.id);
      } catch (error) {
        if (signal.aborted || !UnseenError.isInstance(error)) throw error;
        this.#pool.fail(seat);
        if (seats.length > 0) continue;
        if (isForgiven || error.code !== "ENGINE_CRASHED") throw error;
        isForgiven = true;
        await sleep(RESTART_PAUSE, undefined, { signal });
        seats = this.#pool.order();
      } finally {
        seat.active -= 1;
      }
    }
  }

  #keepsAngles(): boolean {
    return (this.#isometric ??= isIsometric(this.#output.inverse(this.#output.rank - 1)));
  }
}

function describe({ values }: Tensor, labels: readonly string[] | null): Classification {
  if (labels && labels.length !== values.length && values.length > 1)
    throw unsupported(`gives ${values.length} numbers and has ${labels.length} labels`, "Use a model that classifies whole inputs.");
  const chances = probabilities(values);
  const index = largest(chances);
  return { index, label: labels?.[index] ?? `LABEL_${index}`, probabilities: chances, logits: Array.from(values) };
}

function noteIds(host: string, { ids: rows, masks }: IdRows, { onWire }: EncodeOptions): void {
  rows.forEach((ids, row) => onWire?.({ host, direction: "sent", ids, ...(masks ? { mask: masks[row]! } : {}) }));
}

function countTokens(sequences: readonly Sequence[]): number {
  return sequences.reduce((sum, { length }) => sum + length, 0);
}

function wordsOf(text: EncoderText): string {
  if (typeof text === "string") return text;
  throw unsupported("reads query and document together", "Send both as text.");
}

function unsupported(what: string, hint: string): UnseenError {
  return new UnseenError("REQUEST_UNSUPPORTED", `model: the model ${what}.`, { hint });
}
