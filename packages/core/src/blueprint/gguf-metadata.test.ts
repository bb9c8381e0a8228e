import assert from "node:assert/strict";
import { test } from "node:test";
import type { GgufValue } from "../checkpoint/gguf.ts";
import type { JsonObject } from "./config.ts";
import { decoderOf } from "./families/index.ts";
import { extraTensors, ggufMetadata, placeholderVocabulary, sealGgufMetadata } from "./gguf-metadata.ts";
import { endOfGenerationIds } from "./gguf-special-ids.ts";

const LLAMA: JsonObject = {
  model_type: "llama",
  vocab_size: 64,
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 256,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
};
const GEMMA: JsonObject = {
  model_type: "gemma2",
  vocab_size: 64,
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 8,
  query_pre_attn_scalar: 8,
  max_position_embeddings: 256,
  sliding_window: 16,
  attn_logit_softcapping: 50,
  final_logit_softcapping: 30,
};
const GPT2: JsonObject = { model_type: "gpt2", vocab_size: 64, n_embd: 32, n_head: 4, n_layer: 2, n_positions: 64 };
const MOE: JsonObject = {
  ...LLAMA,
  model_type: "qwen3_moe",
  num_experts: 4,
  num_experts_per_tok: 2,
  moe_intermediate_size: 16,
  norm_topk_prob: true,
};

function metadataOf(config: JsonObject): ReadonlyMap<string, GgufValue> {
  return ggufMetadata(config, decoderOf(config).architecture, { name: "tiny" });
}

test("windows that llama.cpp does not know cut the context; those it knows are written", () => {
  assert.equal(metadataOf(LLAMA).get("llama.context_length")?.value, 256);
  assert.equal(metadataOf({ ...LLAMA, model_type: "mistral", sliding_window: 100 }).get("llama.context_length")?.value, 100);
  assert.equal(
    metadataOf({ ...LLAMA, model_type: "qwen2", sliding_window: 100, use_sliding_window: true, max_window_layers: 1 }).get(
      "qwen2.context_length",
    )?.value,
    100,
  );
  const gemma = metadataOf(GEMMA);
  assert.equal(gemma.get("gemma2.context_length")?.value, 256);
  assert.equal(gemma.get("gemma2.attention.sliding_window")?.value, 16);
  assert.equal(gemma.has("gemma2.attention.sliding_window_pattern"), false, "llama.cpp's own pattern");
  const turned = metadataOf({ ...GEMMA, layer_types: ["full_attention", "sliding_attention"] });
  assert.deepEqual(turned.get("gemma2.attention.sliding_window_pattern"), { type: "array", of: "bool", value: [false, true] });
});

test("long and short rotary factors leave the context in which llama.cpp takes the short ones", () => {
  const config = (long: number): JsonObject => ({
    ...LLAMA,
    model_type: "phi3",
    original_max_position_embeddings: 64,
    rope_parameters: { rope_type: "longrope", rope_theta: 10000, short_factor: [1, 1, 2, 2], long_factor: [1, 1, 2, long] },
  });
  assert.equal(metadataOf(config(8)).get("phi3.context_length")?.value, 64);
  assert.equal(metadataOf(config(2)).get("phi3.context_length")?.value, 256);
  assert.deepEqual(
    extraTensors(decoderOf(config(8)).architecture).map(({ name, values }) => [name, ...values]),
    [
      ["rope_factors_long.weight", 1, 1, 2, 8],
      ["rope_factors_short.weight", 1, 1, 2, 2],
    ],
  );
});

test("llama3 scaling leaves short waves, stretches long ones and blends between", () => {
  const config: JsonObject = {
    ...LLAMA,
    head_dim: 16,
    rope_parameters: {
      rope_type: "llama3",
      rope_theta: 10000,
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 64,
    },
  };
  const [factors] = extraTensors(decoderOf(config).architecture);
  assert.equal(factors?.name, "rope_freqs.weight");
  assert.deepEqual(factors.shape, [8]);
  // Wavelengths 2*pi*10000^(i/8): 6.3, 19.9, 62.8, 198.7, ...; the bounds are 16 and 64.
  assert.equal(factors.values[0], 1);
  assert.ok((factors.values[1] as number) > 1 && (factors.values[1] as number) < 2);
  assert.ok((factors.values[2] as number) > 7 && (factors.values[2] as number) < 8);
  assert.deepEqual(factors.values.slice(3), Float64Array.of(8, 8, 8, 8, 8));
  assert.deepEqual(extraTensors(decoderOf(LLAMA).architecture), []);
});

const YARN = { rope_type: "yarn", rope_theta: 10000, factor: 4, original_max_position_embeddings: 64 };
const refusals: [string, JsonObject, RegExp][] = [
  ["an attention scale that varies", { ...GPT2, scale_attn_by_inverse_layer_idx: true }, /scale_attn_by_inverse_layer_idx/],
  ["unscaled attention", { ...GPT2, scale_attn_weights: false }, /scale_attn_weights/],
  ["exact GELU", { ...GPT2, activation_function: "gelu" }, /activation_function/],
  ["another attention scale", { ...GEMMA, query_pre_attn_scalar: 32 }, /query_pre_attn_scalar/],
  ["attention without a cap", { ...GEMMA, attn_logit_softcapping: null }, /attn_logit_softcapping/],
  ["a head of its own", { ...GEMMA, tie_word_embeddings: false }, /tie_word_embeddings/],
  ["weights of experts as they are", { ...MOE, norm_topk_prob: false }, /norm_topk_prob/],
  ["dense layers between", { ...MOE, mlp_only_layers: [0] }, /mlp_only_layers/],
  ["a bias that llama.cpp does not read", { ...LLAMA, model_type: "qwen3", attention_bias: true }, /attention_bias/],
  ["heads beside the hidden size", { ...LLAMA, model_type: "qwen2", head_dim: 16 }, /head_dim/],
  ["rotary positions elsewhere", { ...LLAMA, model_type: "smollm3", no_rope_layers: [0, 1] }, /no_rope_layers/],
  [
    "factors that llama.cpp does not read",
    { ...LLAMA, model_type: "qwen2", rope_parameters: { ...YARN, rope_type: "llama3", low_freq_factor: 1, high_freq_factor: 4 } },
    /rope_type/,
  ],
  ["yarn with other bounds", { ...LLAMA, rope_parameters: { ...YARN, beta_fast: 16 } }, /beta_fast/],
  ["partly rotated heads", { ...LLAMA, partial_rotary_factor: 0.5 }, /partial_rotary_factor/],
];
for (const [what, config, message] of refusals) {
  test(`refuses ${what}, by name`, () => {
    assert.throws(() => metadataOf(config), { code: "FAMILY_UNSUPPORTED_VALUE", message });
  });
}

const strings = (...value: string[]): GgufValue => ({ type: "array", of: "string", value });
const text = (value: string): GgufValue => ({ type: "string", value });
const u32 = (value: number): GgufValue => ({ type: "u32", value });

test("sealing keeps the mathematics and the licence, and nothing that names a word or an origin", () => {
  const metadata = new Map<string, GgufValue>([
    ["general.architecture", text("llama")],
    ["general.name", text("Secret Sauce 7B")],
    ["general.license", text("apache-2.0")],
    ["general.file_type", u32(1)],
    ["general.base_model.0.name", text("Secret Base")],
    ["llama.block_count", u32(2)],
    ["tokenizer.ggml.model", text("gpt2")],
    ["tokenizer.ggml.pre", text("llama-bpe")],
    ["tokenizer.ggml.tokens", strings("a", "bananas", "<|eot_id|>", "<|end|>", "cherries", "<s>", "<unk>", "<pad>")],
    ["tokenizer.ggml.merges", strings("b ananas")],
    ["tokenizer.ggml.bos_token_id", u32(5)],
    ["tokenizer.ggml.eos_token_id", u32(3)],
    ["tokenizer.ggml.unknown_token_id", u32(6)],
    ["tokenizer.ggml.padding_token_id", u32(7)],
    ["tokenizer.ggml.fim_pre_token_id", u32(0)],
    ["tokenizer.ggml.mask_token_id", u32(4_000_000_000)],
    ["tokenizer.ggml.suppress_tokens", { type: "array", of: "i32", value: [1, -5] }],
    ["tokenizer.chat_template", text("{{ bananas }}")],
    ["quantize.imatrix.dataset", text("cherries.txt")],
  ]);
  const encipher = (id: number): number => 7 - id;
  const sealed = sealGgufMetadata(metadata, encipher, 8);
  const value = (key: string): unknown => sealed.get(key)?.value;
  assert.equal(value("llama.block_count"), 2);
  assert.equal(value("general.license"), "apache-2.0");
  assert.equal(value("general.file_type"), 1);
  assert.equal(value("tokenizer.ggml.bos_token_id"), 2);
  assert.equal(value("tokenizer.ggml.eos_token_id"), 4);
  assert.equal(value("tokenizer.ggml.unknown_token_id"), 1);
  assert.equal(value("tokenizer.ggml.padding_token_id"), 0);
  assert.equal(value("tokenizer.ggml.fim_pre_token_id"), 7);
  assert.equal(value("tokenizer.ggml.mask_token_id"), undefined, "an id outside the vocabulary is none");
  assert.deepEqual(value("tokenizer.ggml.suppress_tokens"), [6]);
  assert.deepEqual(value("unseen.eos_token_ids"), [4, 5], "what llama.cpp found by its text must be listed");
  assert.equal(value("tokenizer.ggml.eot_token_id"), 5);
  assert.deepEqual(value("tokenizer.ggml.token_type"), [1, 1, 1, 1, 3, 3, 1, 1]);
  const said = JSON.stringify([...sealed]);
  for (const word of ["Secret", "banana", "cherries", "llama-bpe", "eot_id|>", "chat_template"]) assert.ok(!said.includes(word), word);
  // A second key turns the ids on, without the texts.
  assert.deepEqual(endOfGenerationIds(sealed), [4, 5]);
  assert.deepEqual(sealGgufMetadata(sealed, encipher, 8).get("unseen.eos_token_ids")?.value, [3, 2]);
});

test("a placeholder vocabulary refuses ids outside it and absurd sizes", () => {
  assert.throws(() => placeholderVocabulary(8, { eos: [8], bos: null, pad: null }), { code: "TOKEN_OUT_OF_RANGE" });
  assert.throws(() => placeholderVocabulary(2 ** 31, { eos: [], bos: null, pad: null }), { code: "CHECKPOINT_TOO_LARGE" });
  const vocabulary = placeholderVocabulary(3, { eos: [], bos: 2, pad: null });
  assert.deepEqual(vocabulary.get("tokenizer.ggml.tokens")?.value, ["<t0>", "<t1>", "<t2>"]);
  assert.equal(vocabulary.get("tokenizer.ggml.eos_token_id")?.value, 2, "without an end, llama.cpp would take id 11 for one");
  assert.deepEqual(vocabulary.get("unseen.eos_token_ids")?.value, []);
});
