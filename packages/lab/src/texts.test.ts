import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { TextTokenizer } from "@unseen/client/tokenizer.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { readKnownText, readTexts } from "./texts.ts";

const directory = mkdtempSync(join(tmpdir(), "unseen-texts-"));
after(() => rmSync(directory, { recursive: true }));
const tokenizer = await TextTokenizer.load(fileURLToPath(new URL("../../unseen/models/story-llama", import.meta.url)));
const identity = Uint32Array.from({ length: 4096 }, (_, id) => id);

function file(name: string, content: string): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

const hasCode = (code: string, message: RegExp) => (error: unknown) =>
  UnseenError.isInstance(error) && error.code === code && message.test(error.line);
const spoken = (texts: readonly Uint32Array[]): string[] => texts.map((ids) => tokenizer.decode([...ids]));
const numbered = (count: number): string =>
  Array.from({ length: count }, (_, i) => `Text number ${i} is here.\nIt has two lines.`).join("\n\n");

test("without files nothing is recorded, and our own sentences are held out", async () => {
  const { recorded, heldOut, prior } = await readTexts({ traffic: null, prior: null }, tokenizer, identity);
  assert.deepEqual([recorded.length, prior.length], [0, 0]);
  assert.ok(heldOut.length > 5 && spoken(heldOut)[0]!.includes("train from Lyon"));
  assert.deepEqual((await readTexts({ traffic: null, prior: null }, null, identity)).heldOut, []);
});

test("one file is shared out among traffic, what nobody recorded and the attacker; no text is in two of them", async () => {
  const { recorded, heldOut, prior } = await readTexts({ traffic: file("one.txt", numbered(50)), prior: null }, tokenizer, identity);
  assert.deepEqual([recorded.length, heldOut.length, prior.length], [20, 10, 20]);
  assert.equal(new Set(spoken([...recorded, ...heldOut, ...prior])).size, 50);
  assert.match(spoken(recorded)[0]!, /^Text number 3 is here\.\nIt has two lines\.$/);
});

test("with a file of the attacker's own, all but what is held out is recorded", async () => {
  const files = { traffic: file("one.txt", numbered(50)), prior: file("prior.txt", "A line.\nAnother line.") };
  const { recorded, heldOut, prior } = await readTexts(files, tokenizer, identity);
  assert.deepEqual([recorded.length, heldOut.length], [40, 10]);
  assert.deepEqual(spoken(prior), ["A line.", "Another line."]);
});

test("recorded ids are deciphered, whatever form a line has", async () => {
  const decipher = identity.toReversed();
  const lines = Array.from({ length: 10 }, (_, i) =>
    i % 2 ? `[${i}, 4095]` : i % 4 ? `{"ids": [${i}, 4095]}` : `{"prompt": [${i}, 4095]}`,
  );
  const { recorded, heldOut, prior } = await readTexts({ traffic: file("ids.jsonl", lines.join("\n")), prior: null }, null, decipher);
  assert.deepEqual([...heldOut, ...prior, ...recorded].map(([first, second]) => [4095 - first!, second]).toSorted(([a], [b]) => a! - b!), lines.map((_, i) => [i, 0])); // prettier-ignore
});

test("what is read has a limit", async () => {
  const traffic = file("long.txt", numbered(2000));
  const { recorded, heldOut, prior } = await readTexts({ traffic, prior: null }, tokenizer, identity, {
    recorded: 100,
    heldOut: 50,
    prior: 70,
  });
  assert.deepEqual([recorded, heldOut, prior].map((texts) => texts.reduce((sum, { length }) => sum + length, 0)), [100, 50, 70]); // prettier-ignore
  const { recorded: pieces } = await readTexts(
    { traffic: file("huge.txt", `${"word ".repeat(9000)}`), prior: file("p.txt", "x") },
    tokenizer,
    identity,
  );
  assert.ok(pieces.every(({ length }) => length <= 1024));
});

test("files that are no texts are refused with what to do", async () => {
  const read = (name: string, content: string) => readTexts({ traffic: file(name, content), prior: null }, tokenizer, identity);
  await assert.rejects(read("empty.txt", " \n \n"), hasCode("USAGE", /no text/));
  for (const line of ["[1, 4096]", "[1.5]", "[-1]", '["a"]', "{}", "null", "7", "{", '{"ids": 3}'])
    await assert.rejects(read("bad.jsonl", `[1]\n${line}`), hasCode("USAGE", /line 2: expected a JSON list of token ids below 4096/), line);
  await assert.rejects(
    readTexts({ traffic: join(directory, "none.txt"), prior: null }, tokenizer, identity),
    hasCode("USAGE", /does not exist/),
  );
  await assert.rejects(
    readTexts({ traffic: file("t.txt", "x"), prior: null }, null, identity),
    hasCode("TOKENIZER_MISSING", /--tokenizer/),
  );
});

test("known text is read whole", async () => {
  assert.deepEqual(spoken(await readKnownText(file("known.txt", "First.\n\nSecond."), tokenizer)), ["First.", "Second."]);
});
