/**
 * The weights of an encoder by their role: what the families call differently, and some exporters write without the base
 * model's prefix. Independent of the blueprints' tables on purpose.
 * @module
 */
import type { TensorLocation } from "../checkpoint/tensor.ts";
import type { Model } from "../blueprint/model.ts";
import { readTensor, weightsOf } from "../blueprint/read-tensor.ts";
import { UnseenError } from "../errors.ts";
import type { Linear, NormWeights } from "./weights.ts";

/** What a family calls the parts of its blocks; `#` stands for the block's number. */
export interface BlockParts {
  readonly layer: string;
  readonly queries: string;
  readonly keys: string;
  readonly values: string;
  readonly output: string;
  readonly attentionNorm: string;
  readonly up: string;
  readonly down: string;
  readonly feedForwardNorm: string;
}

const BERT_FEED_FORWARD = { up: "intermediate.dense", down: "output.dense", feedForwardNorm: "output.LayerNorm" };
const BERT: BlockParts = {
  layer: "encoder.layer.#",
  queries: "attention.self.query",
  keys: "attention.self.key",
  values: "attention.self.value",
  output: "attention.output.dense",
  attentionNorm: "attention.output.LayerNorm",
  ...BERT_FEED_FORWARD,
};
const CLIP: BlockParts = {
  layer: "encoder.layers.#",
  queries: "self_attn.q_proj",
  keys: "self_attn.k_proj",
  values: "self_attn.v_proj",
  output: "self_attn.out_proj",
  attentionNorm: "layer_norm1",
  up: "mlp.fc1",
  down: "mlp.fc2",
  feedForwardNorm: "layer_norm2",
};

/** By `model_type`. */
export const BLOCK_PARTS: Readonly<Record<string, BlockParts>> = {
  bert: BERT,
  roberta: BERT,
  "xlm-roberta": BERT,
  mpnet: {
    ...BERT,
    queries: "attention.attn.q",
    keys: "attention.attn.k",
    values: "attention.attn.v",
    output: "attention.attn.o",
    attentionNorm: "attention.LayerNorm",
  },
  distilbert: {
    layer: "transformer.layer.#",
    queries: "attention.q_lin",
    keys: "attention.k_lin",
    values: "attention.v_lin",
    output: "attention.out_lin",
    attentionNorm: "sa_layer_norm",
    up: "ffn.lin1",
    down: "ffn.lin2",
    feedForwardNorm: "output_layer_norm",
  },
  vit: {
    layer: "encoder.layer.#",
    queries: "attention.attention.query",
    keys: "attention.attention.key",
    values: "attention.attention.value",
    output: "attention.output.dense",
    attentionNorm: "layernorm_before",
    up: "intermediate.dense",
    down: "output.dense",
    feedForwardNorm: "layernorm_after",
  },
  clip: CLIP,
  clip_text_model: CLIP,
  clip_vision_model: CLIP,
};

/** Reads tensors below one or several prefixes; nothing is kept. */
export class EncoderWeights {
  readonly #model: Model;
  readonly #prefixes: readonly string[];

  /** @param prefixes tried in this order, the empty one last */
  constructor(model: Model, prefixes: readonly string[]) {
    this.#model = model;
    this.#prefixes = [...prefixes, ""];
  }

  has(name: string): boolean {
    return this.#locate(name) !== null;
  }

  /** All numbers of a tensor. Throws `CHECKPOINT_MISSING_TENSOR`. */
  tensor(name: string): Float32Array {
    const tensor = this.#find(name);
    return readTensor(tensor, new Float32Array(weightsOf(tensor)));
  }

  /** A weight as (out, in), whatever dimensions `in` has, and its bias. Throws `CHECKPOINT_MISSING_TENSOR`. */
  linear(name: string): Linear {
    const tensor = this.#find(`${name}.weight`);
    const out = tensor.shape[0] as number;
    const bias = this.has(`${name}.bias`) ? this.tensor(`${name}.bias`) : null;
    return { out, in: weightsOf(tensor) / out, weight: this.tensor(`${name}.weight`), bias };
  }

  /** A LayerNorm's weights, gamma and beta in old checkpoints. Throws `CHECKPOINT_MISSING_TENSOR`. */
  norm(name: string): NormWeights {
    const old = this.has(`${name}.gamma`);
    return { gain: this.tensor(`${name}.${old ? "gamma" : "weight"}`), bias: this.tensor(`${name}.${old ? "beta" : "bias"}`) };
  }

  #locate(name: string): TensorLocation | null {
    for (const prefix of this.#prefixes) {
      const tensor = this.#model.tensors.get(`${prefix}${name}`);
      if (tensor) return tensor;
    }
    return null;
  }

  #find(name: string): TensorLocation {
    const tensor = this.#locate(name);
    if (!tensor)
      throw new UnseenError("CHECKPOINT_MISSING_TENSOR", `tensor ${name} is missing.`, { hint: "Download the checkpoint again." });
    return tensor;
  }
}
