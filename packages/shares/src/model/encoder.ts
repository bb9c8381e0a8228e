/**
 * The forward pass of BERT and DistilBERT over whole-number weights that somebody else multiplies, after core's reference.
 *
 * Shapes: positions (T), hidden (d), heads (H), head size (h), neurons (m).
 * @module
 */
import type { Encoder, TokenInput, Tower } from "@unseen/core/blueprint/encoder.ts";
import { blueprintOf } from "@unseen/core/blueprint/families/index.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { activations } from "@unseen/core/reference/activation.ts";
import { mix, type EncoderInput, type EncoderOutput } from "@unseen/core/reference/encoder.ts";
import { add, normaliseRows, type NormKind } from "@unseen/core/reference/layers.ts";
import type { NormWeights } from "@unseen/core/reference/weights.ts";
import type { Multiplier } from "../multiplier.ts";
import { ClientModel, type ClientDescription } from "./client-model.ts";
import { GROUPS_PER_LAYER, encoderGroups, groupOrder, requireTextEncoder } from "./groups.ts";
import { OutsourcedLayers } from "./outsourced-layers.ts";

/** A text's ids, types and mask. */
export type TextInput = Omit<EncoderInput, "pixels">;

/** A client's encoder. */
export class ShareEncoder {
  readonly description: ClientDescription;
  readonly architecture: Encoder;
  readonly #tower: Tower;
  /** Rows of words, positions and, if any, types: (rows, d). */
  readonly #words: Float32Array;
  readonly #positions: Float32Array;
  readonly #types: Float32Array | null;
  readonly #inputNorm: NormWeights;
  readonly #norms: readonly { readonly attention: NormWeights; readonly feed: NormWeights }[];
  readonly #layers: OutsourcedLayers;

  private constructor(client: ClientModel) {
    const blueprint = blueprintOf(client.description.config);
    if (blueprint.kind !== "encoder")
      throw new UnseenError(
        "FAMILY_UNSUPPORTED_VALUE",
        `family ${blueprint.architecture.family} is a decoder, and this needs an encoder.`,
        {
          hint: "Open it as a decoder.",
        },
      );
    const encoder = blueprint.architecture;
    const tower = requireTextEncoder(encoder);
    const { vocabulary, positions, types } = tower.input as TokenInput;
    const { hidden, layers } = tower;
    client.requireGroups(
      encoderGroups(
        encoder,
        client.layout.groups.some(({ name }) => name === "pooler"),
      ),
    );
    this.description = client.description;
    this.architecture = encoder;
    this.#tower = tower;
    this.#words = client.tensor("embedding", vocabulary, hidden);
    this.#positions = client.tensor("positions", positions, hidden);
    this.#types = types > 0 ? client.tensor("types", types, hidden) : null;
    this.#inputNorm = client.norm("norm", hidden);
    this.#norms = Array.from({ length: layers }, (_, index) => ({
      attention: client.norm(`layers.${index}.attention-norm`, hidden),
      feed: client.norm(`layers.${index}.feed-norm`, hidden),
    }));
    this.#layers = new OutsourcedLayers(client);
  }

  /** Opens a client directory. Throws `BUNDLE_INVALID`, `CHECKPOINT_*`, `FAMILY_*`, `PERMISSION_DENIED`. */
  static async open(directory: string): Promise<ShareEncoder> {
    return new ShareEncoder(await ClientModel.open(directory));
  }

  /**
   * `logits` (1, classes), or `last_hidden_state` (T, d) and, where the model has a pooler, `pooler_output` (1, d).
   *
   * @throws UnseenError REQUEST_INVALID, TOKEN_OUT_OF_RANGE, REQUEST_TOO_LARGE, CHECKPOINT_NON_FINITE, and what the multiplier throws; the signal's reason
   */
  async run(input: TextInput, multiplier: Multiplier, signal?: AbortSignal): Promise<ReadonlyMap<string, EncoderOutput>> {
    const { hidden, layers, epsilon, activation } = this.#tower;
    const norm: NormKind = { kind: "layer", epsilon };
    const apply = async (group: number, x: Float64Array): Promise<Float64Array> =>
      (await this.#layers.apply(group, x, multiplier, signal))[0] as Float64Array;
    const stream = normaliseRows(this.#embed(input), this.#inputNorm, norm, hidden); // (T, d)
    for (const [index, norms] of this.#norms.entries()) {
      const group = index * GROUPS_PER_LAYER;
      const projected = await this.#layers.apply(group + groupOrder.attention, stream, multiplier, signal);
      const [queries, keys, values] = projected as [Float64Array, Float64Array, Float64Array];
      add(stream, await apply(group + groupOrder.output, mix(queries, keys, values, this.#tower, null, input.mask)));
      stream.set(normaliseRows(stream, norms.attention, norm, hidden));
      const inner = (await apply(group + groupOrder.feed, stream)).map(activations[activation]); // (T, m)
      add(stream, await apply(group + groupOrder.down, inner));
      stream.set(normaliseRows(stream, norms.feed, norm, hidden));
    }
    const outputs = new Map<string, EncoderOutput>();
    const { head, poolerActivation } = this.architecture;
    if (head === "none") outputs.set("last_hidden_state", { rows: stream.length / hidden, columns: hidden, values: stream });
    const pooler = layers * GROUPS_PER_LAYER;
    if (this.description.layout.groups.length === pooler) return outputs;
    const pooled = (await apply(pooler, stream.subarray(0, hidden))).map(activations[poolerActivation]);
    if (head === "none") return outputs.set("pooler_output", { rows: 1, columns: hidden, values: pooled });
    const logits = await apply(pooler + 1, pooled);
    return outputs.set("logits", { rows: 1, columns: logits.length, values: logits });
  }

  /** The sum of a word's, a position's and a type's row: (T, d). */
  #embed({ ids, types, mask }: TextInput): Float64Array {
    const { hidden } = this.#tower;
    const input = this.#tower.input as TokenInput;
    if (!ids || ids.length === 0) throw new UnseenError("REQUEST_INVALID", "a text needs ids.", { hint: "Give at least one token id." });
    if (ids.length > input.positions)
      throw new UnseenError("REQUEST_TOO_LARGE", `the model has ${input.positions} positions, the text ${ids.length} tokens.`);
    for (const [name, given] of Object.entries({ types, mask }))
      if (given && given.length !== ids.length)
        throw new UnseenError("REQUEST_INVALID", `expected ${ids.length} numbers in ${name}, got ${given.length}.`);
    const stream = new Float64Array(ids.length * hidden);
    for (const [place, id] of ids.entries()) {
      if (!Number.isInteger(id) || id < 0 || id >= input.vocabulary)
        throw new UnseenError("TOKEN_OUT_OF_RANGE", `token id ${id} is outside the vocabulary of ${input.vocabulary}.`);
      const type = types?.[place] ?? 0;
      if (!Number.isInteger(type) || type < 0 || type >= Math.max(1, input.types))
        throw new UnseenError("REQUEST_INVALID", `expected a type below ${Math.max(1, input.types)}, got ${type}.`);
      for (let k = 0; k < hidden; k += 1)
        stream[place * hidden + k] =
          (this.#words[id * hidden + k] as number) +
          (this.#positions[place * hidden + k] as number) +
          (this.#types ? (this.#types[type * hidden + k] as number) : 0);
    }
    return stream;
  }
}
