/**
 * No file of an encrypted model holds a word of the plain model's vocabulary, nor anything else of its tokenizer.
 * @module
 */
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test, type TestContext } from "node:test";
import { encryptModel } from "@unseen/core/blueprint/transform.ts";
import { openGguf, type GgufValue } from "@unseen/core/checkpoint/gguf.ts";
import { openSafetensors } from "@unseen/core/checkpoint/safetensors.ts";
import { STORY_LLAMA, temporaryDirectory } from "./command-line.ts";
import { rewriteMetadata, writePlainStory } from "./plain-gguf.ts";
import { writeRandomLlama } from "./random-llama.ts";
import { tokensOf, vocabularyWords, wordsIn } from "./tokens.ts";

const secret = Uint8Array.from({ length: 32 }, (_, index) => index * 5 + 3);
const directory = temporaryDirectory("words");
const at = (name: string): string => join(directory, name);
const encrypt = (source: string, output: string) =>
  encryptModel({ source, output: at(output), key: { secret, strength: "rotate" }, threads: 1 });

describe("words", () => {
  const words = vocabularyWords(tokensOf(STORY_LLAMA));
  /** Everything of a model directory or file that is not a weight. */
  const textOf = async (path: string): Promise<string> => {
    if (path.endsWith(".gguf")) {
      const { tensors } = await openGguf(path);
      return readFileSync(path)
        .subarray(0, Math.min(...[...tensors.values()].map(({ offset }) => offset)))
        .toString("latin1");
    }
    const { tensors } = await openSafetensors(path);
    const start = Math.min(...[...tensors.values()].map(({ offset }) => offset));
    const names = readdirSync(path);
    return names
      .map(
        (name) =>
          `${name}\n${readFileSync(join(path, name))
            .subarray(0, name.endsWith(".safetensors") ? start : Infinity)
            .toString("latin1")}`,
      )
      .join("\n");
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
    for (const name of ["config.json", "generation_config.json", "model.safetensors"])
      copyFileSync(join(STORY_LLAMA, name), join(bare, name));
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
      context.diagnostic(
        `${found.size} of ${words.size} words of the vocabulary occur, all of them without the vocabulary too: ${[...found].toSorted().join(" ")}`,
      );
      assert.ok(own.size < 60, "card and field names are short");
      assert.deepEqual([...found].filter((word) => !own.has(word)).toSorted(), []);
    });

    test(`${name}: the weights spell words no more often than chance`, async (context: TestContext) => {
      const path = output.endsWith(".gguf") ? at(output) : join(at(output), "model.safetensors");
      const letters =
        readFileSync(path)
          .toString("latin1")
          .match(/[A-Za-z]{4,}/g) ?? [];
      const header = new Set((await textOf(at(output))).match(/[A-Za-z]{4,}/g) ?? []);
      const runs = letters.filter((run) => !header.has(run)).map((run) => run.toLowerCase());
      // The same letters backwards are as likely by chance, and no word of the model.
      const backwards = new Set([...words].map((word) => [...word].toReversed().join("")).filter((word) => !words.has(word)));
      const count = (list: ReadonlySet<string>, shortest: number): number =>
        runs.filter((run) => run.length >= shortest && list.has(run)).length;
      const [hits, chance] = [count(words, 4), count(backwards, 4)];
      context.diagnostic(
        `${hits} words and ${chance} reversed words of four or more letters in ${runs.length} runs of letters; of six or more: ${count(words, 6)}`,
      );
      assert.ok(hits <= chance + 4 * Math.sqrt(chance + 1) + 4, `${hits} words, ${chance} by chance`);
      assert.equal(count(words, 7), 0);
    });
  }

  test("no tokenizer file, and no file that nobody expects", () => {
    assert.deepEqual(readdirSync(at("words")).toSorted(), [
      "README.md",
      "config.json",
      "generation_config.json",
      "model.safetensors",
      "unseen.json",
    ]);
  });

  test("the output does not depend on tokenizer, template, card or name: byte for byte", async () => {
    const [undressed, dressed] = [at("bare"), at("dressed")];
    writeRandomLlama(undressed, { generationConfig: { eos_token_id: 2 } });
    writeRandomLlama(dressed, { generationConfig: { eos_token_id: 2 } });
    for (const name of readdirSync(STORY_LLAMA).filter((file) => /tokenizer|template|README|report|\.py$/.test(file)))
      copyFileSync(join(STORY_LLAMA, name), join(dressed, name));
    writeFileSync(join(dressed, "vocab.txt"), "secret words");
    const config = JSON.parse(readFileSync(join(dressed, "config.json"), "utf8")) as Record<string, unknown>;
    writeFileSync(
      join(dressed, "config.json"),
      JSON.stringify({
        ...config,
        _name_or_path: "my-org/secret-model",
        tokenizer_class: "SecretTokenizer",
        id2label: { 0: "sick" },
        finetuning_task: "diagnosis",
      }),
    );
    await encrypt(undressed, "bare-out");
    await encrypt(dressed, "dressed-out");
    assert.deepEqual(readdirSync(at("dressed-out")), readdirSync(at("bare-out")));
    for (const name of readdirSync(at("bare-out"))) {
      const [one, other] = [at("bare-out"), at("dressed-out")].map((path) =>
        readFileSync(join(path, name), "latin1").replaceAll(/[0-9a-f]{32}/g, "fingerprint"),
      );
      assert.equal(one === other, true, name);
    }
  });

  test("neither does a GGUF's: other words, other template, the same bytes", () => {
    const [one, other] = [at("words-2.gguf"), at("wordless-words-2.gguf")].map((path) =>
      readFileSync(path, "latin1").replaceAll(/[0-9a-f]{32}|unseen-[0-9a-f]{8}/g, "fingerprint"),
    );
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
