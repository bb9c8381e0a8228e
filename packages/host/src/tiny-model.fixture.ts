/**
 * A random Llama of a few kilobytes with a placeholder vocabulary, so that tests run the real engine without any download.
 * @module
 */
import { writeFileSync } from "node:fs";
import { placeholderVocabulary } from "@unseen/core/blueprint/gguf-metadata.ts";
import { RandomStream } from "@unseen/core/algebra/random.ts";
import { layoutGguf, type GgufValue } from "@unseen/core/checkpoint/gguf.ts";

export const TINY_VOCABULARY = 96;
export const TINY_CONTEXT = 4096;
export const TINY_FINGERPRINT = "0123456789abcdef0123456789abcdef";
const HIDDEN = 32;
const FEED_FORWARD = 64;
const LAYERS = 2;
const HEADS = 4;
const KEY_VALUE_HEADS = 2;
const HEAD = HIDDEN / HEADS;

/** Writes the model to `file`. `encrypted` adds the metadata of an encrypted model (to random weights: there is nothing to hide). */
export function writeTinyModel(
  file: string,
  { encrypted = true, eos = [3], seed = 1 }: { encrypted?: boolean; eos?: number[]; seed?: number } = {},
): void {
  const count = (value: number): GgufValue => ({ type: "u32", value });
  const text = (value: string): GgufValue => ({ type: "string", value });
  const metadata = new Map<string, GgufValue>([
    ["general.architecture", text("llama")],
    ["llama.block_count", count(LAYERS)],
    ["llama.context_length", count(TINY_CONTEXT)],
    ["llama.embedding_length", count(HIDDEN)],
    ["llama.feed_forward_length", count(FEED_FORWARD)],
    ["llama.attention.head_count", count(HEADS)],
    ["llama.attention.head_count_kv", count(KEY_VALUE_HEADS)],
    ["llama.rope.dimension_count", count(HEAD)],
    ["llama.attention.layer_norm_rms_epsilon", { type: "f32", value: 1e-5 }],
    ["llama.rope.freq_base", { type: "f32", value: 10_000 }],
    ["llama.vocab_size", count(TINY_VOCABULARY)],
    ...placeholderVocabulary(TINY_VOCABULARY, { eos, bos: 1, pad: null }),
  ]);
  if (encrypted) {
    metadata.set("unseen.scheme", text("unseen-ee"));
    metadata.set("unseen.version", count(1));
    metadata.set("unseen.fingerprint", text(TINY_FINGERPRINT));
    metadata.set("unseen.strength", text("rotate"));
    metadata.set("unseen.family", text("llama"));
    metadata.set("unseen.vocabulary_size", count(TINY_VOCABULARY));
  }
  const shapes: [string, number[]][] = [
    ["token_embd.weight", [TINY_VOCABULARY, HIDDEN]],
    ["output_norm.weight", [HIDDEN]],
    ["output.weight", [TINY_VOCABULARY, HIDDEN]],
  ];
  for (let layer = 0; layer < LAYERS; layer++) {
    shapes.push(
      [`blk.${layer}.attn_norm.weight`, [HIDDEN]],
      [`blk.${layer}.attn_q.weight`, [HIDDEN, HIDDEN]],
      [`blk.${layer}.attn_k.weight`, [KEY_VALUE_HEADS * HEAD, HIDDEN]],
      [`blk.${layer}.attn_v.weight`, [KEY_VALUE_HEADS * HEAD, HIDDEN]],
      [`blk.${layer}.attn_output.weight`, [HIDDEN, HIDDEN]],
      [`blk.${layer}.ffn_norm.weight`, [HIDDEN]],
      [`blk.${layer}.ffn_gate.weight`, [FEED_FORWARD, HIDDEN]],
      [`blk.${layer}.ffn_up.weight`, [FEED_FORWARD, HIDDEN]],
      [`blk.${layer}.ffn_down.weight`, [HIDDEN, FEED_FORWARD]],
    );
  }
  const random = new RandomStream(new Uint8Array(32).fill(seed));
  const layout = layoutGguf(
    metadata,
    shapes.map(([name, shape]) => ({ name, format: "F32" as const, shape })),
  );
  const bytes = new Uint8Array(layout.bytes);
  bytes.set(layout.header);
  for (const [name, shape] of shapes) {
    const { offset, bytes: length } = layout.locations.get(name)!;
    const values = new Float32Array(bytes.buffer, offset, length / 4);
    // Wide enough that the model prefers some tokens clearly; norms stay at one.
    for (let index = 0; index < values.length; index++) values[index] = shape.length === 1 ? 1 : random.gaussian() * 0.3;
  }
  writeFileSync(file, bytes);
}
