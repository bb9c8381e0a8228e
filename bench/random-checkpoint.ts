/**
 * Writes a Llama of realistic shape with random weights, for measuring speed and memory.
 *
 *   node bench/random-checkpoint.ts DIRECTORY [--hidden 2048] [--layers 16] [--vocabulary 128256] ...
 * @module
 */
import { randomFillSync } from "node:crypto";
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { layoutSafetensors } from "@unseen/core/checkpoint/safetensors.ts";
import { createFiles } from "@unseen/core/checkpoint/writer.ts";

/** The shape of Llama 3.2 1B. */
export const ONE_BILLION = {
  hidden: 2048,
  layers: 16,
  heads: 32,
  kvHeads: 8,
  headSize: 64,
  neurons: 8192,
  vocabulary: 128_256,
  tied: true,
};
export type Shape = typeof ONE_BILLION;

const PIECE = 8 << 20;

/** Writes config.json and bf16 weights of uniform magnitude; returns the bytes of the weights. */
export function writeRandomCheckpoint(directory: string, shape: Shape): number {
  const { hidden, layers, heads, kvHeads, headSize, neurons, vocabulary, tied } = shape;
  mkdirSync(directory, { recursive: true });
  const config = {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    hidden_size: hidden,
    intermediate_size: neurons,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    head_dim: headSize,
    vocab_size: vocabulary,
    max_position_embeddings: 8192,
    rms_norm_eps: 1e-5,
    rope_theta: 500_000,
    hidden_act: "silu",
    tie_word_embeddings: tied,
    torch_dtype: "bfloat16",
    bos_token_id: 0,
    eos_token_id: 1,
  };
  writeFileSync(join(directory, "config.json"), JSON.stringify(config, null, 2));
  const matrix = (name: string, rows: number, columns: number) => ({
    name: `${name}.weight`,
    format: "BF16" as const,
    shape: [rows, columns],
  });
  const vector = (name: string) => ({ name: `${name}.weight`, format: "BF16" as const, shape: [hidden] });
  const tensors = [
    matrix("model.embed_tokens", vocabulary, hidden),
    ...Array.from({ length: layers }, (_, layer) => {
      const name = `model.layers.${layer}`;
      return [
        vector(`${name}.input_layernorm`),
        matrix(`${name}.self_attn.q_proj`, heads * headSize, hidden),
        matrix(`${name}.self_attn.k_proj`, kvHeads * headSize, hidden),
        matrix(`${name}.self_attn.v_proj`, kvHeads * headSize, hidden),
        matrix(`${name}.self_attn.o_proj`, hidden, heads * headSize),
        vector(`${name}.post_attention_layernorm`),
        matrix(`${name}.mlp.gate_proj`, neurons, hidden),
        matrix(`${name}.mlp.up_proj`, neurons, hidden),
        matrix(`${name}.mlp.down_proj`, hidden, neurons),
      ];
    }).flat(),
    vector("model.norm"),
    ...(tied ? [] : [matrix("lm_head", vocabulary, hidden)]),
  ];
  const layout = layoutSafetensors(tensors, { metadata: { format: "pt" }, maximumShardBytes: Number.MAX_SAFE_INTEGER });
  createFiles(directory, layout.files);
  const [file] = layout.files;
  if (!file) throw new Error("no tensors");
  const descriptor = openSync(join(directory, file.name), "r+");
  const piece = new Uint16Array(PIECE / 2);
  const scale = (exponentOf(1 / Math.sqrt(hidden)) + 127) << 7;
  for (let position = file.header.length; position < file.bytes; position += PIECE) {
    randomFillSync(piece);
    // Random sign and mantissa under a fixed exponent: values of plausible size, made at memory speed.
    for (let index = 0; index < piece.length; index += 1) piece[index] = ((piece[index] as number) & 0x807f) | scale;
    writeSync(descriptor, piece, 0, Math.min(PIECE, file.bytes - position), position);
  }
  closeSync(descriptor);
  return file.bytes;
}

const exponentOf = (value: number): number => Math.floor(Math.log2(value));

if (import.meta.main) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: Object.fromEntries(Object.keys(ONE_BILLION).map((name) => [name, { type: "string" as const }])),
  });
  const [directory] = positionals;
  if (!directory) throw new Error("usage: node bench/random-checkpoint.ts DIRECTORY [--layers N] ...");
  const given = Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, name === "tied" ? value === "true" : Number(value)]),
  );
  process.stdout.write(`${writeRandomCheckpoint(directory, { ...ONE_BILLION, ...given })} bytes\n`);
}
