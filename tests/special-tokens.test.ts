/**
 * The audit of special tokens and of words: every id that any file names is moved with the vocabulary, and no file
 * of an encrypted model holds a word of it. What earlier implementations got wrong is listed in the threat model.
 * @module
 */
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test, type TestContext } from "node:test";
import { TextTokenizer } from "@unseen/client/tokenizer.ts";
import { vocabularyPermutation, type Strength } from "@unseen/core/blueprint/spaces.ts";
import { encryptModel, rekeyModel } from "@unseen/core/blueprint/transform.ts";
import { openGguf, type GgufValue } from "@unseen/core/checkpoint/gguf.ts";
import { openSafetensors } from "@unseen/core/checkpoint/safetensors.ts";
import { ask, post, startServer, STORY_LLAMA, temporaryDirectory } from "./command-line.ts";
import { rewriteMetadata, writePlainStory } from "./plain-gguf.ts";
import { writeRandomLlama } from "./random-llama.ts";
import { needs, sharedPath } from "./shared.ts";
import { startRecordingProxy } from "./recording-proxy.ts";
import { tokensOf, vocabularyWords, wordsIn } from "./tokens.ts";

const secret = Uint8Array.from({ length: 32 }, (_, index) => index * 5 + 3);
const directory = temporaryDirectory("special-tokens");
const at = (name: string): string => join(directory, name);
const readJson = (...path: string[]): Record<string, unknown> => JSON.parse(readFileSync(join(...path), "utf8")) as Record<string, unknown>;
const encrypt = (source: string, output: string, strength: Strength = "rotate") => encryptModel({ source, output: at(output), key: { secret, strength }, threads: 1 });

/** The ids that a test expects, through the key. */
function through(permutation: Uint32Array) {
  return <T>(ids: T): T => (Array.isArray(ids) ? (ids as unknown[]).map(through(permutation)) : typeof ids === "number" ? permutation[ids] : ids) as T;
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
  const generationOnly = { force_words_ids: [[[17], [18, 19]]], forced_decoder_ids: [[1, 13], [2, 14]], sequence_bias: [[[15, 16], -2.5], [[20], 4]] };

  for (const strength of ["permute", "rotate"] as const) {
    test(`${strength}: every field, list and nested list is moved by the key's permutation`, async () => {
      const source = at(`fields-${strength}`);
      writeRandomLlama(source, { config: every, generationConfig: { ...every, ...generationOnly, do_sample: true, temperature: 0.5 } });
      const { manifest } = await encrypt(source, `fields-${strength}-out`, strength);
      const move = through(vocabularyPermutation(secret, manifest?.vocabularySize ?? 0));
      const [config, generation] = [readJson(at(`fields-${strength}-out`), "config.json"), readJson(at(`fields-${strength}-out`), "generation_config.json")];
      for (const [field, ids] of Object.entries(every)) {
        assert.deepEqual(config[field], move(ids), `config.json ${field}`);
        assert.deepEqual(generation[field], move(ids), `generation_config.json ${field}`);
      }
      assert.deepEqual(generation["force_words_ids"], move(generationOnly.force_words_ids));
      // Positions and biases are not ids.
      assert.deepEqual(generation["forced_decoder_ids"], [[1, move(13)], [2, move(14)]]);
      assert.deepEqual(generation["sequence_bias"], [[move([15, 16]), -2.5], [[move(20)], 4]]);
      assert.equal(generation["temperature"], 0.5);
      assert.equal(config["vocab_size"], 64);
    });
  }

  test("a field of ids that holds anything else is refused, not copied", async () => {
    for (const [field, value] of [["sequence_bias", { "[15, 16]": -2.5 }], ["eos_token_id", "</s>"], ["suppress_tokens", [1.5]], ["bad_words_ids", [[64]]], ["forced_decoder_ids", [7]]] as const) {
      const source = at(`odd-${field}`);
      writeRandomLlama(source, { generationConfig: { [field]: value } });
      await assert.rejects(encrypt(source, `odd-${field}-out`), { code: "TOKEN_OUT_OF_RANGE" }, field);
    }
  });

  test("-1, null and false, which mean none, stay", async () => {
    const source = at("none");
    writeRandomLlama(source, { config: { pad_token_id: -1, forced_eos_token_id: null }, generationConfig: { eos_token_id: 2, suppress_tokens: null } });
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
    await rekeyModel({ source: at("fields-rotate-out"), output: at("fields-rekeyed"), from: secret, to: { secret: other, strength: "rotate" }, threads: 1 });
    const move = through(vocabularyPermutation(other, 64));
    for (const [field, ids] of Object.entries(every)) assert.deepEqual(readJson(at("fields-rekeyed"), "config.json")[field], move(ids), field);
  });

  test("a special id keeps its place only by chance", (context) => {
    // The expected number of fixed points of a random permutation is 1, so 4 ids of 4096 under 500 keys stay 0.5 times.
    let stayed = 0;
    for (let index = 0; index < 500; index += 1) {
      const permutation = vocabularyPermutation(secret.map((byte, place) => (place < 2 ? (index >> (8 * place)) & 255 : byte)), 4096);
      for (const id of [0, 1, 2, 3]) stayed += permutation[id] === id ? 1 : 0;
    }
    context.diagnostic(`${stayed} of 2000 special ids stayed; 0.49 expected by chance`);
    assert.ok(stayed <= 6);
  });
});

describe("ids in GGUF metadata", () => {
  /** As converters of base, chat, fill-in-the-middle and encoder-decoder models write them. */
  const single = {
    bos: 0, eos: 3, eot: 5, eom: 6, unknown: 7, separator: 8, padding: 9, mask: 10, cls: 11, prefix: 12, suffix: 13, middle: 14,
    fim_pre: 15, fim_suf: 16, fim_mid: 17, fim_pad: 18, fim_rep: 19, fim_sep: 20, seperator: 21,
  }; // prettier-ignore
  const list: GgufValue = { type: "array", of: "i32", value: [30, 31, 32] };

  test("every field is moved, the vocabulary and the template are gone", async () => {
    const changes = new Map<string, GgufValue | null>([...Object.entries(single).map(([role, value]): [string, GgufValue] => [`tokenizer.ggml.${role}_token_id`, { type: "u32", value }]), ["tokenizer.ggml.suppress_tokens", list]]);
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
    assert.deepEqual((metadata.get("tokenizer.ggml.tokens")?.value as string[]).every((token, id) => token === `<t${id}>`), true);
    assert.equal(metadata.has("tokenizer.chat_template"), false);
    assert.equal(metadata.get("tokenizer.ggml.add_bos_token")?.value, false, "a server never adds a token by itself");
  });

  test("from a Hugging Face directory: beginning, end and padding", async () => {
    await encrypt(STORY_LLAMA, "story.gguf");
    const { metadata } = await openGguf(at("story.gguf"));
    const move = through(vocabularyPermutation(secret, 4096));
    const ids = [...metadata].filter(([key]) => key.endsWith("_token_id")).map(([key, { value }]) => [key.slice("tokenizer.ggml.".length), value]);
    assert.deepEqual(Object.fromEntries(ids), { bos_token_id: move(0), eos_token_id: move(3), padding_token_id: move(3) });
  });

  test("of a SentencePiece model as others converted it", needs("data/models/stories260K-f32.gguf"), async () => {
    const source = sharedPath("data/models/stories260K-f32.gguf") as string;
    await encrypt(source, "stories.gguf");
    const [plain, sealed] = [(await openGguf(source)).metadata, (await openGguf(at("stories.gguf"))).metadata];
    const move = through(vocabularyPermutation(secret, 512));
    for (const [key, { value }] of plain) if (key.endsWith("_token_id") && typeof value === "number" && value < 512) assert.equal(sealed.get(key)?.value, move(value), key);
    assert.equal((sealed.get("tokenizer.ggml.tokens")?.value as string[]).every((token, id) => token === `<t${id}>`), true);
    assert.equal(sealed.has("tokenizer.ggml.scores"), false);
  });
});

describe("words", () => {
  const words = vocabularyWords(tokensOf(STORY_LLAMA));
  /** Everything of a model directory or file that is not a weight. */
  const textOf = async (path: string): Promise<string> => {
    if (path.endsWith(".gguf")) {
      const { tensors } = await openGguf(path);
      return readFileSync(path).subarray(0, Math.min(...[...tensors.values()].map(({ offset }) => offset))).toString("latin1");
    }
    const { tensors } = await openSafetensors(path);
    const start = Math.min(...[...tensors.values()].map(({ offset }) => offset));
    const names = readdirSync(path);
    return names.map((name) => `${name}\n${readFileSync(join(path, name)).subarray(0, name.endsWith(".safetensors") ? start : Infinity).toString("latin1")}`).join("\n");
  };
  const bare = at("words-bare");
  const outputs = [
    { name: "directory", output: "words", source: STORY_LLAMA, wordless: bare },
    { name: "GGUF of a directory", output: "words.gguf", source: STORY_LLAMA, wordless: bare },
    { name: "GGUF of a GGUF", output: "words-2.gguf", source: at("words-plain.gguf"), wordless: at("wordless-plain.gguf") },
    { name: "quantised GGUF", output: "words-q8.gguf", source: STORY_LLAMA, wordless: bare, quantize: "q8_0" },
  ] as const;
  /**
   * The words that an encrypted model has of its own: those in encryptions of the same weights with no vocabulary at
   * all, or one of invented words. They stand in the card and in names of fields and tensors.
   */
  const allowed = new Map<string, Set<string>>();
  before(async () => {
    await writePlainStory(at("words-plain.gguf"));
    mkdirSync(bare);
    for (const name of ["config.json", "generation_config.json", "model.safetensors"]) copyFileSync(join(STORY_LLAMA, name), join(bare, name));
    await writeWordless(at("words-plain.gguf"), at("wordless-plain.gguf"));
    for (const { output, source, wordless, ...options } of outputs) {
      const key = { secret, strength: "rotate" } as const;
      await encryptModel({ source, output: at(output), key, threads: 1, ...options });
      await encryptModel({ source: wordless, output: at(`wordless-${output}`), key, threads: 1, ...options });
      allowed.set(output, wordsIn(await textOf(at(`wordless-${output}`)), words));
    }
  });

  test("the search finds the words where they are", async () => {
    assert.ok(words.size > 1500, `${words.size}`);
    const found = wordsIn(await textOf(at("words-plain.gguf")), words);
    assert.ok(found.size > 1500, "a plain GGUF holds its vocabulary");
    const loose = readFileSync(join(STORY_LLAMA, "tokenizer.json"), "utf8");
    assert.ok(wordsIn(loose, words).size > 1500);
  });

  for (const { name, output } of outputs) {
    test(`${name}: nothing but a model card's and a configuration's own words`, async (context: TestContext) => {
      const found = wordsIn(await textOf(at(output)), words);
      const own = allowed.get(output) ?? assert.fail();
      context.diagnostic(`${found.size} of ${words.size} words of the vocabulary occur, all of them without the vocabulary too: ${[...found].toSorted().join(" ")}`);
      assert.ok(own.size < 60, "card and field names are short");
      assert.deepEqual([...found].filter((word) => !own.has(word)).toSorted(), []);
    });

    test(`${name}: the weights spell words no more often than chance`, async (context: TestContext) => {
      const path = output.endsWith(".gguf") ? at(output) : join(at(output), "model.safetensors");
      const letters = readFileSync(path).toString("latin1").match(/[A-Za-z]{4,}/g) ?? [];
      const header = new Set((await textOf(at(output))).match(/[A-Za-z]{4,}/g) ?? []);
      const runs = letters.filter((run) => !header.has(run)).map((run) => run.toLowerCase());
      // The same letters backwards are as likely by chance, and no word of the model.
      const backwards = new Set([...words].map((word) => [...word].toReversed().join("")).filter((word) => !words.has(word)));
      const count = (list: ReadonlySet<string>, shortest: number): number => runs.filter((run) => run.length >= shortest && list.has(run)).length;
      const [hits, chance] = [count(words, 4), count(backwards, 4)];
      context.diagnostic(`${hits} words and ${chance} reversed words of four or more letters in ${runs.length} runs of letters; of six or more: ${count(words, 6)}`);
      assert.ok(hits <= chance + 4 * Math.sqrt(chance + 1) + 4, `${hits} words, ${chance} by chance`);
      assert.equal(count(words, 7), 0);
    });
  }

  test("no tokenizer file, and no file that nobody expects", () => {
    assert.deepEqual(readdirSync(at("words")).toSorted(), ["README.md", "config.json", "generation_config.json", "model.safetensors", "unseen.json"]);
  });

  test("the output does not depend on tokenizer, template, card or name: byte for byte", async () => {
    const [undressed, dressed] = [at("bare"), at("dressed")];
    writeRandomLlama(undressed, { generationConfig: { eos_token_id: 2 } });
    writeRandomLlama(dressed, { generationConfig: { eos_token_id: 2 } });
    for (const name of readdirSync(STORY_LLAMA).filter((file) => /tokenizer|template|README|report|\.py$/.test(file))) copyFileSync(join(STORY_LLAMA, name), join(dressed, name));
    writeFileSync(join(dressed, "vocab.txt"), "secret words");
    const config = readJson(dressed, "config.json");
    writeFileSync(join(dressed, "config.json"), JSON.stringify({ ...config, _name_or_path: "my-org/secret-model", tokenizer_class: "SecretTokenizer", id2label: { 0: "sick" }, finetuning_task: "diagnosis" }));
    await encrypt(undressed, "bare-out");
    await encrypt(dressed, "dressed-out");
    assert.deepEqual(readdirSync(at("dressed-out")), readdirSync(at("bare-out")));
    for (const name of readdirSync(at("bare-out"))) {
      const [one, other] = [at("bare-out"), at("dressed-out")].map((path) => readFileSync(join(path, name), "latin1").replaceAll(/[0-9a-f]{32}/g, "fingerprint"));
      assert.equal(one === other, true, name);
    }
  });

  test("neither does a GGUF's: other words, other template, the same bytes", () => {
    const [one, other] = [at("words-2.gguf"), at("wordless-words-2.gguf")].map((path) => readFileSync(path, "latin1").replaceAll(/[0-9a-f]{32}|unseen-[0-9a-f]{8}/g, "fingerprint"));
    assert.equal(one === other, true);
  });
});

/** The same GGUF with invented words, another template and other names. */
async function writeWordless(source: string, target: string): Promise<void> {
  const tokens = (await openGguf(source)).metadata.get("tokenizer.ggml.tokens")?.value as string[];
  // <|end|> stays: llama.cpp ends an answer there because of its text.
  const renamed = tokens.map((token, id) => (token === "<|end|>" ? token : `zq${id}`));
  const text = (value: string): GgufValue => ({ type: "string", value });
  await rewriteMetadata(
    source,
    target,
    new Map<string, GgufValue | null>([
      ["tokenizer.ggml.tokens", { type: "array", of: "string", value: renamed }],
      ["tokenizer.ggml.merges", null],
      ["tokenizer.chat_template", text("{{ zq }}")],
      ["general.name", text("Zq")],
      ["general.author", text("somebody")],
      ["general.source.url", text("https://example.org/model")],
    ]),
  );
}

describe("ids on the wire", () => {
  test("post-processor, added tokens and chat template reach the host enciphered, and so do ends and biases", async () => {
    const home = at("home");
    await ask(["encrypt", STORY_LLAMA, "--out", at("wire"), "--name", "story", "--no-measure"], { home: directory, environment: { UNSEEN_HOME: home } });
    const host = await startServer(["serve", at("wire"), "--port", "0"], { home: directory, environment: { UNSEEN_HOME: at("host-home") } });
    const proxy = await startRecordingProxy(host.url);
    const gateway = await startServer(["gateway", "--port", "0", "--host", proxy.url], { home: directory, environment: { UNSEEN_HOME: home } });
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
      const { cipher } = await ask<{ cipher: number[] }>(["encode", "--model", "story", "--ids", Array.from({ length: 4096 }, (_, id) => id).join(",")], { home: directory, environment: { UNSEEN_HOME: home } });
      const move = through(Uint32Array.from(cipher));
      assert.deepEqual(bodies[0]?.["prompt"], move(rendered));
      assert.deepEqual(bodies[1]?.["prompt"], move(completed));
      assert.deepEqual(bodies.map((body) => body["stop_token_ids"]), [move([3]), move([3])]);
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
