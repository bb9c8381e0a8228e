/**
 * Every family, and the variants of it that few checkpoints have: encrypted under both strengths and deciphered, each
 * computes what the plain model computes. The checkpoints are made here, so that this needs no download.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { forward, type Logits } from "../reference/forward.ts";
import { compareLogits, decipherLogits } from "../reference/verify.ts";
import type { JsonObject } from "./config.ts";
import { families } from "./families/index.ts";
import { openModel } from "./model.ts";
import { vocabularyPermutation, type Strength } from "./spaces.ts";
import { convertModel, encryptModel, rekeyModel, type TransformOptions } from "./transform.ts";
import { SIZES, writeVariant, type Variant } from "./variant.fixture.ts";

const secret = Uint8Array.from({ length: 32 }, (_, index) => index * 5 + 2);
const other = Uint8Array.from({ length: 32 }, (_, index) => 251 - index * 3);
const directory = mkdtempSync(join(tmpdir(), "unseen-variants-"));
after(() => rmSync(directory, { recursive: true, force: true }));

interface Case extends Variant {
  /** llama.cpp cannot run it as configured, and conversion says so, naming this. */
  readonly refusedAsGguf?: RegExp;
  /** Positions within which llama.cpp is exact (default: all). */
  readonly ggufPositions?: number;
  /** Largest difference of a logit that the number format explains, for `rotate`. */
  readonly tolerance?: number;
  readonly options?: Partial<TransformOptions>;
}

const llama = (changes: JsonObject = {}): JsonObject => ({
  model_type: "llama",
  ...SIZES,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  tie_word_embeddings: false,
  ...changes,
});
const gemma = (changes: JsonObject): JsonObject => ({
  ...SIZES,
  head_dim: 8,
  query_pre_attn_scalar: 8,
  sliding_window: 5,
  rms_norm_eps: 1e-6,
  ...changes,
});
const gpt2 = (changes: JsonObject = {}): JsonObject => ({
  model_type: "gpt2",
  vocab_size: 64,
  n_embd: 32,
  n_head: 4,
  n_layer: 2,
  n_positions: 64,
  bos_token_id: 1,
  eos_token_id: 63,
  ...changes,
});
const scaled = (scaling: JsonObject): JsonObject => llama({ rope_scaling: scaling });
const experts = { num_experts: 4, num_experts_per_tok: 2, moe_intermediate_size: 24, head_dim: 8, rms_norm_eps: 1e-6 } as const;
const longrope = {
  type: "longrope",
  short_factor: [1, 1.1, 1.3, 2],
  long_factor: [1.5, 2, 3, 5],
} as const;
const yarn = { rope_type: "yarn", factor: 4, original_max_position_embeddings: 16 } as const;

const cases: Readonly<Record<string, Case>> = {
  "llama, nothing unusual": { config: llama() },
  "llama, tied, with every bias": { config: llama({ tie_word_embeddings: true, attention_bias: true, mlp_bias: true }), biases: true },
  "llama, linear scaling": { config: scaled({ type: "linear", factor: 3 }) },
  "llama, llama3 scaling": {
    config: scaled({ rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 32 }),
  },
  "llama, yarn": { config: scaled(yarn) },
  "llama, yarn with its own attention factor, not truncated": {
    config: scaled({ ...yarn, attention_factor: 1.3, beta_fast: 8, truncate: false }),
    refusedAsGguf: /beta_fast/,
  },
  "llama, heads wider than their share": { config: llama({ head_dim: 12 }) },
  "llama, heads narrower than their share": { config: llama({ head_dim: 4 }) },
  "llama, hidden 96 = 32 · 3, one key-value head": {
    config: llama({ hidden_size: 96, num_key_value_heads: 1, num_attention_heads: 6 }),
  },
  "llama, hidden 80 = 16 · 5, a key-value head for each head": {
    config: llama({ hidden_size: 80, num_attention_heads: 5, num_key_value_heads: 5 }),
  },
  "llama, hidden 33, which is odd": { config: llama({ hidden_size: 33, head_dim: 6 }) },
  "llama, one layer, one head": { config: llama({ num_hidden_layers: 1, num_attention_heads: 1, num_key_value_heads: 1 }) },
  "llama in bfloat16": { config: llama(), format: "BF16", tolerance: 0.15 },
  "llama in float16": { config: llama(), format: "F16", tolerance: 0.02 },
  "llama in bfloat16, to float32": { config: llama(), format: "BF16", options: { precision: "f32" } },
  "mistral, a window": { config: llama({ model_type: "mistral", sliding_window: 5 }), ggufPositions: 5 },
  "mistral, no window": { config: llama({ model_type: "mistral", sliding_window: null }) },
  "qwen2, windows by layer_types": {
    config: llama({
      model_type: "qwen2",
      use_sliding_window: true,
      sliding_window: 4,
      layer_types: ["full_attention", "sliding_attention"],
    }),
    biases: true,
    refusedAsGguf: /no name for tensor/,
  },
  "qwen3, windows behind max_window_layers": {
    config: llama({ model_type: "qwen3", head_dim: 16, use_sliding_window: true, sliding_window: 4, max_window_layers: 1 }),
    ggufPositions: 4,
  },
  "smollm3, every fourth layer without rotary": {
    config: llama({ model_type: "smollm3", num_hidden_layers: 4, no_rope_layer_interval: 4, tie_word_embeddings: true }),
  },
  "smollm3, layers without rotary by list": {
    config: llama({ model_type: "smollm3", no_rope_layers: [0, 1] }),
    refusedAsGguf: /no_rope_layers/,
  },
  "phi3, half of each head rotated": { config: llama({ model_type: "phi3", partial_rotary_factor: 0.5, sliding_window: null }) },
  "phi3, longrope, short": {
    config: llama({ model_type: "phi3", rope_scaling: longrope, original_max_position_embeddings: 16 }),
  },
  "phi3, longrope, long": {
    config: llama({ model_type: "phi3", rope_scaling: longrope, original_max_position_embeddings: 8 }),
    ggufPositions: 8,
  },
  "gemma2, windows and caps": {
    config: gemma({ model_type: "gemma2", attn_logit_softcapping: 20, final_logit_softcapping: 10 }),
  },
  "gemma3, scaled rotary positions": {
    config: gemma({
      model_type: "gemma3_text",
      sliding_window_pattern: 2,
      rope_theta: 1e6,
      rope_local_base_freq: 1e4,
      rope_scaling: { rope_type: "linear", factor: 8 },
    }),
  },
  "gemma3, in transformers 5's spelling": {
    config: gemma({
      model_type: "gemma3_text",
      layer_types: ["sliding_attention", "full_attention"],
      rope_parameters: {
        full_attention: { rope_type: "linear", factor: 8, rope_theta: 1e6 },
        sliding_attention: { rope_type: "default", rope_theta: 1e4 },
      },
    }),
  },
  "mixtral, two of four experts": {
    config: llama({ model_type: "mixtral", num_local_experts: 4, num_experts_per_tok: 2, sliding_window: null }),
  },
  "qwen3-moe, experts in every layer": { config: llama({ model_type: "qwen3_moe", ...experts, norm_topk_prob: true }) },
  "qwen3-moe, some layers dense, shares not normalised": {
    config: llama({ model_type: "qwen3_moe", ...experts, mlp_only_layers: [0], norm_topk_prob: false }),
    refusedAsGguf: /mlp_only_layers/,
  },
  "qwen3-moe, experts in every second layer": {
    config: llama({ model_type: "qwen3_moe", ...experts, num_hidden_layers: 4, decoder_sparse_step: 2, norm_topk_prob: true }),
    refusedAsGguf: /mlp_only_layers/,
  },
  "gpt2, nothing unusual": { config: gpt2() },
  "gpt2, untied, some gains exactly zero": { config: gpt2({ tie_word_embeddings: false }), zeroGains: true },
  "gpt2, exact GELU": { config: gpt2({ activation_function: "gelu" }), refusedAsGguf: /activation_function/ },
  "gpt2, scores divided by the layer's number": {
    config: gpt2({ scale_attn_by_inverse_layer_idx: true }),
    refusedAsGguf: /scale_attn_by_inverse_layer_idx/,
  },
};

/** Three texts of plain ids, long enough to pass every window and short enough for every context. */
const sequences = [7, 11, 12].map((length, text) => Array.from({ length }, (_, position) => (position * 23 + text * 17 + 5) % 64));

/** The logits of plain ids, computed by an encrypted model. */
async function decipher(path: string, key: Uint8Array, positions = Infinity): Promise<Logits[]> {
  const cipher = vocabularyPermutation(key, 64);
  const enciphered = sequences.map((ids) => ids.slice(0, positions).map((id) => cipher[id] as number));
  return forward(await openModel(path), enciphered).map((logits) => decipherLogits(logits, cipher));
}

async function plainLogits(path: string, positions = Infinity): Promise<Logits[]> {
  return forward(
    await openModel(path),
    sequences.map((ids) => ids.slice(0, positions)),
  );
}

function assertSame(expected: Logits[], actual: Logits[], tolerance: number, what: string): void {
  const { maxLogitDifference } = compareLogits(expected, actual);
  assert.ok(maxLogitDifference <= tolerance, `${what}: largest difference ${maxLogitDifference}`);
}

describe("variants", () => {
  test("every family is among them", () => {
    const covered = new Set(Object.values(cases).map(({ config }) => config["model_type"]));
    assert.deepEqual(new Set(families.flatMap(({ types }) => types)), covered);
  });

  for (const [index, [name, variant]] of Object.entries(cases).entries()) {
    test(name, async () => {
      const at = (suffix: string): string => join(directory, `${index}${suffix}`);
      writeVariant(at(""), variant);
      const plain = await plainLogits(at(""));
      // Weights of these sizes make logits of a few units.
      const largest = Math.max(...plain.flatMap(({ values }) => [...values].map(Math.abs)));
      assert.ok(largest > 0.5 && largest < 1e3, `logits up to ${largest}`);

      for (const strength of ["permute", "rotate"] as const satisfies Strength[]) {
        const tolerance = strength === "permute" ? 1e-9 : (variant.tolerance ?? 5e-5);
        const encrypted = at(`-${strength}`);
        const key = { secret, strength };
        await encryptModel({ source: at(""), output: encrypted, key, ...variant.options });
        assertSame(plain, await decipher(encrypted, secret), tolerance, strength);

        const converted = at(`-${strength}.gguf`);
        const conversion = convertModel({ source: encrypted, output: converted });
        if (variant.refusedAsGguf) {
          await assert.rejects(conversion, { message: variant.refusedAsGguf });
        } else {
          await conversion;
          // Rotary factors and bases are float32 in a GGUF.
          const expected = await plainLogits(at(""), variant.ggufPositions);
          assertSame(expected, await decipher(converted, secret, variant.ggufPositions), Math.max(tolerance, 2e-5), `${strength}, as GGUF`);
        }

        const rekeyed = at(`-${strength}-rekeyed`);
        await rekeyModel({ source: encrypted, output: rekeyed, from: secret, to: { secret: other, strength } });
        assertSame(plain, await decipher(rekeyed, other), 2 * tolerance, `${strength}, rekeyed`);
      }
    });
  }

  test("a GGUF in Q8_0 is enciphered as it is", async () => {
    const at = (suffix: string): string => join(directory, `q8${suffix}`);
    // Rows of 64, of which Q8_0 quantises 32 at a time.
    writeVariant(at(""), { config: llama({ hidden_size: 64, intermediate_size: 96 }) });
    await convertModel({ source: at(""), output: at(".gguf"), quantize: "q8_0" });
    const quantised = await openModel(at(".gguf"));
    assert.equal(quantised.tensors.get("model.layers.0.mlp.up_proj.weight")?.format, "Q8_0");
    const plain = forward(quantised, sequences);
    for (const strength of ["permute", "rotate"] as const satisfies Strength[]) {
      const key = { secret, strength };
      await encryptModel({ source: at(".gguf"), output: at(`-${strength}.gguf`), key });
      // Blocks of 32 other weights are rounded anew, to a 254th of the largest.
      const { meanKl } = compareLogits(plain, await decipher(at(`-${strength}.gguf`), secret));
      assert.ok(meanKl < 0.02, `${strength}: mean KL ${meanKl}`);
      await encryptModel({ source: at(".gguf"), output: at(`-${strength}-f32.gguf`), key, precision: "f32" });
      assertSame(plain, await decipher(at(`-${strength}-f32.gguf`), secret), 5e-5, `${strength}, to float32`);
    }
  });

  // The sign that a permuted LayerNorm stream may carry differs from key to key.
  for (const model of ["gpt2, nothing unusual", "llama, tied, with every bias", "phi3, half of each head rotated"]) {
    test(`${model}: rekeyed from one strength to the other`, async () => {
      const source = join(directory, `strengths-${model}`);
      writeVariant(source, cases[model] as Case);
      const plain = await plainLogits(source);
      for (let seed = 0; seed < 6; seed += 1) {
        const key = new Uint8Array(32).fill(seed + 40);
        for (const [before, after_] of [
          ["permute", "rotate"],
          ["rotate", "permute"],
        ] as const) {
          const [first, second] = [`${source}-${seed}-${before}`, `${source}-${seed}-${before}-${after_}`];
          await encryptModel({ source, output: first, key: { secret: key, strength: before } });
          const { manifest } = await rekeyModel({ source: first, output: second, from: key, to: { secret: other, strength: after_ } });
          assert.equal(manifest?.strength, after_);
          assertSame(plain, await decipher(second, other), 1e-4, `${before} to ${after_}`);
          // The manifest's word is what the next rekeying builds on.
          const third = `${second}-again`;
          await rekeyModel({ source: second, output: third, from: other, to: { secret, strength: after_ } });
          assertSame(plain, await decipher(third, secret), 2e-4, `${before} to ${after_}, and again`);
        }
      }
    });
  }
});
