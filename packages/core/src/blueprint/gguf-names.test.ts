import assert from "node:assert/strict";
import { test } from "node:test";
import { needs, sharedPath } from "../../../../tests/shared.ts";
import { decoderOf } from "./families/index.ts";
import { ggufArchitecture, ggufPlace, huggingFaceName } from "./gguf-names.ts";
import { readConfigFile } from "./plain-gguf.fixture.ts";

for (const family of ["llama3", "mistral", "mixtral", "phi3", "qwen2", "qwen3", "qwen3-moe", "gemma2", "gemma3", "gpt2", "smollm3"]) {
  const source = `data/models/families/${family}`;
  test(`${family}: every tensor that must be there has a place of its own, and the place leads back`, needs(source), () => {
    const config = readConfigFile(sharedPath(source) as string);
    const { tensors, head, architecture: a } = decoderOf(config);
    const architecture = ggufArchitecture(a.family);
    const places = new Set<string>();
    for (const [name, row] of Object.entries(tensors)) {
      const place = ggufPlace(architecture, name);
      if (!place) {
        assert.ok(row.optional || (architecture === "gemma2" && name === head), `no place for ${name}`);
        continue;
      }
      assert.equal(huggingFaceName(architecture, place.name, place.expert), name);
      const key = `${place.name} ${place.expert ?? ""}`;
      assert.ok(!places.has(key), `${key} is taken twice`);
      places.add(key);
    }
  });
}

test("names that look like others have no place", () => {
  for (const name of [
    "model.layers.00.self_attn.q_proj.weight",
    "model.layers.-1.self_attn.q_proj.weight",
    "model.layers.0.block_sparse_moe.experts.#.w1.weight",
    "model.layers.0.constructor.weight",
    "constructor.weight",
    "lm_head.bias",
    "lm_head",
    "",
  ]) {
    assert.equal(ggufPlace("llama", name), null, name);
  }
  assert.equal(huggingFaceName("llama", "blk.0.ffn_up_exps.weight"), null, "a stack without the expert's number");
  assert.equal(huggingFaceName("llama", "blk.0.ffn_up.weight", 1), null, "an expert of a dense block");
  assert.equal(huggingFaceName("qwen3", "blk.0.attn_output.bias"), null, "a bias that llama.cpp does not read");
  assert.equal(huggingFaceName("gemma2", "output.weight"), null, "a head that llama.cpp does not read");
});

test("model types and architectures that nobody knows are refused", () => {
  assert.throws(() => ggufArchitecture("mamba"), { code: "FAMILY_UNKNOWN", message: /mamba/ });
  assert.throws(() => ggufPlace("toString", "lm_head.weight"), { code: "FAMILY_UNKNOWN" });
});
