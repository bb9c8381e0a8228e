/**
 * The audit of special tokens: every id that any file names is moved with the vocabulary, and so is every id on the wire.
 * @module
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { TextTokenizer } from "@unseen/client/tokenizer.ts";
import { vocabularyPermutation, type Strength } from "@unseen/core/blueprint/spaces.ts";
import { encryptModel, rekeyModel } from "@unseen/core/blueprint/transform.ts";
import { openGguf, type GgufValue } from "@unseen/core/checkpoint/gguf.ts";
import { ask, post, startServer, STORY_LLAMA, temporaryDirectory } from "./command-line.ts";
import { writePlainStory } from "./plain-gguf.ts";
import { writeRandomLlama } from "./random-llama.ts";
import { needs, sharedPath } from "./shared.ts";
import { startRecordingProxy } from "./recording-proxy.ts";

const secret = Uint8Array.from({ length: 32 }, (_, index) => index * 5 + 3);
const directory = temporaryDirectory("special-tokens");
const at = (name: string): string => join(directory, name);
const readJson = (...path: string[]): Record<string, unknown> => JSON.parse(readFileSync(join(...path), "utf8")) as Record<string, unknown>;
const encrypt = (source: string, output: string, strength: Strength = "rotate") =>
  encryptModel({ source, output: at(output), key: { secret, strength }, threads: 1 });

/** The ids that a test expects, through the key. */
function through(permutation: Uint32Array) {
  return <T>(ids: T): T =>
    (Array.isArray(ids) ? (ids as unknown[]).map(through(permutation)) : typeof ids === "number" ? permutation[ids] : ids) as T;
}

describe("ids in configuration files", () => {
  const every = {
    bos_token_id: 1,
    eos_token_id: [2, 5, 6],
    pad_token_id: 0,
    decoder_start_token_id: 3,
    forced_bos_token_id: 4,
    forced_eos_token_id: 2,
    sep_token_id: 30,
    cls_token_id: 31,
    mask_token_id: 32,
    suppress_tokens: [7, 8],
    begin_suppress_tokens: [9],
    bad_words_ids: [[10, 11], [12]],
  };
  const generationOnly = {
    force_words_ids: [[[17], [18, 19]]],
    forced_decoder_ids: [
      [1, 13],
      [2, 14],
    ],
    sequence_bias: [
      [[15, 16], -2.5],
      [[20], 4],
    ],
  };

  for (const strength of ["permute", "rotate"] as const) {
    test(`${strength}: every field, list and nested list is moved by the key's permutation`, async () => {
      const source = at(`fields-${strength}`);
      writeRandomLlama(source, { config: every, generationConfig: { ...every, ...generationOnly, do_sample: true, temperature: 0.5 } });
      const { manifest } = await encrypt(source, `fields-${strength}-out`, strength);
      const move = through(vocabularyPermutation(secret, manifest?.vocabularySize ?? 0));
      const [config, generation] = [
        readJson(at(`fields-${strength}-out`), "config.json"),
        readJson(at(`fields-${strength}-out`), "generation_config.json"),
      ];
      for (const [field, ids] of Object.entries(every)) {
        assert.deepEqual(config[field], move(ids), `config.json ${field}`);
        assert.deepEqual(generation[field], move(ids), `generation_config.json ${field}`);
      }
      assert.deepEqual(generation["force_words_ids"], move(generationOnly.force_words_ids));
      assert.deepEqual(
        generation["forced_decoder_ids"],
        [
          [1, move(13)],
          [2, move(14)],
        ],
        "the first of a pair is a position",
      );
      assert.equal("sequence_bias" in generation, false, "spelled in more than one way, so left to the client");
      assert.equal(generation["temperature"], 0.5);
      assert.equal(config["vocab_size"], 64);
    });
  }

  test("a field of ids that holds anything else is refused, not copied", async () => {
    for (const [field, value] of [
      ["eos_token_id", "</s>"],
      ["suppress_tokens", [1.5]],
      ["bad_words_ids", [[64]]],
      ["forced_decoder_ids", [7]],
    ] as const) {
      const source = at(`odd-${field}`);
      writeRandomLlama(source, { generationConfig: { [field]: value } });
      await assert.rejects(encrypt(source, `odd-${field}-out`), { code: "TOKEN_OUT_OF_RANGE" }, field);
    }
  });

  test("-1, null and false, which mean none, stay", async () => {
    const source = at("none");
    writeRandomLlama(source, {
      config: { pad_token_id: -1, forced_eos_token_id: null },
      generationConfig: { eos_token_id: 2, suppress_tokens: null },
    });
    await encrypt(source, "none-out");
    assert.equal(readJson(at("none-out"), "config.json")["pad_token_id"], -1);
    assert.equal(readJson(at("none-out"), "config.json")["forced_eos_token_id"], null);
    assert.equal(readJson(at("none-out"), "generation_config.json")["suppress_tokens"], null);
  });

  test("an end that only config.json names is written where engines without tokenizer look for it", async () => {
    const source = at("end");
    writeRandomLlama(source, { config: { eos_token_id: [2, 40] } });
    await encrypt(source, "end-out");
    const move = through(vocabularyPermutation(secret, 64));
    assert.deepEqual(readJson(at("end-out"), "generation_config.json")["eos_token_id"], move([2, 40]));
  });

  test("rekeying moves them on, from permutation to permutation", async () => {
    const other = secret.map((byte) => byte ^ 0x5a);
    await rekeyModel({
      source: at("fields-rotate-out"),
      output: at("fields-rekeyed"),
      from: secret,
      to: { secret: other, strength: "rotate" },
      threads: 1,
    });
    const move = through(vocabularyPermutation(other, 64));
    for (const [field, ids] of Object.entries(every))
      assert.deepEqual(readJson(at("fields-rekeyed"), "config.json")[field], move(ids), field);
  });

  test("a special id keeps its place only by chance", (context) => {
    // The expected number of fixed points of a random permutation is 1, so 4 ids of 4096 under 500 keys stay 0.5 times.
    let stayed = 0;
    for (let index = 0; index < 500; index += 1) {
      const permutation = vocabularyPermutation(
        secret.map((byte, place) => (place < 2 ? (index >> (8 * place)) & 255 : byte)),
        4096,
      );
      for (const id of [0, 1, 2, 3]) stayed += permutation[id] === id ? 1 : 0;
    }
    context.diagnostic(`${stayed} of 2000 special ids stayed; 0.49 expected by chance`);
    assert.ok(stayed <= 6);
  });
});

/** Whether a vocabulary names no word. */
function isPlaceholder(tokens: GgufValue | undefined): boolean {
  return (
    tokens?.type === "array" && tokens.of === "string" && tokens.value.length > 0 && tokens.value.every((token, id) => token === `<t${id}>`)
  );
}

describe("ids in GGUF metadata", () => {
  /** As converters of base, chat, fill-in-the-middle and encoder-decoder models write them. */
  const single = {
    bos: 0, eos: 3, eot: 5, eom: 6, unknown: 7, separator: 8, padding: 9, mask: 10, cls: 11, prefix: 12, suffix: 13, middle: 14,
    fim_pre: 15, fim_suf: 16, fim_mid: 17, fim_pad: 18, fim_rep: 19, fim_sep: 20, seperator: 21,
  }; // prettier-ignore
  const list: GgufValue = { type: "array", of: "i32", value: [30, 31, 32] };

  test("every field is moved, the vocabulary and the template are gone", async () => {
    const changes = new Map<string, GgufValue | null>([
      ...Object.entries(single).map(([role, value]): [string, GgufValue] => [`tokenizer.ggml.${role}_token_id`, { type: "u32", value }]),
      ["tokenizer.ggml.suppress_tokens", list],
    ]);
    await writePlainStory(at("plain.gguf"), changes);
    await encrypt(at("plain.gguf"), "moved.gguf");
    const { metadata } = await openGguf(at("moved.gguf"));
    const move = through(vocabularyPermutation(secret, 4096));
    for (const [role, id] of Object.entries(single)) assert.equal(metadata.get(`tokenizer.ggml.${role}_token_id`)?.value, move(id), role);
    assert.deepEqual(metadata.get("tokenizer.ggml.suppress_tokens")?.value, move([30, 31, 32]));
    // eos, eot, eom, and what llama.cpp finds by its text: <|end|> is 3.
    assert.deepEqual(new Set(metadata.get("unseen.eos_token_ids")?.value as number[]), new Set(move([3, 5, 6])));
    const types = metadata.get("tokenizer.ggml.token_type")?.value as number[];
    assert.deepEqual([...types.keys()].filter((id) => types[id] !== 1).toSorted(), move([3, 5, 6]).toSorted(), "only ends stand out");
    assert.ok(isPlaceholder(metadata.get("tokenizer.ggml.tokens")));
    assert.equal(metadata.has("tokenizer.chat_template"), false);
    assert.equal(metadata.get("tokenizer.ggml.add_bos_token")?.value, false, "a server never adds a token by itself");
  });

  test("from a Hugging Face directory: beginning, end and padding", async () => {
    await encrypt(STORY_LLAMA, "story.gguf");
    const { metadata } = await openGguf(at("story.gguf"));
    const move = through(vocabularyPermutation(secret, 4096));
    const ids = [...metadata]
      .filter(([key]) => key.endsWith("_token_id"))
      .map(([key, { value }]) => [key.slice("tokenizer.ggml.".length), value]);
    assert.deepEqual(Object.fromEntries(ids), { bos_token_id: move(0), eos_token_id: move(3), padding_token_id: move(3) });
  });

  test("of a SentencePiece model as others converted it", needs("data/models/stories260K-f32.gguf"), async () => {
    const source = sharedPath("data/models/stories260K-f32.gguf") as string;
    await encrypt(source, "stories.gguf");
    const [plain, sealed] = [(await openGguf(source)).metadata, (await openGguf(at("stories.gguf"))).metadata];
    const move = through(vocabularyPermutation(secret, 512));
    for (const [key, { value }] of plain)
      if (key.endsWith("_token_id") && typeof value === "number" && value < 512) assert.equal(sealed.get(key)?.value, move(value), key);
    assert.ok(isPlaceholder(sealed.get("tokenizer.ggml.tokens")));
    assert.equal(sealed.has("tokenizer.ggml.scores"), false);
  });
});

describe("ids on the wire", () => {
  test("post-processor, added tokens and chat template reach the host enciphered, and so do ends and biases", async () => {
    const home = at("home");
    await ask(["encrypt", STORY_LLAMA, "--out", at("wire"), "--name", "story", "--no-measure"], {
      home: directory,
      environment: { UNSEEN_HOME: home },
    });
    const host = await startServer(["serve", at("wire"), "--port", "0"], {
      home: directory,
      environment: { UNSEEN_HOME: at("host-home") },
    });
    const proxy = await startRecordingProxy(host.url);
    const gateway = await startServer(["gateway", "--port", "0", "--host", proxy.url], {
      home: directory,
      environment: { UNSEEN_HOME: home },
    });
    try {
      const tokenizer = await TextTokenizer.load(STORY_LLAMA);
      const messages = [{ role: "user", content: "Hello" }];
      const chat = { messages, max_tokens: 2, temperature: 0, logit_bias: { 100: -5 } };
      assert.equal((await post(`${gateway.url}/v1/chat/completions`, chat)).status, 200);
      assert.equal((await post(`${gateway.url}/v1/completions`, { prompt: "Once", max_tokens: 2, temperature: 0 })).status, 200);
      const bodies = proxy.bodies("/v1/completions");
      assert.equal(bodies.length, 2);
      const rendered = tokenizer.applyChatTemplate({ messages, addGenerationPrompt: true }).ids;
      assert.deepEqual(rendered.slice(0, 2), [0, 1], "the template writes <|bos|> and <|user|>");
      const completed = tokenizer.encode("Once", { specialTokens: true });
      assert.equal(completed[0], 0, "the post-processor adds <|bos|>");
      const { cipher } = await ask<{ cipher: number[] }>(
        ["encode", "--model", "story", "--ids", Array.from({ length: 4096 }, (_, id) => id).join(",")],
        { home: directory, environment: { UNSEEN_HOME: home } },
      );
      const move = through(Uint32Array.from(cipher));
      assert.deepEqual(bodies[0]?.["prompt"], move(rendered));
      assert.deepEqual(bodies[1]?.["prompt"], move(completed));
      assert.deepEqual(
        bodies.map((body) => body["stop_token_ids"]),
        [move([3]), move([3])],
      );
      assert.deepEqual(bodies[0]?.["logit_bias"], { [move(100)]: -5 });
      const used = new Set(bodies.flatMap((body) => body["prompt"] as number[]));
      const plain = new Set([...rendered, ...completed]);
      const common = [...used].filter((id) => plain.has(id) && move(id) !== id);
      assert.ok(common.length <= 2, "a plain id appears on the wire only by chance");
    } finally {
      await Promise.all([gateway.stop(), host.stop()]);
      proxy.close();
    }
  });
});
