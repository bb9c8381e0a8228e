/**
 * Every encoder family and head: encrypted under both strengths and deciphered, each computes what the plain model computes,
 * and the directory says nothing that it should not. The checkpoints are made here, so that this needs no download.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { needs, sharedPath } from "../../../../tests/shared.ts";
import { RandomStream } from "../algebra/random.ts";
import { encode, type EncoderInput } from "../reference/encoder.ts";
import { compareModels } from "../reference/verify.ts";
import type { JsonObject } from "./config.ts";
import { blueprintOf, encoders } from "./families/index.ts";
import { openModel } from "./model.ts";
import { decipherOutput, type ModelOutput } from "./output.ts";
import { Elements, vocabularyPermutation, type ModelKey, type Strength } from "./spaces.ts";
import { encryptModel, rekeyModel, type TransformResult } from "./transform.ts";
import { writeVariant, type Variant } from "./variant.fixture.ts";

const secret = Uint8Array.from({ length: 32 }, (_, index) => index * 5 + 2);
const other = Uint8Array.from({ length: 32 }, (_, index) => 251 - index * 3);
const directory = mkdtempSync(join(tmpdir(), "unseen-encoders-"));
after(() => rmSync(directory, { recursive: true, force: true }));

const VOCABULARY = 64;
const SIZES = {
  vocab_size: VOCABULARY,
  hidden_size: 32,
  intermediate_size: 40,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  max_position_embeddings: 40,
} as const satisfies JsonObject;
const labels = (count: number): JsonObject => ({
  id2label: Object.fromEntries(Array.from({ length: count }, (_, index) => [String(index), `SECRET ${index}`])),
  label2id: Object.fromEntries(Array.from({ length: count }, (_, index) => [`SECRET ${index}`, index])),
});
const text = (family: string, architecture: string, changes: JsonObject = {}): JsonObject => ({
  model_type: family,
  architectures: [architecture],
  ...SIZES,
  ...changes,
});
const distilbert = (architecture: string, changes: JsonObject = {}): JsonObject => ({
  model_type: "distilbert",
  architectures: [architecture],
  vocab_size: VOCABULARY,
  dim: 32,
  hidden_dim: 40,
  n_layers: 2,
  n_heads: 4,
  max_position_embeddings: 40,
  pad_token_id: 0,
  ...changes,
});
const PATCHES = {
  hidden_size: 48,
  intermediate_size: 40,
  num_hidden_layers: 2,
  num_attention_heads: 6,
  image_size: 12,
  patch_size: 4,
  num_channels: 3,
} as const satisfies JsonObject;
const vit = (architecture: string, changes: JsonObject = {}): JsonObject => ({
  model_type: "vit",
  architectures: [architecture],
  ...PATCHES,
  ...changes,
});
const CLIP_TEXT = { ...SIZES, bos_token_id: 62, eos_token_id: 63, pad_token_id: 1 } as const satisfies JsonObject;
const clip = (changes: JsonObject = {}, top: JsonObject = {}): JsonObject => ({
  model_type: "clip",
  architectures: ["CLIPModel"],
  projection_dim: 24,
  text_config: { model_type: "clip_text_model", ...CLIP_TEXT, ...changes },
  vision_config: { model_type: "clip_vision_model", ...PATCHES },
  ...top,
});
const withoutBase = (name: string): string => name.replace(/^(bert|roberta|mpnet|distilbert|vit|text_model|vision_model)\./, "");

const cases: Readonly<Record<string, Variant>> = {
  "bert with a pooler": { config: text("bert", "BertModel"), biases: true },
  "bert without a pooler": { config: text("bert", "BertModel") },
  "bert without its prefix": { config: text("bert", "BertModel"), rename: withoutBase },
  "bert without architectures": { config: { model_type: "bert", ...SIZES } },
  "bert, classes": { config: text("bert", "BertForSequenceClassification", labels(5)), biases: true },
  "bert, classes of tokens": { config: text("bert", "BertForTokenClassification", labels(3)) },
  "bert, masked, tied": { config: text("bert", "BertForMaskedLM") },
  "bert, masked, with all that pre-training leaves": { config: text("bert", "BertForMaskedLM", { hidden_act: "relu" }), biases: true },
  "bert in bfloat16, to float32": { config: text("bert", "BertModel"), format: "BF16" },
  distilbert: { config: distilbert("DistilBertModel"), rename: withoutBase },
  "distilbert, classes": { config: distilbert("DistilBertForSequenceClassification", labels(2)) },
  "distilbert, masked": { config: distilbert("DistilBertForMaskedLM") },
  roberta: { config: text("roberta", "RobertaModel", { type_vocab_size: 1, pad_token_id: 1 }), biases: true },
  "roberta, padded with another id": { config: text("roberta", "RobertaModel", { type_vocab_size: 1, pad_token_id: 4 }) },
  "roberta, classes": { config: text("roberta", "RobertaForSequenceClassification", { type_vocab_size: 1, ...labels(3) }) },
  "roberta, masked": { config: text("roberta", "RobertaForMaskedLM", { type_vocab_size: 1 }) },
  "xlm-roberta, one score": { config: text("xlm-roberta", "XLMRobertaForSequenceClassification", { type_vocab_size: 1, ...labels(1) }) },
  mpnet: { config: text("mpnet", "MPNetModel"), biases: true },
  "mpnet, classes": { config: text("mpnet", "MPNetForSequenceClassification", labels(3)) },
  "mpnet, masked": { config: text("mpnet", "MPNetForMaskedLM") },
  vit: { config: vit("ViTModel"), biases: true },
  "vit, some gains exactly zero": { config: vit("ViTModel"), zeroGains: true },
  "vit, classes": { config: vit("ViTForImageClassification", labels(7)) },
  "vit, many classes, no biases, a broad picture": {
    config: vit("ViTForImageClassification", { ...labels(160), qkv_bias: false, image_size: [8, 16] }),
  },
  "vit, more classes than are mixed": { config: vit("ViTForImageClassification", labels(1100)) },
  clip: { config: clip() },
  "clip, an old end": { config: clip({ eos_token_id: 2, bos_token_id: 0 }) },
  "clip, configured twice": {
    config: clip({ hidden_size: 999 }, { text_config_dict: { ...CLIP_TEXT, eos_token_id: 63 }, vision_config_dict: null }),
  },
  "clip, text": { config: text("clip_text_model", "CLIPTextModel", CLIP_TEXT), rename: withoutBase },
  "clip, text, projected": { config: text("clip_text_model", "CLIPTextModelWithProjection", { ...CLIP_TEXT, projection_dim: 24 }) },
  "clip, vision": { config: { model_type: "clip_vision_model", architectures: ["CLIPVisionModel"], ...PATCHES } },
  "clip, vision, projected": {
    config: { model_type: "clip_vision_model", architectures: ["CLIPVisionModelWithProjection"], projection_dim: 24, ...PATCHES },
  },
};

/** Two inputs, of texts with padding in them and at their end, and of pictures of noise. */
function inputsOf(config: JsonObject): EncoderInput[] {
  const blueprint = blueprintOf(config);
  assert.ok(blueprint.kind === "encoder");
  const { towers, endOfText } = blueprint.architecture;
  const random = new RandomStream(new Uint8Array(32).fill(7));
  return [9, 14].map((length) => {
    const input: { -readonly [Field in keyof EncoderInput]: EncoderInput[Field] } = {};
    for (const tower of towers) {
      if (tower.input.kind === "patches") {
        const { channels, height, width } = tower.input;
        input.pixels = Float64Array.from({ length: channels * height * width }, () => random.gaussian());
        continue;
      }
      const { padding, types } = tower.input;
      const ids = Array.from({ length }, () => 3 + random.below(VOCABULARY - 4));
      if (padding !== null) [ids[4], ids[length - 1]] = [padding, padding];
      if (endOfText !== null) ids[length - 1] = endOfText;
      input.ids = ids;
      if (types > 1) input.types = ids.map((_, index) => (index < 5 ? 0 : 1));
      if (endOfText === null) input.mask = ids.map((_, index) => (index < length - 1 ? 1 : 0));
    }
    return input;
  });
}

/** Largest difference of an encrypted model's deciphered outputs, as a share of the largest number. */
async function difference(plain: string, encrypted: string, key: ModelKey, result: TransformResult): Promise<number> {
  const [original, model] = [await openModel(plain), await openModel(encrypted)];
  const elements = new Elements(key, "half");
  const cipher = result.vocabulary && vocabularyPermutation(key.secret, result.vocabulary);
  let worst = 0;
  for (const input of inputsOf(original.config)) {
    const ids = input.ids?.map((id) => (cipher as Uint32Array)[id] as number);
    const [expected, actual] = [encode(original, input), encode(model, ids ? { ...input, ids } : input)];
    assert.deepEqual([...expected.keys()].toSorted(), result.outputs.map(({ name }) => name).toSorted());
    for (const output of result.outputs) {
      const [before, now] = [expected.get(output.name), actual.get(output.name)];
      assert.ok(before && now);
      worst = Math.max(worst, relative(before.values, decipherOutput(output, elements, now.values)));
      // A single number that is only permuted can keep its sign, too.
      if (output.space.size > 1) assert.ok(relative(before.values, now.values) > 0.05, `${output.name} is in clear`);
    }
  }
  return worst;
}

function relative(expected: Float64Array, actual: Float64Array): number {
  assert.equal(expected.length, actual.length);
  let [largest, apart] = [0, 0];
  for (const [index, value] of expected.entries()) {
    largest = Math.max(largest, Math.abs(value));
    apart = Math.max(apart, Math.abs(value - (actual[index] as number)));
  }
  return apart / largest;
}

const readJson = (...path: string[]): Record<string, unknown> => JSON.parse(readFileSync(join(...path), "utf8")) as Record<string, unknown>;
const tensorsOf = async (path: string): Promise<string[]> => [...(await openModel(path)).tensors.keys()].toSorted();

describe("encoders", () => {
  test("every family is among the cases", () => {
    const covered = new Set(Object.values(cases).map(({ config }) => config["model_type"]));
    assert.deepEqual(new Set(encoders.flatMap(({ types }) => types)), covered);
  });

  for (const [index, [name, variant]] of Object.entries(cases).entries()) {
    test(name, async () => {
      const at = (suffix: string): string => join(directory, `${index}${suffix}`);
      writeVariant(at(""), variant);
      const precision = variant.format ? ("f32" as const) : undefined;
      const rekeyed: { outputs?: readonly ModelOutput[] } = {};
      for (const strength of ["permute", "rotate"] as const satisfies Strength[]) {
        const bar = strength === "permute" ? 1e-9 : 1e-5;
        const encrypted = at(`-${strength}`);
        const result = await encryptModel({ source: at(""), output: encrypted, key: { secret, strength }, precision });
        const found = await difference(at(""), encrypted, { secret, strength }, result);
        assert.ok(found <= bar, `${strength}: ${found}`);
        assert.deepEqual(await tensorsOf(encrypted), await tensorsOf(at("")), "names are kept");
        assert.ok(!/SECRET/.test(readFileSync(join(encrypted, "config.json"), "utf8")));
        assert.equal(result.labels?.length ?? 0, Object.keys((variant.config["id2label"] as JsonObject | undefined) ?? {}).length);

        for (const next of ["permute", "rotate"] as const satisfies Strength[]) {
          const output = at(`-${strength}-${next}`);
          const to = { secret: other, strength: next };
          const again = await rekeyModel({ source: encrypted, output, from: secret, to, outputs: result.outputs });
          const moved = await difference(at(""), output, to, again);
          assert.ok(moved <= 2 * Math.max(bar, next === "rotate" ? 1e-5 : 0), `${strength} to ${next}: ${moved}`);
          rekeyed.outputs = again.outputs;
        }
      }
      // Twice moved, rotated and permuted: what a norm lost is still known.
      const back = { secret, strength: "permute" } as const;
      const third = await rekeyModel({ source: at("-rotate-rotate"), output: at("-third"), from: other, to: back, ...rekeyed });
      assert.ok((await difference(at(""), at("-third"), back, third)) <= 4e-5);
    });
  }
});

describe("what encoders publish", () => {
  const key = { secret, strength: "rotate" } as const;
  const at = (name: string): string => join(directory, name);

  test("ids move, in towers too; classes lose their names, not their number", async () => {
    writeVariant(at("sealed"), {
      config: text("bert", "BertForSequenceClassification", {
        ...labels(3),
        pad_token_id: 7,
        _name_or_path: "SECRET",
        finetuning_task: "x",
      }),
      biases: true,
    });
    const { vocabulary, labels: names } = await encryptModel({ source: at("sealed"), output: at("sealed-out"), key });
    const config = readJson(at("sealed-out"), "config.json");
    assert.ok(vocabulary);
    assert.equal(config["pad_token_id"], vocabularyPermutation(secret, vocabulary)[7]);
    assert.deepEqual(config["id2label"], { 0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2" });
    assert.deepEqual(config["label2id"], { LABEL_0: 0, LABEL_1: 1, LABEL_2: 2 });
    assert.deepEqual(names, ["SECRET 0", "SECRET 1", "SECRET 2"]);
    assert.ok(!("_name_or_path" in config) && !("finetuning_task" in config) && !("tie_word_embeddings" in config));
    assert.ok(!existsSync(join(at("sealed-out"), "generation_config.json")));

    writeVariant(at("towers"), { config: clip() });
    const towers = await encryptModel({ source: at("towers"), output: at("towers-out"), key });
    assert.ok(towers.vocabulary);
    const cipher = vocabularyPermutation(secret, towers.vocabulary);
    const inner = readJson(at("towers-out"), "config.json")["text_config"] as JsonObject;
    assert.deepEqual([inner["bos_token_id"], inner["eos_token_id"], inner["pad_token_id"]], [cipher[62], cipher[63], cipher[1]]);
  });

  test("an old CLIP's end is the last id, and the ids of ordinary tokens beside it go", async () => {
    writeVariant(at("old"), { config: clip({ eos_token_id: 2, bos_token_id: 0, pad_token_id: 1 }) });
    await encryptModel({ source: at("old"), output: at("old-out"), key });
    const inner = readJson(at("old-out"), "config.json")["text_config"] as JsonObject;
    assert.equal(inner["eos_token_id"], vocabularyPermutation(secret, VOCABULARY)[VOCABULARY - 1]);
    assert.deepEqual([inner["bos_token_id"], inner["pad_token_id"]], [null, null]);
  });

  test("a key that would invoke an old CLIP's rule is refused", async () => {
    let unlucky = new Uint8Array(32);
    for (let seed = 0; vocabularyPermutation(unlucky, VOCABULARY)[63] !== 2; seed += 1) {
      unlucky = new Uint8Array(32).fill(seed & 255, 0, 16).fill(seed >> 8, 16);
      assert.ok(seed < 5000);
    }
    writeVariant(at("unlucky"), { config: clip() });
    const output = at("unlucky-out");
    await assert.rejects(encryptModel({ source: at("unlucky"), output, key: { secret: unlucky, strength: "permute" } }), {
      code: "KEY_INVALID",
      message: /the id 2/,
    });
    assert.ok(!existsSync(output) && !existsSync(`${output}.partial`));
  });

  test("a padding id from which positions count stays, and every other id moves with the rest", async () => {
    for (const [family, architecture] of [
      ["roberta", "RobertaModel"],
      ["mpnet", "MPNetModel"],
    ] as const) {
      const ids = { bos_token_id: 0, eos_token_id: 2, pad_token_id: 1, mask_token_id: 63 };
      writeVariant(at(family), { config: text(family, architecture, ids) });
      const { vocabulary } = await encryptModel({ source: at(family), output: at(`${family}-out`), key });
      assert.ok(vocabulary);
      const cipher = vocabularyPermutation(secret, vocabulary);
      assert.deepEqual(
        [...cipher].toSorted((a, b) => a - b),
        Array.from({ length: VOCABULARY }, (_, id) => id),
      );
      const config = readJson(at(`${family}-out`), "config.json");
      assert.equal(config["pad_token_id"], 1);
      assert.deepEqual([config["bos_token_id"], config["eos_token_id"], config["mask_token_id"]], [cipher[0], cipher[2], cipher[63]]);
      // A client that does not know of it must fail at once, not at one token in thousands.
      const naive = vocabularyPermutation(secret, VOCABULARY);
      assert.ok([...cipher].filter((id, plain) => id === naive[plain]).length < VOCABULARY / 4);
    }
  });

  test("buffers are copied, and old names of gains are brought up to date", async () => {
    const positions = Array.from({ length: 40 }, (_, index) => index);
    writeVariant(at("old-names"), {
      config: text("bert", "BertModel"),
      rename: (name) => name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"),
      buffers: { "bert.embeddings.position_ids": positions },
    });
    const result = await encryptModel({ source: at("old-names"), output: at("old-names-out"), key });
    assert.ok((await difference(at("old-names"), at("old-names-out"), key, result)) <= 1e-5);
    const { tensors } = await openModel(at("old-names-out"));
    assert.ok(tensors.has("bert.embeddings.LayerNorm.weight") && ![...tensors.keys()].some((name) => /gamma|beta/.test(name)));
    const buffer = tensors.get("bert.embeddings.position_ids");
    assert.ok(buffer);
    const bytes = readFileSync(buffer.file).subarray(buffer.offset, buffer.offset + buffer.bytes);
    assert.deepEqual(
      Array.from({ length: 40 }, (_, index) => Number(bytes.readBigInt64LE(index * 8))),
      positions,
    );
  });

  test("sentence-transformers' modules go along, their prompts do not", async () => {
    const source = at("sentences");
    writeVariant(source, { config: text("bert", "BertModel"), rename: withoutBase });
    mkdirSync(join(source, "1_Pooling"));
    const modules = ["Transformer", "Pooling", "Normalize"].map((kind, idx) => ({
      idx,
      name: String(idx),
      path: idx === 0 ? "" : `${idx}_${kind}`,
      type: `sentence_transformers.models.${kind}`,
    }));
    writeFileSync(join(source, "modules.json"), JSON.stringify(modules));
    const pooling = { word_embedding_dimension: 32, pooling_mode_mean_tokens: true, pooling_mode_max_tokens: false };
    writeFileSync(join(source, "1_Pooling", "config.json"), JSON.stringify({ ...pooling, note: "SECRET" }));
    writeFileSync(join(source, "sentence_bert_config.json"), JSON.stringify({ max_seq_length: 32, do_lower_case: false }));
    writeFileSync(join(source, "config_sentence_transformers.json"), JSON.stringify({ prompts: { query: "SECRET" } }));
    await encryptModel({ source, output: at("sentences-out"), key });
    assert.deepEqual(JSON.parse(readFileSync(join(at("sentences-out"), "modules.json"), "utf8")), modules);
    assert.deepEqual(readJson(at("sentences-out"), "1_Pooling", "config.json"), {
      word_embedding_dimension: 32,
      pooling_mode_mean_tokens: true,
    });
    assert.equal(readJson(at("sentences-out"), "sentence_bert_config.json")["max_seq_length"], 32);
    assert.ok(!existsSync(join(at("sentences-out"), "config_sentence_transformers.json")));

    writeFileSync(join(source, "1_Pooling", "config.json"), JSON.stringify({ ...pooling, pooling_mode_max_tokens: true }));
    await assert.rejects(encryptModel({ source, output: at("sentences-max"), key }), { message: /max pooling/ });
    writeFileSync(
      join(source, "modules.json"),
      JSON.stringify([{ idx: 0, name: "0", path: "2_Dense", type: "sentence_transformers.models.Dense" }]),
    );
    await assert.rejects(encryptModel({ source, output: at("sentences-dense"), key }), { message: /models\.Dense"/ });
    const astray = (path: string): string => JSON.stringify([{ idx: 0, name: "0", path, type: "sentence_transformers.models.Pooling" }]);
    for (const path of ["", "../elsewhere", "/etc"]) {
      writeFileSync(join(source, "modules.json"), astray(path));
      await assert.rejects(encryptModel({ source, output: at("sentences-astray"), key }), { message: /names the path/ });
    }
    writeFileSync(join(source, "modules.json"), "{");
    await assert.rejects(encryptModel({ source, output: at("sentences-broken"), key }), { code: "CHECKPOINT_MALFORMED" });
  });

  test("a rekeyed model without its bundle's outputs keeps those that need none", async () => {
    writeVariant(at("lone"), { config: vit("ViTModel"), biases: true });
    const encrypted = await encryptModel({ source: at("lone"), output: at("lone-out"), key });
    assert.deepEqual(
      encrypted.outputs.map(({ name, norm }) => [name, norm !== null]),
      [
        ["last_hidden_state", true],
        ["pooler_output", false],
      ],
    );
    const moved = await rekeyModel({
      source: at("lone-out"),
      output: at("lone-moved"),
      from: secret,
      to: { secret: other, strength: "rotate" },
    });
    assert.deepEqual(
      moved.outputs.map(({ name }) => name),
      ["pooler_output"],
    );
  });

  test("`compareModels` sees an encrypted encoder as the same, and another key's as wrong", async () => {
    for (const [name, config] of [
      ["same-text", text("bert", "BertModel")],
      ["same-vit", vit("ViTModel")],
      ["same-clip", clip()],
    ] as const) {
      writeVariant(at(name), { config, biases: true });
      const { manifest } = await encryptModel({ source: at(name), output: at(`${name}-out`), key });
      assert.equal(manifest?.vocabularySize, name === "same-vit" ? 0 : VOCABULARY);
      const sequences = [
        [5, 6, 7, 8],
        [9, 10],
      ];
      const [plain, encrypted] = [await openModel(at(name)), await openModel(at(`${name}-out`))];
      const fidelity = compareModels(plain, encrypted, secret, sequences);
      assert.ok(fidelity.maxLogitDifference < 1e-4 && fidelity.greedyAgreement === 1, JSON.stringify(fidelity));
      assert.throws(() => compareModels(plain, encrypted, other, sequences), { code: "KEY_WRONG" });
    }
  });

  test("what has no table or no proof is refused by name", async () => {
    const refused: readonly [RegExp, JsonObject][] = [
      [/architectures.*BertForQuestionAnswering/, text("bert", "BertForQuestionAnswering")],
      [/position_embedding_type/, text("bert", "BertModel", { position_embedding_type: "relative_key" })],
      [/is_decoder/, text("bert", "BertModel", { is_decoder: true })],
      [/hidden_act/, text("bert", "BertModel", { hidden_act: "gelu_10" })],
      [/num_attention_heads/, text("bert", "BertModel", { num_attention_heads: 5 })],
      [/unknown effect: "layer_scale"/, text("bert", "BertModel", { layer_scale: 2 })],
      [/id2label/, text("bert", "BertForSequenceClassification", { id2label: { a: "x" } })],
      [/pad_token_id/, text("roberta", "RobertaModel", { pad_token_id: -1 })],
      [/pad_token_id/, text("mpnet", "MPNetModel", { pad_token_id: 0 })],
      [/hidden_size/, vit("ViTModel", { hidden_size: 2 * 1031, num_attention_heads: 2 * 1031 })],
      [/image_size/, vit("ViTModel", { image_size: [12, 12, 12] })],
      [/image_size/, vit("ViTModel", { image_size: 1e9 })],
      [/patch_size/, vit("ViTModel", { patch_size: 24 })],
      [/eos_token_id/, clip({ eos_token_id: 99 })],
      [/unknown effect: "rope_theta"/, clip({ rope_theta: 10 })],
    ];
    for (const [message, config] of refused)
      assert.throws(() => blueprintOf(config), { message, name: "UnseenError" }, JSON.stringify(config));

    writeVariant(at("gguf"), { config: text("bert", "BertModel") });
    await assert.rejects(encryptModel({ source: at("gguf"), output: at("gguf-out"), key, format: "gguf" }), {
      code: "FAMILY_UNSUPPORTED_VALUE",
    });
    writeVariant(at("stray"), {
      config: text("bert", "BertModel"),
      alsoNamed: ["bert.embeddings.LayerNorm.weight", "bert.embeddings.extra.weight"],
    });
    await assert.rejects(encryptModel({ source: at("stray"), output: at("stray-out"), key }), { code: "FAMILY_UNKNOWN_TENSOR" });
    writeVariant(at("classless"), {
      config: text("bert", "BertForSequenceClassification", labels(3)),
      rename: (name) => name.replace("bert.pooler.dense.weight", "bert.pooler.gone"),
    });
    await assert.rejects(encryptModel({ source: at("classless"), output: at("classless-out"), key }), {
      code: "CHECKPOINT_MISSING_TENSOR",
    });
  });
});

describe("real encoders", () => {
  for (const [name, input] of [
    ["sst2-distilbert", { ids: [101, 2023, 3185, 2003, 6659, 1998, 2146, 102] }],
    ["sentence-encoder", { ids: [101, 7592, 2088, 1010, 2129, 2024, 2017, 102], types: [0, 0, 0, 0, 0, 0, 0, 0] }],
  ] as const) {
    test(name, needs(`assets/${name}`), async () => {
      const source = sharedPath(`assets/${name}`);
      assert.ok(source);
      const plain = await openModel(source);
      for (const strength of ["permute", "rotate"] as const satisfies Strength[]) {
        const output = join(directory, `${name}-${strength}`);
        const result = await encryptModel({ source, output, key: { secret, strength }, threads: 2 });
        const elements = new Elements({ secret, strength }, "half");
        assert.ok(result.vocabulary);
        const cipher = vocabularyPermutation(secret, result.vocabulary);
        const expected = encode(plain, input);
        const actual = encode(await openModel(output), { ...input, ids: input.ids.map((id) => cipher[id] as number) });
        for (const entry of result.outputs) {
          const [before, now] = [expected.get(entry.name), actual.get(entry.name)];
          assert.ok(before && now);
          const found = relative(before.values, decipherOutput(entry, elements, now.values));
          assert.ok(found <= (strength === "permute" ? 1e-9 : 1e-5), `${strength} ${entry.name}: ${found}`);
        }
      }
    });
  }
});
