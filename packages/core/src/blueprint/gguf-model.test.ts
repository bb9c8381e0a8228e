import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import * as fc from "fast-check";
import { needs, sharedPath } from "../../../../tests/shared.ts";
import { openGguf, type Gguf, type GgufValue } from "../checkpoint/gguf.ts";
import { openSafetensors } from "../checkpoint/safetensors.ts";
import type { TensorLocation } from "../checkpoint/tensor.ts";
import type { Architecture, Rope } from "./architecture.ts";
import { UnseenError } from "../errors.ts";
import { decoderOf } from "./families/index.ts";
import { exactContextLength } from "./gguf-limits.ts";
import { extraTensors } from "./gguf-metadata.ts";
import { readGgufModel } from "./gguf-model.ts";
import { ggufArchitecture } from "./gguf-names.ts";
import { readValues, rearrange, writePlainGguf } from "./plain-gguf.fixture.ts";

const directory = mkdtempSync(join(tmpdir(), "unseen-gguf-model-"));
after(() => rmSync(directory, { recursive: true, force: true }));

/** What a GGUF can say of an architecture: mistral is llama, windows cut the context, llama3's scaling is a list of factors. */
function asGgufSays(a: Architecture): Architecture {
  const name = ggufArchitecture(a.family);
  const positions = exactContextLength(name, a);
  const slides = name.startsWith("gemma");
  const factors = extraTensors(a)[0]?.values;
  const rope = (plain: Rope | null): Rope | null => {
    if (plain?.scaling?.type !== "llama3" || !factors) return plain;
    const rounded = Array.from(factors, Math.fround);
    return {
      ...plain,
      scaling: { type: "longrope", shortFactors: rounded, longFactors: rounded, originalPositions: positions, attentionFactor: 1 },
    };
  };
  return {
    ...a,
    family: a.family === "mistral" ? "llama" : a.family,
    maximumPositions: positions,
    layers: a.layers.map((layer) => ({ ...layer, rope: rope(layer.rope), window: slides ? layer.window : null })),
  };
}

for (const family of [
  "llama3",
  "llama2-bias-tied",
  "mistral",
  "mixtral",
  "phi3",
  "qwen2",
  "qwen3",
  "qwen3-moe",
  "gemma2",
  "gemma3",
  "gpt2",
]) {
  const source = `data/models/families/${family}`;
  test(`${family}: a GGUF says what config.json said and holds the same tensors`, needs(source), async () => {
    const path = join(directory, `${family}.gguf`);
    const plain = sharedPath(source) as string;
    const { architecture } = await writePlainGguf(plain, path, [2, 7]);
    const model = readGgufModel(path, await openGguf(path));
    assert.deepEqual(model.config["eos_token_id"], [2, 7]);
    assert.equal(model.config["bos_token_id"], 1);
    const blueprint = decoderOf(model.config);
    assert.deepEqual(blueprint.architecture, asGgufSays(architecture));

    const { tensors } = await openSafetensors(plain);
    assert.deepEqual([...model.tensors.keys()].toSorted(), [...tensors.keys()].toSorted());
    for (const [name, location] of tensors) {
      assert.ok(Object.hasOwn(blueprint.tensors, name), name);
      const expected = readValues(location);
      const actual = rearrange(name, readValues(model.tensors.get(name) as TensorLocation), architecture, "from");
      assert.deepEqual(actual.shape, [...expected.shape], name);
      const worst = expected.values.reduce((most, value, index) => Math.max(most, Math.abs(value - (actual.values[index] as number))), 0);
      assert.ok(
        worst <= (architecture.norm.gainOffset === 1 && name.endsWith("norm.weight") ? 2 ** -22 : 0),
        `${name} differs by ${worst}`,
      );
    }
  });
}

const SMOLLM = "data/models/families/smollm3";
test("smollm3 with another interval than llama.cpp's 4 is refused by name", needs(SMOLLM), async () => {
  await assert.rejects(writePlainGguf(sharedPath(SMOLLM) as string, join(directory, "smollm3.gguf")), {
    code: "FAMILY_UNSUPPORTED_VALUE",
    message: /no_rope_layers/,
  });
});

for (const [file, layers] of [
  ["data/models/stories260K-f32.gguf", 5],
  ["assets/story-llama/story-llama-f16.gguf", null],
] as const) {
  test(`${file} has every tensor of its family in its shape`, needs(file), async () => {
    const path = sharedPath(file) as string;
    const model = readGgufModel(path, await openGguf(path));
    const { architecture, tensors, head } = decoderOf(model.config);
    assert.equal(model.rotaryLayout, "interleaved");
    assert.equal(model.manifest, null);
    if (layers !== null) assert.equal(architecture.layers.length, layers);
    for (const [name, row] of Object.entries(tensors)) {
      const location = model.tensors.get(name);
      if (!location && (row.optional || (name === head && architecture.tied))) continue;
      assert.deepEqual(
        location?.shape,
        row.axes.map((axis) => sizeOf(axis)),
        name,
      );
    }
    for (const name of model.tensors.keys()) assert.ok(Object.hasOwn(tensors, name), name);
  });
}

function sizeOf(axis: unknown): number {
  const { parts, space } = axis as { parts?: unknown[]; space?: { size: number } };
  return parts ? parts.reduce((sum: number, part) => sum + sizeOf(part), 0) : (space as { size: number }).size;
}

const tensor = (name: string, ...shape: number[]): TensorLocation => ({
  name,
  shape,
  format: "F32",
  file: "/nowhere.gguf",
  offset: 0,
  bytes: 4 * shape.reduce((a, b) => a * b, 1),
});

/** A header as an attacker could write it. */
function header(changes: Record<string, GgufValue | null>, tensors: TensorLocation[] = [], architecture = "llama"): Gguf {
  const metadata = new Map<string, GgufValue>([
    ["general.architecture", { type: "string", value: architecture }],
    ...Object.entries({ block_count: 1, context_length: 64, embedding_length: 16, feed_forward_length: 32, "attention.head_count": 2 }).map(
      ([key, value]): [string, GgufValue] => [`${architecture}.${key}`, { type: "u32", value }],
    ),
    [`${architecture}.attention.layer_norm_rms_epsilon`, { type: "f32", value: Math.fround(1e-5) }],
  ]);
  for (const [key, value] of Object.entries(changes)) {
    if (value) metadata.set(key, value);
    else metadata.delete(key);
  }
  return {
    metadata,
    file: "/nowhere.gguf",
    alignment: 32,
    tensors: new Map([tensor("token_embd.weight", 64, 16), ...tensors].map((entry) => [entry.name, entry])),
  };
}

const u32 = (value: number): GgufValue => ({ type: "u32", value });

test("a plain header is read with llama.cpp's defaults", () => {
  const { config, manifest } = readGgufModel("/tiny.gguf", header({}));
  const { architecture } = decoderOf(config);
  assert.equal(architecture.kvHeads, 2);
  assert.equal(architecture.headSize, 8);
  assert.equal(architecture.norm.epsilon, 1e-5, "a 32-bit float must come back as the decimal it was");
  assert.deepEqual(architecture.layers[0]?.rope, { theta: 10000, dimensions: 8, scaling: null });
  assert.equal(architecture.tied, true);
  assert.equal(manifest, null);
});

test("scalings are read as llama.cpp computes them", () => {
  const text = (value: string): GgufValue => ({ type: "string", value });
  const scaling = (changes: Record<string, GgufValue>): Rope["scaling"] | undefined =>
    decoderOf(readGgufModel("/tiny.gguf", header(changes)).config).architecture.layers[0]?.rope?.scaling;
  assert.deepEqual(scaling({ "llama.rope.scaling.factor": { type: "f32", value: 4 } }), { type: "linear", factor: 4 });
  assert.equal(scaling({ "llama.rope.scaling.type": text("none"), "llama.rope.scaling.factor": { type: "f32", value: 4 } }), null);
  const yarn = scaling({
    "llama.rope.scaling.type": text("yarn"),
    "llama.rope.scaling.factor": { type: "f32", value: 4 },
    "llama.rope.scaling.original_context_length": u32(16),
  });
  assert.deepEqual(yarn, {
    type: "yarn",
    factor: 4,
    originalPositions: 16,
    betaFast: 32,
    betaSlow: 1,
    attentionFactor: 1 + 0.1 * Math.log(4),
    truncate: true,
  });
});

const refusals: [string, Gguf, string, RegExp][] = [
  ["an unknown architecture", header({}, [], "mamba"), "FAMILY_UNKNOWN", /mamba/],
  ["an architecture named as an object's member", header({}, [], "constructor"), "FAMILY_UNKNOWN", /constructor/],
  ["no architecture", header({ "general.architecture": null }), "CHECKPOINT_MALFORMED", /general\.architecture/],
  ["an adapter", header({ "general.type": { type: "string", value: "adapter" } }), "FAMILY_UNSUPPORTED_VALUE", /adapter/],
  ["no block count", header({ "llama.block_count": null }), "CHECKPOINT_MALFORMED", /llama\.block_count/],
  ["a million layers", header({ "llama.block_count": u32(1_000_000) }), "FAMILY_UNSUPPORTED_VALUE", /block_count/],
  ["a huge dimension", header({ "llama.embedding_length": u32(0xffffffff) }), "FAMILY_UNSUPPORTED_VALUE", /embedding_length/],
  ["no heads", header({ "llama.attention.head_count": u32(0) }), "FAMILY_UNSUPPORTED_VALUE", /head_count/],
  [
    "heads that vary",
    header({ "llama.attention.head_count_kv": { type: "array", of: "u32", value: [1, 2] } }),
    "FAMILY_UNSUPPORTED_VALUE",
    /layer to layer/,
  ],
  ["a field of unknown effect", header({ "llama.logit_scale": { type: "f32", value: 2 } }), "FAMILY_UNKNOWN_FIELD", /llama\.logit_scale/],
  ["attention to the future", header({ "llama.attention.causal": { type: "bool", value: false } }), "FAMILY_UNSUPPORTED_VALUE", /causal/],
  ["partly rotated heads", header({ "llama.rope.dimension_count": u32(4) }), "FAMILY_UNSUPPORTED_VALUE", /dimension_count/],
  [
    "a scaling of unknown kind",
    header({ "llama.rope.scaling.type": { type: "string", value: "spiral" } }),
    "FAMILY_UNSUPPORTED_VALUE",
    /spiral/,
  ],
  ["another size of vocabulary", header({ "llama.vocab_size": u32(65) }), "FAMILY_UNSUPPORTED_VALUE", /vocab_size/],
  ["an unknown tensor", header({}, [tensor("blk.0.attn_sinks.weight", 2)]), "FAMILY_UNKNOWN_TENSOR", /attn_sinks/],
  ["a stack of experts without rows", header({}, [tensor("blk.0.ffn_up_exps.weight", 2, 32)]), "CHECKPOINT_WRONG_SHAPE", /ffn_up_exps/],
  ["frequency factors of another length", header({}, [tensor("rope_freqs.weight", 5)]), "CHECKPOINT_WRONG_SHAPE", /rope_freqs/],
  ["a broken manifest", header({ "unseen.scheme": { type: "string", value: "unseen-ee" } }), "CHECKPOINT_MALFORMED", /manifest/],
];
for (const [what, gguf, code, message] of refusals) {
  test(`refuses ${what}`, () => {
    assert.throws(() => readGgufModel("/tiny.gguf", gguf), { code, message });
  });
}

test("whatever the metadata holds, the answer is a model or a typed error", () => {
  const number = fc.oneof(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.integer({ min: 0, max: 100 }));
  const value: fc.Arbitrary<GgufValue> = fc.oneof(
    number.map(u32),
    fc.double().map((entry): GgufValue => ({ type: "f32", value: Math.fround(entry) })),
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((entry): GgufValue => ({ type: "u64", value: entry })),
    fc.boolean().map((entry): GgufValue => ({ type: "bool", value: entry })),
    fc.string({ maxLength: 8 }).map((entry): GgufValue => ({ type: "string", value: entry })),
    fc.array(number, { maxLength: 4 }).map((entry): GgufValue => ({ type: "array", of: "u32", value: entry })),
    fc.array(fc.string({ maxLength: 4 }), { maxLength: 4 }).map((entry): GgufValue => ({ type: "array", of: "string", value: entry })),
  );
  const keys = [
    ...header({}).metadata.keys(),
    "llama.expert_count",
    "llama.expert_used_count",
    "llama.attention.key_length",
    "llama.attention.head_count_kv",
    "llama.vocab_size",
    "llama.rope.freq_base",
    "llama.rope.dimension_count",
    "llama.rope.scaling.type",
    "llama.rope.scaling.factor",
    "general.type",
    "unseen.scheme",
    "unseen.eos_token_ids",
    "tokenizer.ggml.tokens",
    "tokenizer.ggml.eos_token_id",
    "tokenizer.ggml.model",
  ];
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...keys), value, { maxKeys: 4 }), (changes) => {
      try {
        decoderOf(readGgufModel("/tiny.gguf", header(changes)).config);
      } catch (error) {
        if (!UnseenError.isInstance(error)) throw error;
      }
    }),
    { numRuns: 2000 },
  );
});
