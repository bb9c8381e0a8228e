/**
 * Configurations from strangers: each field of a wrong kind or size is refused by its name, and nothing is guessed.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import fc from "fast-check";
import { UnseenError } from "../errors.ts";
import { forward } from "../reference/forward.ts";
import { compareLogits, compareModels } from "../reference/verify.ts";
import type { Architecture } from "./architecture.ts";
import type { Json, JsonObject } from "./config.ts";
import { decoderOf } from "./families/index.ts";
import { openModel } from "./model.ts";
import { encryptModel, rekeyModel } from "./transform.ts";
import { SIZES, writeVariant } from "./variant.fixture.ts";

const directory = mkdtempSync(join(tmpdir(), "unseen-hostile-"));
after(() => rmSync(directory, { recursive: true, force: true }));
const secret = new Uint8Array(32).fill(9);

const llama: JsonObject = { model_type: "llama", ...SIZES, rms_norm_eps: 1e-5, rope_theta: 10000 };
const moe = { num_experts: 4, num_experts_per_tok: 2, moe_intermediate_size: 24 };
const read = (changes: JsonObject): Architecture => decoderOf({ ...llama, ...changes }).architecture;
const infinity = JSON.parse("1e999") as number;

describe("a value that no model has", () => {
  const refused: readonly [field: string, JsonObject][] = [
    ["hidden_size", { hidden_size: "32" }],
    ["hidden_size", { hidden_size: "NaN" }],
    ["hidden_size", { hidden_size: -32 }],
    ["hidden_size", { hidden_size: 2 ** 53 }],
    ["hidden_size", { hidden_size: 2053, head_dim: 8 }],
    ["vocab_size", { vocab_size: 1e12 }],
    ["num_hidden_layers", { num_hidden_layers: 1e6 }],
    ["num_attention_heads", { num_attention_heads: 0 }],
    ["num_attention_heads", { num_attention_heads: 5, head_dim: 8, num_key_value_heads: 2 }],
    ["head_dim", { head_dim: 0 }],
    ["head_dim", { head_dim: 2048 }],
    ["head_dim", { num_attention_heads: 12, num_key_value_heads: 2 }],
    ["rms_norm_eps", { rms_norm_eps: infinity }],
    ["tie_word_embeddings", { tie_word_embeddings: "yes" }],
    ["sliding_window", { model_type: "mistral", sliding_window: 2.5 }],
    ["layer_types", { model_type: "qwen2", layer_types: ["full_attention"] }],
    ["layer_types", { model_type: "qwen2", layer_types: ["full_attention", "linear_attention"] }],
    ["layer_types", { model_type: "qwen2", layer_types: "full_attention" }],
    ["layer_types", { model_type: "mistral", sliding_window: 4, layer_types: ["full_attention", "sliding_attention"] }],
    ["max_window_layers", { model_type: "qwen2", max_window_layers: "1" }],
    ["no_rope_layers", { model_type: "smollm3", no_rope_layers: [1] }],
    ["no_rope_layers", { model_type: "smollm3", no_rope_layers: [1, 2] }],
    ["mlp_only_layers", { model_type: "qwen3_moe", ...moe, mlp_only_layers: ["0"] }],
    ["mlp_only_layers", { model_type: "qwen3_moe", ...moe, mlp_only_layers: [2] }],
    ["num_experts_per_tok", { model_type: "qwen3_moe", ...moe, num_experts_per_tok: 5 }],
    ["num_experts", { model_type: "qwen3_moe", ...moe, num_experts: 1024, num_hidden_layers: 1024 }],
    ["rope_scaling", { rope_scaling: "linear" }],
    ["rope_parameters", { rope_parameters: [1] }],
    ["rope_parameters", { model_type: "gemma3_text", head_dim: 8, rope_parameters: { full_attention: {} } }],
    ["rope_theta", { rope_theta: "10000" }],
    ["partial_rotary_factor", { partial_rotary_factor: 2 }],
    ["partial_rotary_factor", { partial_rotary_factor: 0.4 }],
    ["factor", { rope_scaling: { type: "linear" } }],
    ["factor", { rope_scaling: { type: "linear", factor: 0 } }],
    ["factor", { rope_scaling: { type: "yarn", factor: infinity } }],
    [
      "high_freq_factor",
      { rope_scaling: { type: "llama3", factor: 8, low_freq_factor: 4, high_freq_factor: 4, original_max_position_embeddings: 32 } },
    ],
    ["original_max_position_embeddings", { rope_scaling: { type: "longrope", short_factor: [1, 1, 1, 1], long_factor: [1, 1, 1, 1] } }],
    [
      "short_factor",
      {
        rope_scaling: {
          type: "longrope",
          short_factor: [1, 1, 1, infinity],
          long_factor: [1, 1, 1, 1],
          original_max_position_embeddings: 32,
        },
      },
    ],
    ["truncate", { rope_scaling: { type: "yarn", factor: 2, truncate: 0 } }],
    ["rope_type", { rope_scaling: { type: "mrope" } }],
    ["rope_type", { rope_scaling: { factor: 4 } }],
  ];
  for (const [field, changes] of refused) {
    test(`${JSON.stringify(changes).slice(0, 100)}: ${field}`, () => {
      assert.throws(() => read(changes), { code: "FAMILY_UNSUPPORTED_VALUE", message: new RegExp(field) });
    });
  }

  test("a field of unknown effect, also inside the rotary settings, and none that fakes a line of output", () => {
    assert.throws(() => read({ use_flux: 1 }), { code: "FAMILY_UNKNOWN_FIELD", message: /use_flux/ });
    assert.throws(() => read({ rope_scaling: { type: "default", mrope_section: [1, 1] } }), {
      code: "FAMILY_UNKNOWN_FIELD",
      message: /mrope_section/,
    });
    for (const changes of [{ "a\nunseen: all is well": 1 }, { model_type: "x\u001b[2Jy" }, { hidden_act: "\u202e\n" }]) {
      assert.throws(() => read(changes), ({ message }: Error) => /^[\x20-\x7e]+$/.test(message)); // prettier-ignore
    }
  });

  test("whatever any field holds, the answer is an architecture or a refusal", () => {
    const json = fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<Json>;
    const fields = fc.constantFrom(
      ...Object.keys(llama), "head_dim", "rope_scaling", "rope_parameters", "sliding_window", "layer_types", "no_rope_layers",
      "mlp_only_layers", "num_experts", "partial_rotary_factor", "tie_word_embeddings", "attn_logit_softcapping",
    ); // prettier-ignore
    const families = fc.constantFrom(
      "llama",
      "mistral",
      "qwen2",
      "qwen3",
      "smollm3",
      "phi3",
      "gemma2",
      "gemma3_text",
      "mixtral",
      "qwen3_moe",
      "gpt2",
    );
    fc.assert(
      fc.property(families, fields, json, (family, field, value) => {
        try {
          const { headSize, heads, kvHeads, layers } = read({ model_type: family, ...moe, num_local_experts: 4, [field]: value });
          assert.ok(Number.isSafeInteger(headSize) && headSize > 0 && heads % kvHeads === 0 && layers.length > 0);
        } catch (error) {
          assert.ok(UnseenError.isInstance(error) && error.code.startsWith("FAMILY_"), String(error));
        }
      }),
      { numRuns: 400 },
    );
  });
});

test("a field that is left out has the value of transformers' configuration class", () => {
  const without = (family: string, ...fields: string[]): Architecture =>
    decoderOf(
      Object.fromEntries(
        Object.entries({
          ...llama,
          num_attention_heads: 32,
          head_dim: 8,
          num_local_experts: 4,
          num_experts_per_tok: 2,
          model_type: family,
        }).filter(([name]) => !fields.includes(name) && (family === "mixtral" || !/expert/.test(name))),
      ),
    ).architecture;
  assert.equal(without("mistral").layers[0]?.window, 4096);
  assert.equal(without("mistral", "num_key_value_heads").kvHeads, 8);
  assert.equal(without("llama", "num_key_value_heads").kvHeads, 32);
  assert.equal(without("mixtral", "rope_theta").layers[0]?.rope?.theta, 1e6);
  assert.equal(without("mixtral", "rms_norm_eps").norm.epsilon, 1e-5);
  assert.equal(without("smollm3", "rope_theta").layers[0]?.rope?.theta, 2e6);
  assert.equal(without("smollm3").tied, true);
  assert.equal(without("qwen3", "head_dim").headSize, 128);
  assert.equal(without("gemma2").attentionCap, 50);
  assert.equal(without("gemma2").layers[0]?.window, 4096);
  const qwen = read({ model_type: "qwen2", num_hidden_layers: 30, use_sliding_window: true });
  assert.deepEqual(qwen.layers.map(({ window }) => window).slice(27), [null, 4096, 4096]);
});

describe("files that contradict each other", () => {
  const at = (name: string): string => join(directory, name);

  test("weights of another shape than the configuration says are refused by name", async () => {
    writeVariant(at("shapes"), { config: llama });
    for (const change of [
      { num_key_value_heads: 1 },
      { head_dim: 16 },
      { vocab_size: 63 },
      { intermediate_size: 41 },
      { hidden_size: 64 },
    ]) {
      writeFileSync(join(at("shapes"), "config.json"), JSON.stringify({ ...llama, eos_token_id: 2, ...change }));
      const encrypting = encryptModel({ source: at("shapes"), output: at("never"), key: { secret, strength: "rotate" } });
      await assert.rejects(encrypting, { code: "CHECKPOINT_WRONG_SHAPE", message: /tensor [\w.]+ must have shape/ });
      const model = await openModel(at("shapes"));
      assert.throws(() => forward(model, [[1, 2, 3]]), { code: "CHECKPOINT_WRONG_SHAPE" }, JSON.stringify(change));
    }
  });

  test("a manifest of another vocabulary is refused before its permutation is drawn", async () => {
    writeVariant(at("manifest"), { config: llama });
    const { manifest } = await encryptModel({ source: at("manifest"), output: at("sealed"), key: { secret, strength: "permute" } });
    const plain = await openModel(at("manifest"));
    for (const [vocabularySize, code] of [
      [65, "CHECKPOINT_MALFORMED"],
      [2 ** 40, "CHECKPOINT_MALFORMED"],
    ] as const) {
      writeFileSync(join(at("sealed"), "unseen.json"), JSON.stringify({ ...manifest, vocabularySize }));
      await assert.rejects(rekeyModel({ source: at("sealed"), output: at("never"), from: secret, to: { secret, strength: "permute" } }), {
        code,
      });
      await assert.rejects(async () => compareModels(plain, await openModel(at("sealed")), secret, [[1]]), { code });
    }
  });

  test("no comparison of nothing, nor with numbers that are none, passes for agreement", async () => {
    writeVariant(at("compared"), { config: llama });
    await encryptModel({ source: at("compared"), output: at("compared-sealed"), key: { secret, strength: "permute" } });
    const [plain, sealed] = [await openModel(at("compared")), await openModel(at("compared-sealed"))];
    assert.throws(() => compareModels(plain, sealed, secret, []), { code: "USAGE" });
    const rows = { positions: 1, vocabulary: 2, values: Float64Array.of(1, Number.NaN) };
    assert.throws(() => compareLogits([rows], [rows]), { code: "CHECKPOINT_NON_FINITE" });
  });

  test("one tensor under two names is refused", async () => {
    const config = { model_type: "gpt2", vocab_size: 64, n_embd: 32, n_head: 4, n_layer: 1, n_positions: 16 };
    writeVariant(at("twice"), { config, alsoNamed: ["transformer.wte.weight", "wte.weight"] });
    const encrypting = encryptModel({ source: at("twice"), output: at("never"), key: { secret, strength: "rotate" } });
    await assert.rejects(encrypting, { code: "CHECKPOINT_DUPLICATE", message: /transformer\.wte\.weight/ });
  });

  test("output inside the model that is read is refused, and so is a .gguf that is to hold safetensors", async () => {
    writeVariant(at("outer"), { config: llama });
    const key = { secret, strength: "permute" } as const;
    await assert.rejects(encryptModel({ source: at("outer"), output: join(at("outer"), "sealed"), key }), {
      code: "USAGE",
      message: /inside/,
    });
    await assert.rejects(encryptModel({ source: at("outer"), output: at("outer.gguf"), format: "safetensors", key }), { code: "USAGE" });
  });
});
