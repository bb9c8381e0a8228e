/**
 * Llama checkpoints with random weights, of any size and with any defect that a test wants to see refused.
 * @module
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { RandomStream } from "@unseen/core/algebra/random.ts";
import { encode, rowBytes } from "@unseen/core/checkpoint/format.ts";
import { layoutSafetensors } from "@unseen/core/checkpoint/safetensors.ts";
import type { FloatFormat } from "@unseen/core/checkpoint/tensor.ts";
import { createFiles, writeAt } from "@unseen/core/checkpoint/writer.ts";

export interface RandomLlama {
  readonly hidden?: number;
  readonly layers?: number;
  readonly heads?: number;
  readonly kvHeads?: number;
  readonly neurons?: number;
  readonly vocabulary?: number;
  readonly format?: FloatFormat;
  readonly maximumShardBytes?: number;
  /** Over the fields of `config.json`; `undefined` takes one away. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly generationConfig?: Readonly<Record<string, unknown>>;
  /** Further tensors by name and shape. */
  readonly extra?: Readonly<Record<string, readonly number[]>>;
  /** This value at the first place of this tensor. */
  readonly plant?: { readonly tensor: string; readonly value: number };
}

/** Distinct random numbers; larger tensors repeat them at another phase. */
const TABLE = 65_521;

/** Writes a Hugging Face directory. */
export function writeRandomLlama(directory: string, options: RandomLlama = {}): void {
  const { hidden = 32, layers = 2, heads = 4, kvHeads = 2, neurons = 48, vocabulary = 64, format = "F32" } = options;
  const head = hidden / heads;
  const shapes: [string, readonly number[]][] = [["model.embed_tokens.weight", [vocabulary, hidden]]];
  for (let layer = 0; layer < layers; layer += 1) {
    const add = (name: string, shape: readonly number[]): void => void shapes.push([`model.layers.${layer}.${name}.weight`, shape]);
    add("input_layernorm", [hidden]);
    add("self_attn.q_proj", [hidden, hidden]);
    add("self_attn.k_proj", [kvHeads * head, hidden]);
    add("self_attn.v_proj", [kvHeads * head, hidden]);
    add("self_attn.o_proj", [hidden, hidden]);
    add("post_attention_layernorm", [hidden]);
    add("mlp.gate_proj", [neurons, hidden]);
    add("mlp.up_proj", [neurons, hidden]);
    add("mlp.down_proj", [hidden, neurons]);
  }
  shapes.push(["model.norm.weight", [hidden]], ["lm_head.weight", [vocabulary, hidden]], ...Object.entries(options.extra ?? {}));

  mkdirSync(directory, { recursive: true });
  const config = {
    model_type: "llama",
    architectures: ["LlamaForCausalLM"],
    hidden_size: hidden,
    intermediate_size: neurons,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    head_dim: head,
    vocab_size: vocabulary,
    max_position_embeddings: 256,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    hidden_act: "silu",
    tie_word_embeddings: false,
    bos_token_id: 1,
    eos_token_id: 2,
    torch_dtype: { F32: "float32", F16: "float16", BF16: "bfloat16", Q8_0: "int8" }[format],
    ...options.config,
  };
  writeFileSync(join(directory, "config.json"), JSON.stringify(config, null, 2));
  if (options.generationConfig) writeFileSync(join(directory, "generation_config.json"), JSON.stringify(options.generationConfig, null, 2));

  const layout = layoutSafetensors(
    shapes.map(([name, shape]) => ({ name, shape, format })),
    { metadata: { format: "pt" }, ...(options.maximumShardBytes ? { maximumShardBytes: options.maximumShardBytes } : {}) },
  );
  createFiles(directory, layout.files);
  if (layout.index) writeFileSync(join(directory, "model.safetensors.index.json"), JSON.stringify(layout.index));
  const table = randomTable(format, hidden);
  for (const [phase, [name, shape]] of shapes.entries()) {
    const location = layout.locations.get(name) as { file: string; offset: number; bytes: number };
    const file = join(directory, location.file);
    const bytes = repeat(table, location.bytes, phase * 2 * rowBytes(format, 1));
    if (shape.length === 1)
      encode(
        format,
        new Float64Array(shape[0] as number).map((_, index) => 1 + (index % 7) / 16),
        bytes,
      );
    if (options.plant?.tensor === name) encode(format, Float64Array.of(options.plant.value), bytes.subarray(0, rowBytes(format, 1)));
    writeAt(file, location.offset, bytes);
  }
}

function randomTable(format: FloatFormat, hidden: number): Uint8Array {
  const random = new RandomStream(new Uint8Array(32).fill(7));
  const values = new Float64Array(TABLE).map(() => random.gaussian() / Math.sqrt(hidden));
  const bytes = new Uint8Array(rowBytes(format, TABLE));
  encode(format, values, bytes);
  return bytes;
}

function repeat(table: Uint8Array, length: number, phase: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const from = (at + phase) % table.length;
    const piece = table.subarray(from, Math.min(table.length, from + length - at));
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
