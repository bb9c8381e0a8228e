/**
 * The forward pass of every decoder family over whole-number weights that somebody else multiplies. It is that of core's reference
 * with two differences: linear layers go through a {@link Multiplier}, and keys and values are remembered.
 *
 * Shapes: positions (T), hidden (d), heads (H), key-value heads (K), head size (h), neurons (m).
 * @module
 */
import type { Architecture, Layer } from "@unseen/core/blueprint/architecture.ts";
import { decoderOf } from "@unseen/core/blueprint/families/index.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { activations } from "@unseen/core/reference/activation.ts";
import { attendHeads, cap, embed, normalise, normaliseHeads } from "@unseen/core/reference/forward.ts";
import { add } from "@unseen/core/reference/layers.ts";
import { rotate } from "@unseen/core/reference/rotary.ts";
import type { Linear, NormWeights } from "@unseen/core/reference/weights.ts";
import type { Multiplier } from "../multiplier.ts";
import { protocolLimits } from "../protocol.ts";
import { ClientModel, type ClientDescription } from "./client-model.ts";
import { DecoderState } from "./decoder-state.ts";
import { GROUPS_PER_LAYER, decoderGroups, groupOrder } from "./groups.ts";
import { OutsourcedLayers } from "./outsourced-layers.ts";

export type { DecoderState };

/** The norms of one layer. */
interface LayerNorms {
  readonly attention: NormWeights;
  readonly query: NormWeights | null;
  readonly key: NormWeights | null;
  readonly attentionPost: NormWeights | null;
  readonly feed: NormWeights;
  readonly feedPost: NormWeights | null;
}

export interface StepOptions {
  /** Checked before and after every call of the multiplier. */
  readonly signal?: AbortSignal | undefined;
  /** Logits of the last id (default), or of every id of the step. */
  readonly logits?: "last" | "all";
}

/** What goes through one step. */
interface Batch {
  readonly state: DecoderState;
  /** Position of the batch's first id. */
  readonly first: number;
  /** Positions of the whole text. */
  readonly total: number;
  readonly multiplier: Multiplier;
  readonly signal: AbortSignal | undefined;
}

/** A client's decoder; texts are {@link DecoderState}s. */
export class ShareDecoder {
  readonly description: ClientDescription;
  readonly architecture: Architecture;
  readonly #embedding: Linear;
  readonly #positions: Linear | null;
  readonly #norms: readonly LayerNorms[];
  readonly #finalNorm: NormWeights;
  readonly #layers: OutsourcedLayers;

  private constructor(client: ClientModel) {
    const a = decoderOf(client.description.config).architecture;
    client.requireGroups(decoderGroups(a));
    const table = (name: string, rows: number): Linear => ({
      out: rows,
      in: a.hidden,
      weight: client.tensor(name, rows, a.hidden),
      bias: null,
    });
    this.description = client.description;
    this.architecture = a;
    this.#embedding = table("embedding", a.vocabulary);
    this.#positions = a.learnedPositions === null ? null : table("positions", a.learnedPositions);
    this.#norms = a.layers.map((_, index) => {
      const norm = (name: string, size = a.hidden): NormWeights => client.norm(`layers.${index}.${name}-norm`, size);
      return {
        attention: norm("attention"),
        query: a.headNorms ? norm("query", a.headSize) : null,
        key: a.headNorms ? norm("key", a.headSize) : null,
        attentionPost: a.postNorms ? norm("attention-post") : null,
        feed: norm("feed"),
        feedPost: a.postNorms ? norm("feed-post") : null,
      };
    });
    this.#finalNorm = client.norm("norm", a.hidden);
    this.#layers = new OutsourcedLayers(client);
  }

  /** Opens a client directory. Throws `BUNDLE_INVALID`, `CHECKPOINT_*`, `FAMILY_*`, `PERMISSION_DENIED`. */
  static async open(directory: string): Promise<ShareDecoder> {
    return new ShareDecoder(await ClientModel.open(directory));
  }

  /** An empty text. */
  start(): DecoderState {
    return new DecoderState(this.architecture);
  }

  /**
   * Appends ids to a text; logits (1 or T, vocabulary). A step that fails or is aborted leaves the text as it was.
   *
   * @throws UnseenError REQUEST_INVALID, TOKEN_OUT_OF_RANGE, REQUEST_TOO_LARGE, CHECKPOINT_NON_FINITE, and what the multiplier throws; the signal's reason
   */
  step(state: DecoderState, ids: readonly number[], multiplier: Multiplier, options: StepOptions = {}): Promise<Float64Array> {
    return state.hold(async () => {
      this.#check(state, ids);
      const text = [...state.ids, ...ids];
      if (state.length === 0 || !this.#changesFactors(state.total, text.length))
        return this.#advance(state, text, ids.length, multiplier, options);
      const fresh = this.start();
      const logits = await this.#advance(fresh, text, ids.length, multiplier, options);
      state.adopt(fresh);
      return logits;
    });
  }

  #check(state: DecoderState, ids: readonly number[]): void {
    const { vocabulary, maximumPositions } = this.architecture;
    if (ids.length === 0) throw new UnseenError("REQUEST_INVALID", "a step needs ids.", { hint: "Give at least one token id." });
    if (state.length + ids.length > maximumPositions)
      throw new UnseenError(
        "REQUEST_TOO_LARGE",
        `the model has ${maximumPositions} positions, the text ${state.length + ids.length} tokens.`,
      );
    for (const id of ids)
      if (!Number.isInteger(id) || id < 0 || id >= vocabulary)
        throw new UnseenError("TOKEN_OUT_OF_RANGE", `token id ${id} is outside the vocabulary of ${vocabulary}.`);
  }

  /** LongRoPE turns all keys of a long text otherwise than those of a short one, so that what was remembered is of no use. */
  #changesFactors(before: number, after: number): boolean {
    return this.architecture.layers.some(({ rope }) => {
      if (rope?.scaling?.type !== "longrope") return false;
      const { originalPositions } = rope.scaling;
      return before > originalPositions !== after > originalPositions;
    });
  }

  /** Takes the text's ids that the state does not have through the model; logits of the last `count`, or of the last one. */
  async #advance(
    state: DecoderState,
    text: readonly number[],
    count: number,
    multiplier: Multiplier,
    options: StepOptions,
  ): Promise<Float64Array> {
    const a = this.architecture;
    const { signal, logits = "last" } = options;
    const wanted = logits === "all" ? count : 1;
    const results = new Float64Array(wanted * a.vocabulary);
    const head = a.layers.length * GROUPS_PER_LAYER;
    state.reserve(text.length);
    for (let first = state.length; first < text.length; first += protocolLimits.rows) {
      const ids = text.slice(first, first + protocolLimits.rows);
      const batch = { state, first, total: text.length, multiplier, signal };
      const stream = embed(ids, this.#embedding, this.#positions, a, first); // (T, d)
      for (const [index, layer] of a.layers.entries()) await this.#block(stream, index, layer, batch);
      const skipped = Math.max(0, text.length - wanted - first);
      if (skipped >= ids.length) continue;
      const rows = normalise(stream.subarray(skipped * a.hidden), this.#finalNorm, a);
      const [values] = (await this.#layers.apply(head, rows, multiplier, signal)) as [Float64Array];
      results.set(cap(values, a.finalCap), (first + skipped - (text.length - wanted)) * a.vocabulary);
    }
    state.commit(text);
    return results;
  }

  /** One layer, added to `stream` (T, d) in place. */
  async #block(stream: Float64Array, index: number, layer: Layer, batch: Batch): Promise<void> {
    const a = this.architecture;
    const norms = this.#norms[index] as LayerNorms;
    const attended = await this.#attend(normalise(stream, norms.attention, a), index, layer, batch);
    add(stream, norms.attentionPost ? normalise(attended, norms.attentionPost, a) : attended);
    const fed = await this.#feed(normalise(stream, norms.feed, a), index, batch);
    add(stream, norms.feedPost ? normalise(fed, norms.feedPost, a) : fed);
  }

  /** Causal attention over the whole text so far: (T, d) -> (T, d). */
  async #attend(x: Float64Array, index: number, layer: Layer, batch: Batch): Promise<Float64Array> {
    const a = this.architecture;
    const { query, key } = this.#norms[index] as LayerNorms;
    const { first, total, state } = batch;
    const [queries, keys, values] = (await this.#apply(index, "attention", x, batch)) as [Float64Array, Float64Array, Float64Array];
    if (query) normaliseHeads(queries, query, a);
    if (key) normaliseHeads(keys, key, a);
    if (layer.rope) {
      const place = { positions: x.length / a.hidden, headSize: a.headSize, first, total };
      rotate(queries, { ...place, heads: a.heads }, layer.rope, this.description.rotaryLayout);
      rotate(keys, { ...place, heads: a.kvHeads }, layer.rope, this.description.rotaryLayout);
    }
    const [allKeys, allValues] = state.extend(index, first, keys, values);
    const mixed = attendHeads(queries, allKeys, allValues, index, a, first); // (T, H·h)
    return (await this.#apply(index, "output", mixed, batch))[0] as Float64Array;
  }

  /** down(activation(gate(x)) ⊙ up(x)), or down(activation(up(x))). */
  async #feed(x: Float64Array, index: number, batch: Batch): Promise<Float64Array> {
    const activation = activations[this.architecture.activation];
    const [first, up] = (await this.#apply(index, "feed", x, batch)) as [Float64Array, Float64Array | undefined]; // (T, m)
    const inner = first.map((value, place) => (up ? activation(value) * (up[place] as number) : activation(value)));
    return (await this.#apply(index, "down", inner, batch))[0] as Float64Array;
  }

  #apply(index: number, group: keyof typeof groupOrder, x: Float64Array, { multiplier, signal }: Batch): Promise<Float64Array[]> {
    return this.#layers.apply(index * GROUPS_PER_LAYER + groupOrder[group], x, multiplier, signal);
  }
}
