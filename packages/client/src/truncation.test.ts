import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { needs, sharedPath } from "../../../tests/shared.ts";
import { TextTokenizer } from "./tokenizer.ts";
import { cutLongestFirst } from "./truncation.ts";

test("lengths are those of tokenizers 0.23 for a total of 24 with 3 special tokens", () => {
  // [first, second, kept of first, kept of second], as the reference cut them
  const cases = [
    [12, 20, 10, 11],
    [20, 12, 11, 10],
    [11, 20, 10, 11],
    [20, 11, 11, 10],
    [20, 10, 11, 10],
    [12, 12, 10, 11],
    [11, 10, 11, 10],
    [5, 40, 5, 16],
    [40, 5, 16, 5],
    [30, 40, 10, 11],
    [40, 30, 10, 11],
    [40, 23, 11, 10],
    [40, 24, 10, 11],
    [25, 24, 10, 11],
    [10, 11, 10, 11],
    [0, 40, 0, 21],
    [3, 4, 3, 4],
  ];
  for (const [first, second, ...kept] of cases as [number, number, number, number][])
    assert.deepEqual(cutLongestFirst([first, second], 24, 3), kept, `${first} and ${second}`);
  assert.deepEqual(cutLongestFirst([5, 5], 2, 3), [0, 0]);
});

const BERT = "data/tokenizers/bert-uncased.tokenizer.json";
const SENTENCES = "data/text/sst2-dev.tsv";

test(
  "BERT's ids of 872 sentences and of 436 pairs are the reference's, cut and uncut",
  { skip: needs(BERT).skip || needs(SENTENCES).skip },
  async () => {
    const tokenizer = TextTokenizer.fromFiles({ tokenizerJson: await readFile(sharedPath(BERT)!) });
    const rows = (await readFile(sharedPath(SENTENCES)!, "utf8")).trimEnd().split("\n");
    const texts = rows.map((row) => row.split("\t")[0]!);
    assert.equal(texts.length, 872);
    const digest = (value: unknown): string => createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 16);
    const ids = (maximum: number): number[][] => texts.map((text) => tokenizer.encodeSequence(text, null, maximum).ids);
    const pairs = texts.flatMap((text, place) => (place % 2 === 0 ? [tokenizer.encodeSequence(text, texts[place + 1]!, 48)] : []));
    // Computed with Python's tokenizers 0.23.2.
    assert.equal(digest(ids(512)), "cf489d48746324b3");
    assert.equal(digest(ids(16)), "11b421452cdd6ef9");
    assert.equal(digest(pairs.map((pair) => pair.ids)), "ba055454757b055f");
    assert.equal(digest(pairs.map((pair) => pair.segments)), "6727a5ae08f866f4");
  },
);

test("a sigma at the end of a word, and texts that spell special tokens", needs(BERT), async () => {
  const tokenizer = TextTokenizer.fromFiles({ tokenizerJson: await readFile(sharedPath(BERT)!) });
  assert.deepEqual(tokenizer.encodeSequence("ΑΣ ΣΑΣ", null, 64).ids, [101, 1155, 29733, 1173, 14608, 29733, 102]);
  const { ids, segments } = tokenizer.encodeSequence("[SEP] [MASK]", "[CLS]", 64);
  assert.deepEqual([ids.filter((id) => id === 101 || id === 102 || id === 103)], [[101, 102, 102]]);
  assert.equal(segments[0], 0);
  assert.equal(segments.at(-1), 1);
});
