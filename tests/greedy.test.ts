/**
 * Greedy decoding through gateway and host on the encrypted model gives the plain model's tokens; the long version
 * is `npm run prove`.
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { before, test } from "node:test";
import { TextTokenizer } from "@unseen/client/tokenizer.ts";
import { ask, STORY_LLAMA, temporaryDirectory } from "./command-line.ts";
import { compareGreedy } from "./greedy.ts";
import { writePlainStory } from "./plain-gguf.ts";

const home = temporaryDirectory("greedy");
const sentences = [
  "Once upon a time",
  "The dog saw a",
  "Lily wanted to play with",
  "One day, a big",
  "Tim was very sad because",
  "In the garden there was",
  "Her mom said",
  "The sun was",
];
let prompts: number[][] = [];

before(async () => {
  await ask(["key", "new"], { home });
  const tokenizer = await TextTokenizer.load(STORY_LLAMA);
  prompts = sentences.map((sentence) => tokenizer.encode(sentence, { specialTokens: true }));
  await writePlainStory(join(home, "f32.gguf"), new Map(), "f32");
});

// In 16 bits the engine rounds activations, and near ties fall either way: those figures are in `npm run prove`.
const cases = [
  { name: "rotate, f32, from a directory", plain: "f32.gguf", source: STORY_LLAMA, flags: ["--strength", "rotate", "--precision", "f32"] },
  { name: "permute, f32, from a GGUF", plain: "f32.gguf", source: join(home, "f32.gguf"), flags: ["--strength", "permute"] },
  { name: "rotate, f32, from a GGUF", plain: "f32.gguf", source: join(home, "f32.gguf"), flags: ["--strength", "rotate"] },
];
for (const { name, plain, source, flags } of cases) {
  test(`${name}: token for token`, async (context) => {
    const agreement = await compareGreedy({ home, plain: join(home, plain), source, flags, prompts, length: 24 });
    context.diagnostic(JSON.stringify(agreement));
    assert.equal(agreement.tokens, 8 * 24);
    assert.equal(agreement.equalTokens, agreement.tokens);
  });
}
