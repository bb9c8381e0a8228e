import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { UnseenError } from "@unseen/core/errors.ts";
import {
  type Bundle,
  bundleDirectory,
  listBundles,
  loadBundle,
  loadBundleEnds,
  loadBundleInterface,
  loadBundleTokenizer,
  removeBundle,
  writeBundle,
} from "./bundle.ts";
import { metadata } from "./example-tokenizers.ts";
import { type Home, resolveHome } from "./home.ts";
import { tokenizerFilesFromGguf } from "./tokenizer-from-gguf.ts";

const root = await mkdtemp(join(tmpdir(), "unseen-bundle-"));
after(() => rm(root, { recursive: true }));

const bundle: Bundle = {
  version: 1,
  fingerprint: "12".repeat(16),
  name: "story",
  keyId: "ab".repeat(8),
  strength: "rotate",
  family: "llama",
  vocabularySize: 4096,
  contextLength: 512,
  created: "2026-11-21T10:00:00.000Z",
  eosIds: [3],
  bosId: 0,
  generation: { temperature: 0.7, topP: 0.95 },
};

function home(name: string): Home {
  return resolveHome({ UNSEEN_HOME: join(root, name) });
}

test("a bundle comes back by name and by fingerprint, with its tokenizer", async () => {
  const place = home("round-trip");
  const files = tokenizerFilesFromGguf(metadata({ model: "gpt2", pre: "gpt-2", tokens: ["a", "b"], merges: [] }));
  await writeBundle(place, bundle, files);
  for (const handle of ["story", bundle.fingerprint]) assert.deepEqual(await loadBundle(place, handle), bundle);
  assert.deepEqual((await loadBundleTokenizer(place, bundle))?.encode("ab", { specialTokens: false }), [0, 1]);
  assert.equal((await stat(bundleDirectory(place, bundle.fingerprint))).mode & 0o777, 0o700);
  assert.deepEqual((await readdir(bundleDirectory(place, bundle.fingerprint))).toSorted(), [
    "bundle.json",
    "tokenizer.json",
    "tokenizer_config.json",
  ]);
});

test("a model of ids alone has no tokenizer", async () => {
  const place = home("ids");
  await writeBundle(place, bundle, {});
  assert.equal(await loadBundleTokenizer(place, bundle), null);
});

test("of several bundles with one name the newest answers, each by its fingerprint", async () => {
  const place = home("newest");
  const later = { ...bundle, fingerprint: "34".repeat(16), created: "2026-12-01T00:00:00.000Z" };
  await writeBundle(place, later, {});
  await writeBundle(place, bundle, {});
  assert.deepEqual(await loadBundle(place, "story"), later);
  assert.deepEqual(await loadBundle(place, bundle.fingerprint), bundle);
  assert.deepEqual(await listBundles(place), [bundle, later]);
  await removeBundle(place, later.fingerprint);
  assert.deepEqual(await loadBundle(place, "story"), bundle);
});

test("writing again replaces, and an interrupted write leaves no bundle", async () => {
  const place = home("replace");
  await writeBundle(place, bundle, { "tokenizer.json": "{}" });
  await writeBundle(place, { ...bundle, contextLength: 1024 }, { "tokenizer.json": "[]" });
  assert.equal((await loadBundle(place, "story")).contextLength, 1024);
  assert.equal(await readFile(join(bundleDirectory(place, bundle.fingerprint), "tokenizer.json"), "utf8"), "[]");
  // Killed before the last file:
  const half = "56".repeat(16);
  await mkdir(bundleDirectory(place, half));
  await writeFile(join(bundleDirectory(place, half), "tokenizer.json"), "{}");
  assert.deepEqual(
    (await listBundles(place)).map(({ fingerprint }) => fingerprint),
    [bundle.fingerprint],
  );
  await assert.rejects(loadBundle(place, half), hasCode("BUNDLE_NOT_FOUND"));
});

test("bad bundles are refused when written and when read, naming the field", async () => {
  const place = home("bad");
  const bad: [Partial<Record<keyof Bundle, unknown>>, RegExp][] = [
    [{ version: 2 }, /version/],
    [{ fingerprint: "../../etc" }, /fingerprint/],
    [{ keyId: "x" }, /keyId/],
    [{ vocabularySize: 2 ** 40 }, /vocabularySize/],
    [{ eosIds: [4096] }, /eosIds/],
    [{ bosId: -1 }, /bosId/],
    [{ contextLength: 0 }, /contextLength/],
    [{ generation: { temperature: -1 } }, /temperature/],
  ];
  for (const [change, message] of bad) {
    await assert.rejects(writeBundle(place, { ...bundle, ...change } as Bundle, {}), hasCode("BUNDLE_INVALID", message));
  }
  for (const name of ["../x", "a/b", "bundle.json", ".hidden", ""])
    await assert.rejects(writeBundle(place, bundle, { [name]: "" }), hasCode("BUNDLE_INVALID"), name);

  await writeBundle(place, bundle, {});
  const path = join(bundleDirectory(place, bundle.fingerprint), "bundle.json");
  for (const content of [
    "",
    "[]",
    "{",
    JSON.stringify({ ...bundle, name: undefined }),
    JSON.stringify({ ...bundle, fingerprint: "00".repeat(16) }),
    "x".repeat(2 ** 21),
  ]) {
    await writeFile(path, content);
    await assert.rejects(loadBundle(place, bundle.fingerprint), hasCode("BUNDLE_INVALID"));
    assert.deepEqual(await listBundles(place), [], "one damaged bundle does not break the list");
  }
});

test("an empty home has no bundles", async () => {
  assert.deepEqual(await listBundles(home("empty")), []);
  await assert.rejects(loadBundle(home("empty"), "story"), hasCode("BUNDLE_NOT_FOUND", /story/));
});

function hasCode(code: string, message = /./): (error: unknown) => boolean {
  return (error) => UnseenError.isInstance(error) && error.code === code && message.test(error.message);
}

const encoder: Bundle = { ...bundle, family: "onnx", vocabularySize: 8, contextLength: 0, eosIds: [], bosId: null };
const ends = {
  inputs: [
    {
      name: "input_ids",
      kind: "ids",
      label: "vocabulary",
      size: 8,
    },
  ],
  outputs: [
    {
      name: "logits",
      axes: [null, null],
    },
  ],
  stem: null,
  task: "classification",
  pooling: null,
  fixedLength: null,
  normalise: false,
  maximumLength: null,
  labels: ["a", "b"],
  image: null,
};

test("an encoder's interface comes back; a model that writes text has none", async () => {
  const place = home("encoder");
  await writeBundle(place, encoder, { "interface.json": JSON.stringify({ ...ends, stem: { file: "stem.onnx" } }), "stem.onnx": "x" });
  const loaded = await loadBundle(place, encoder.fingerprint);
  assert.deepEqual(await loadBundleInterface(place, loaded), { ...ends, stem: { file: "stem.onnx" } });
  const plain = home("writer");
  await writeBundle(plain, bundle, {});
  assert.equal(await loadBundleInterface(plain, bundle), null);
});

test("a bad interface is refused when written and when read", async () => {
  const refused = (error: UnseenError): boolean => error.code === "BUNDLE_INVALID" && /interface\.json/.test(error.message);
  const changes: object[] = [
    { task: "mischief" },
    { outputs: "all" },
    { stem: { file: "../../bundle.json" } },
    { stem: { file: "absent.onnx" } },
    { inputs: [{ name: "input_ids", kind: "ids", label: "vocabulary", size: -1 }] },
    { outputs: [{ name: "logits", axes: [null, { kind: "leaf", id: "x", size: 2 ** 40, map: "general" }] }] },
  ];
  for (const change of changes) {
    const text = JSON.stringify({ ...ends, ...change });
    const place = home("bad-interface");
    await assert.rejects(writeBundle(place, encoder, { "interface.json": text }), refused);
    await writeBundle(place, encoder, { "interface.json": JSON.stringify(ends) });
    await writeFile(join(bundleDirectory(place, encoder.fingerprint), "interface.json"), text);
    await assert.rejects(loadBundle(place, encoder.fingerprint), refused);
  }
  const place = home("other-vocabulary");
  await assert.rejects(writeBundle(place, { ...encoder, vocabularySize: 9 }, { "interface.json": JSON.stringify(ends) }), refused);
  await writeBundle(place, encoder, { "interface.json": JSON.stringify(ends) });
  await writeFile(join(bundleDirectory(place, encoder.fingerprint), "interface.json"), "{");
  await assert.rejects(loadBundle(place, encoder.name), refused);
  assert.equal((await removeBundle(place, encoder.fingerprint)).name, encoder.name, "what cannot be used can be removed");
});

const stream = { id: "stream", size: 2, group: { kind: "stream", norm: "layer", foldable: true } } as const;
const hidden = { name: "last_hidden_state", space: stream, norm: { gain: [1, 0.5], bias: [0, -1e-20], offset: 1 } };

test("outputs behind a folded norm come back, number for number", async () => {
  const place = home("outputs");
  const roberta = { name: "more", space: { id: "vocabulary.fixing.1", size: 8, group: { kind: "permutation", fixed: [1] } }, norm: null };
  await writeBundle(place, encoder, { "interface.json": JSON.stringify(ends), "outputs.json": JSON.stringify([hidden, roberta]) });
  assert.deepEqual(await loadBundleEnds(place, encoder), { ends, outputs: [hidden, roberta] });
});

test("a model of pictures has no vocabulary; one that continues text must have one", async () => {
  const place = home("pictures");
  const picture: Bundle = { ...encoder, family: "vit", vocabularySize: 0 };
  const pixels = { ...ends, inputs: [{ name: "pixel_values", kind: "tensor", axes: [null, null, null, null] }] };
  await writeBundle(place, picture, { "interface.json": JSON.stringify(pixels) });
  assert.deepEqual(await loadBundle(place, picture.fingerprint), picture);
  await assert.rejects(writeBundle(place, picture, {}), hasCode("BUNDLE_INVALID", /vocabularySize/));
  await rm(join(bundleDirectory(place, picture.fingerprint), "interface.json"));
  await assert.rejects(loadBundle(place, picture.fingerprint), hasCode("BUNDLE_INVALID", /vocabularySize/));
});

test("bad outputs are refused when written and when read, naming the field", async () => {
  const bad: [unknown, RegExp][] = [
    ["all", /contents/],
    [[hidden, hidden], /once/],
    [[{ ...hidden, name: "logits" }], /in both/],
    [[{ ...hidden, norm: { ...hidden.norm, gain: [1] } }], /0\.norm/],
    [[{ ...hidden, norm: { ...hidden.norm, bias: [1, null] } }], /bias/],
    [[{ ...hidden, more: 1 }], /0/],
    [[{ ...hidden, space: { ...stream, size: 2 ** 30 } }], /size/],
    [[{ ...hidden, space: { ...stream, group: { kind: "heads" } } }], /group/],
    [[{ ...hidden, norm: null, space: { ...stream, group: { kind: "permutation", fixed: [2] } } }], /fixed/],
    [Array.from({ length: 65 }, (_, index) => ({ ...hidden, name: `${index}` })), /contents/],
  ];
  const place = home("bad-outputs");
  const files = { "interface.json": JSON.stringify(ends) };
  for (const [value, message] of bad) {
    const text = JSON.stringify(value);
    await assert.rejects(
      writeBundle(place, encoder, { ...files, "outputs.json": text }),
      hasCode("BUNDLE_INVALID", message),
      text.slice(0, 80),
    );
    await writeBundle(place, encoder, files);
    await writeFile(join(bundleDirectory(place, encoder.fingerprint), "outputs.json"), text);
    await assert.rejects(loadBundle(place, encoder.name), hasCode("BUNDLE_INVALID", message));
  }
  await writeFile(join(bundleDirectory(place, encoder.fingerprint), "outputs.json"), "{");
  await assert.rejects(loadBundle(place, encoder.name), hasCode("BUNDLE_INVALID", /JSON/));
  await assert.rejects(writeBundle(place, bundle, { "outputs.json": "[]" }), hasCode("BUNDLE_INVALID", /interface\.json/));
});
