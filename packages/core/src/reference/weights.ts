/**
 * The weights of a checkpoint by their role, as (out, in) matrices in memory: what the families call
 * differently or store together, taken apart. Independent of the blueprints' tables on purpose.
 * @module
 */
import type { TensorLocation } from "../checkpoint/tensor.ts";
import type { Architecture } from "../blueprint/architecture.ts";
import type { Model } from "../blueprint/model.ts";
import { readTensor, weightsOf } from "../blueprint/read-tensor.ts";
import { UnseenError } from "../errors.ts";

/** y = W x + b. */
export interface Linear {
  readonly out: number;
  readonly in: number;
  /** (out, in) */
  readonly weight: Float32Array;
  readonly bias: Float32Array | null;
}

export interface NormWeights {
  readonly gain: Float32Array;
  readonly bias: Float32Array | null;
}

/** Gate, up and down of a feed-forward block; no gate in GPT-2. */
export interface FeedForward {
  readonly gate: Linear | null;
  readonly up: Linear;
  readonly down: Linear;
}

export interface LayerWeights {
  readonly attentionNorm: NormWeights;
  readonly queries: Linear;
  readonly keys: Linear;
  readonly values: Linear;
  readonly output: Linear;
  readonly queryNorm: NormWeights | null;
  readonly keyNorm: NormWeights | null;
  readonly attentionPostNorm: NormWeights | null;
  readonly feedForwardNorm: NormWeights;
  readonly feedForward: FeedForward | null;
  readonly router: Linear | null;
  readonly experts: readonly FeedForward[];
  readonly feedForwardPostNorm: NormWeights | null;
}

/** Reads weights on demand; nothing is kept. */
export class WeightReader {
  readonly #model: Model;
  readonly #a: Architecture;
  readonly #gpt2: boolean;

  constructor(model: Model, architecture: Architecture) {
    this.#model = model;
    this.#a = architecture;
    this.#gpt2 = architecture.family === "gpt2";
  }

  embedding(): Linear {
    return this.#linear(this.#gpt2 ? "transformer.wte" : "model.embed_tokens");
  }

  positions(): Linear | null {
    return this.#gpt2 ? this.#linear("transformer.wpe") : null;
  }

  finalNorm(): NormWeights {
    return this.#norm(this.#gpt2 ? "transformer.ln_f" : "model.norm");
  }

  head(): Linear {
    return this.#a.tied ? this.embedding() : this.#linear("lm_head");
  }

  layer(index: number): LayerWeights {
    return this.#gpt2 ? this.#gpt2Layer(`transformer.h.${index}`) : this.#llamaLayer(`model.layers.${index}`, index);
  }

  #gpt2Layer(prefix: string): LayerWeights {
    const [queries, keys, values] = split(this.#conv1d(`${prefix}.attn.c_attn`), [this.#a.hidden, this.#a.hidden, this.#a.hidden]) as [
      Linear,
      Linear,
      Linear,
    ];
    return {
      attentionNorm: this.#norm(`${prefix}.ln_1`),
      queries,
      keys,
      values,
      output: this.#conv1d(`${prefix}.attn.c_proj`),
      queryNorm: null,
      keyNorm: null,
      attentionPostNorm: null,
      feedForwardNorm: this.#norm(`${prefix}.ln_2`),
      feedForward: { gate: null, up: this.#conv1d(`${prefix}.mlp.c_fc`), down: this.#conv1d(`${prefix}.mlp.c_proj`) },
      router: null,
      experts: [],
      feedForwardPostNorm: null,
    };
  }

  #llamaLayer(prefix: string, index: number): LayerWeights {
    const a = this.#a;
    const attention = `${prefix}.self_attn`;
    const sizes = [a.heads * a.headSize, a.kvHeads * a.headSize, a.kvHeads * a.headSize];
    const fused = this.#has(`${attention}.qkv_proj.weight`);
    const [queries, keys, values] = (
      fused ? split(this.#linear(`${attention}.qkv_proj`), sizes) : ["q", "k", "v"].map((part) => this.#linear(`${attention}.${part}_proj`))
    ) as [Linear, Linear, Linear];
    const experts = a.layers[index]?.experts ?? null;
    return {
      attentionNorm: this.#norm(`${prefix}.input_layernorm`),
      queries,
      keys,
      values,
      output: this.#linear(`${attention}.o_proj`),
      queryNorm: a.headNorms ? this.#norm(`${attention}.q_norm`) : null,
      keyNorm: a.headNorms ? this.#norm(`${attention}.k_norm`) : null,
      attentionPostNorm: a.postNorms ? this.#norm(`${prefix}.post_attention_layernorm`) : null,
      feedForwardNorm: this.#norm(`${prefix}.${a.postNorms ? "pre_feedforward" : "post_attention"}_layernorm`),
      feedForward: experts ? null : this.#feedForward(`${prefix}.mlp`),
      router: experts ? this.#linear(`${prefix}.${a.family === "mixtral" ? "block_sparse_moe" : "mlp"}.gate`) : null,
      experts: Array.from({ length: experts?.count ?? 0 }, (_, expert) => this.#expert(prefix, expert)),
      feedForwardPostNorm: a.postNorms ? this.#norm(`${prefix}.post_feedforward_layernorm`) : null,
    };
  }

  #expert(prefix: string, expert: number): FeedForward {
    if (this.#a.family !== "mixtral") return this.#feedForward(`${prefix}.mlp.experts.${expert}`);
    const base = `${prefix}.block_sparse_moe.experts.${expert}`;
    return { gate: this.#linear(`${base}.w1`), up: this.#linear(`${base}.w3`), down: this.#linear(`${base}.w2`) };
  }

  #feedForward(prefix: string): FeedForward {
    const down = this.#linear(`${prefix}.down_proj`);
    if (!this.#has(`${prefix}.gate_up_proj.weight`))
      return { gate: this.#linear(`${prefix}.gate_proj`), up: this.#linear(`${prefix}.up_proj`), down };
    const [gate, up] = split(this.#linear(`${prefix}.gate_up_proj`), [this.#a.neurons, this.#a.neurons]) as [Linear, Linear];
    return { gate, up, down };
  }

  #norm(name: string): NormWeights {
    const offset = this.#model.storedGainOffset;
    return {
      gain: this.#tensor(`${name}.weight`).map((value) => value + offset),
      bias: this.#has(`${name}.bias`) ? this.#tensor(`${name}.bias`) : null,
    };
  }

  #linear(name: string): Linear {
    const [out, inward] = this.#find(`${name}.weight`).shape as [number, number];
    return {
      out,
      in: inward,
      weight: this.#tensor(`${name}.weight`),
      bias: this.#has(`${name}.bias`) ? this.#tensor(`${name}.bias`) : null,
    };
  }

  #conv1d(name: string): Linear {
    const stored = this.#linear(name);
    if (this.#model.transposedConv1d) return stored;
    const weight = new Float32Array(stored.weight.length);
    for (let row = 0; row < stored.out; row += 1)
      for (let column = 0; column < stored.in; column += 1)
        weight[column * stored.out + row] = stored.weight[row * stored.in + column] as number;
    return { out: stored.in, in: stored.out, weight, bias: stored.bias };
  }

  #has(name: string): boolean {
    return this.#model.tensors.has(name) || this.#model.tensors.has(name.replace(/^transformer\./, ""));
  }

  #find(name: string): TensorLocation {
    const tensor = this.#model.tensors.get(name) ?? this.#model.tensors.get(name.replace(/^transformer\./, ""));
    if (!tensor)
      throw new UnseenError("CHECKPOINT_MISSING_TENSOR", `tensor ${name} is missing.`, { hint: "Download the checkpoint again." });
    return tensor;
  }

  #tensor(name: string): Float32Array {
    const tensor = this.#find(name);
    return readTensor(tensor, new Float32Array(weightsOf(tensor)));
  }
}

/** Cuts a fused projection into parts of the given heights. */
function split(linear: Linear, sizes: readonly number[]): Linear[] {
  let start = 0;
  return sizes.map((out) => {
    const part: Linear = {
      out,
      in: linear.in,
      weight: linear.weight.subarray(start * linear.in, (start + out) * linear.in),
      bias: linear.bias?.subarray(start, start + out) ?? null,
    };
    start += out;
    return part;
  });
}
