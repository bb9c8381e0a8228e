/**
 * A model's weights in the order of its groups: linear layers for the servers, and the rest for the client.
 * @module
 */
import type { Blueprint } from "@unseen/core/blueprint/family.ts";
import type { Architecture } from "@unseen/core/blueprint/architecture.ts";
import type { Encoder, TokenInput } from "@unseen/core/blueprint/encoder.ts";
import type { Model } from "@unseen/core/blueprint/model.ts";
import { BLOCK_PARTS, EncoderWeights, type BlockParts } from "@unseen/core/reference/encoder-weights.ts";
import { WeightReader, type Linear, type NormWeights } from "@unseen/core/reference/weights.ts";
import type { Group } from "../layout.ts";
import { decoderGroups, encoderGroups, GROUPS_PER_LAYER, requireTextEncoder } from "../model/groups.ts";

/** A tensor that the client keeps, read only when it is written: tables are the largest of them. */
export interface ClientTensor {
  readonly shape: readonly number[];
  read(): Float32Array;
}

/** What a model is taken apart into. */
export interface Parts {
  readonly groups: Group[];
  /** The layers of all groups, in their order, read as it goes. */
  linears(): Generator<Linear>;
  /** What the client keeps besides biases and scales; complete once all of `linears()` are read. By its name in `client.safetensors`. */
  readonly kept: Map<string, ClientTensor>;
}

/** Throws `FAMILY_UNSUPPORTED_VALUE` for what two servers cannot share, `CHECKPOINT_*`. */
export function takeApart(model: Model, blueprint: Blueprint): Parts {
  return blueprint.kind === "decoder" ? decoderParts(model, blueprint.architecture) : encoderParts(model, blueprint.architecture);
}

function decoderParts(model: Model, a: Architecture): Parts {
  const groups = decoderGroups(a);
  const weights = new WeightReader(model, a);
  const kept = new Map<string, ClientTensor>();
  kept.set("embedding", { shape: [a.vocabulary, a.hidden], read: () => weights.embedding().weight });
  if (a.learnedPositions !== null)
    kept.set("positions", { shape: [a.learnedPositions, a.hidden], read: () => (weights.positions() as Linear).weight });
  return {
    groups,
    kept,
    *linears() {
      for (let index = 0; index < a.layers.length; index += 1) {
        const w = weights.layer(index);
        const { gate, up, down } = w.feedForward as NonNullable<typeof w.feedForward>;
        const prefix = `layers.${index}`;
        keepNorm(kept, `${prefix}.attention-norm`, w.attentionNorm);
        keepNorm(kept, `${prefix}.query-norm`, w.queryNorm);
        keepNorm(kept, `${prefix}.key-norm`, w.keyNorm);
        keepNorm(kept, `${prefix}.attention-post-norm`, w.attentionPostNorm);
        keepNorm(kept, `${prefix}.feed-norm`, w.feedForwardNorm);
        keepNorm(kept, `${prefix}.feed-post-norm`, w.feedForwardPostNorm);
        yield* [w.queries, w.keys, w.values, w.output, ...(gate ? [gate] : []), up, down];
      }
      keepNorm(kept, "norm", weights.finalNorm());
      yield weights.head();
    },
  };
}

function encoderParts(model: Model, encoder: Encoder): Parts {
  const { input, hidden, layers } = requireTextEncoder(encoder);
  const { vocabulary, positions, types } = input as TokenInput;
  const weights = new EncoderWeights(model, [`${encoder.family}.`]);
  const distil = encoder.family === "distilbert";
  const groups = encoderGroups(encoder, !distil && weights.has("pooler.dense.weight"));
  const parts = BLOCK_PARTS[encoder.family] as BlockParts;
  const kept = new Map<string, ClientTensor>();
  for (const [name, stored, rows] of [
    ["embedding", "word_embeddings", vocabulary],
    ["positions", "position_embeddings", positions],
    ["types", "token_type_embeddings", types],
  ] as const)
    if (rows > 0) kept.set(name, { shape: [rows, hidden], read: () => weights.tensor(`embeddings.${stored}.weight`) });
  keepNorm(kept, "norm", weights.norm("embeddings.LayerNorm"));
  return {
    groups,
    kept,
    *linears() {
      for (let index = 0; index < layers; index += 1) {
        const name = (part: string): string => `${parts.layer.replace("#", String(index))}.${part}`;
        keepNorm(kept, `layers.${index}.attention-norm`, weights.norm(name(parts.attentionNorm)));
        keepNorm(kept, `layers.${index}.feed-norm`, weights.norm(name(parts.feedForwardNorm)));
        for (const part of [parts.queries, parts.keys, parts.values, parts.output, parts.up, parts.down]) yield weights.linear(name(part));
      }
      for (const { name } of groups.slice(layers * GROUPS_PER_LAYER))
        yield weights.linear(name === "classifier" ? name : distil ? "pre_classifier" : "pooler.dense");
    },
  };
}

function keepNorm(kept: Map<string, ClientTensor>, name: string, norm: NormWeights | null): void {
  if (!norm) return;
  keepVector(kept, `${name}.gain`, norm.gain);
  if (norm.bias) keepVector(kept, `${name}.bias`, norm.bias);
}

/** Keeps a vector that is in memory already. */
export function keepVector(kept: Map<string, ClientTensor>, name: string, values: Float32Array): void {
  kept.set(name, { shape: [values.length], read: () => values });
}
