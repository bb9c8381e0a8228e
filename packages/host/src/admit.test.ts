import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { UnseenError, type ErrorCode } from "@unseen/core/errors.ts";
import { needs, sharedPath } from "../../../tests/shared.ts";
import { admitModel, prepareModel } from "./admit.ts";
import { TINY_CONTEXT, TINY_FINGERPRINT, TINY_VOCABULARY, writeTinyModel } from "./tiny-model.fixture.ts";

const root = mkdtempSync(join(tmpdir(), "unseen-admit-"));
const path = (name: string): string => join(root, name);
const refuses = (promise: Promise<unknown>, code: ErrorCode): Promise<void> =>
  assert.rejects(promise, (error) => UnseenError.isInstance(error) && error.code === code && !error.line.includes("\n"));

before(() => {
  writeTinyModel(path("tiny.gguf"), { eos: [3, 9] });
  writeTinyModel(path("plain.gguf"), { encrypted: false });
});
after(() => rmSync(root, { recursive: true }));

const manifest = {
  scheme: "unseen-ee",
  version: 1,
  fingerprint: TINY_FINGERPRINT,
  strength: "rotate",
  family: "llama",
  vocabularySize: TINY_VOCABULARY,
};

test("an encrypted GGUF is admitted with its public facts", async () => {
  const admitted = await admitModel(path("tiny.gguf"));
  assert.deepEqual({ ...admitted.manifest }, manifest);
  const model = await prepareModel(admitted);
  assert.equal(model.file, path("tiny.gguf"));
  assert.deepEqual([model.vocabularySize, model.trainedContext, model.eosIds], [TINY_VOCABULARY, TINY_CONTEXT, [3, 9]]);
});

test("a directory with one encrypted GGUF is that file", async () => {
  mkdirSync(path("one"));
  cpSync(path("tiny.gguf"), join(path("one"), "model.gguf"));
  writeFileSync(join(path("one"), "unseen.json"), JSON.stringify(manifest));
  assert.equal((await admitModel(path("one"))).path, join(path("one"), "model.gguf"));
  writeFileSync(join(path("one"), "unseen.json"), JSON.stringify({ ...manifest, fingerprint: "f".repeat(32) }));
  await refuses(admitModel(path("one")), "CHECKPOINT_MALFORMED");
});

test("a plain model is refused unless asked for", async () => {
  await refuses(admitModel(path("plain.gguf")), "NOT_ENCRYPTED");
  assert.equal((await admitModel(path("plain.gguf"), { plain: true })).manifest, null);
  mkdirSync(path("plain"));
  writeFileSync(join(path("plain"), "config.json"), "{}");
  await refuses(admitModel(path("plain")), "NOT_ENCRYPTED");
});

test("what an interrupted command left is refused, at its own name and at the final one", async () => {
  mkdirSync(path("story.partial"));
  cpSync(path("tiny.gguf"), join(path("story.partial"), "model.gguf"));
  await refuses(admitModel(path("story.partial")), "CHECKPOINT_INCOMPLETE");
  await refuses(admitModel(join(path("story.partial"), "model.gguf")), "CHECKPOINT_INCOMPLETE");
  await refuses(admitModel(path("story")), "CHECKPOINT_INCOMPLETE");
  mkdirSync(path("holed"));
  writeFileSync(join(path("holed"), "unseen.json"), JSON.stringify(manifest));
  writeFileSync(join(path("holed"), "model.safetensors.partial"), "");
  await refuses(admitModel(path("holed")), "CHECKPOINT_INCOMPLETE");
});

test("missing and damaged files are named", async () => {
  await refuses(admitModel(path("nowhere")), "CHECKPOINT_NOT_FOUND");
  writeFileSync(path("notes.txt"), "");
  await refuses(admitModel(path("notes.txt")), "CHECKPOINT_NOT_FOUND");
  cpSync(path("tiny.gguf"), path("cut.gguf"));
  truncateSync(path("cut.gguf"), 20_000);
  await refuses(admitModel(path("cut.gguf")), "CHECKPOINT_TRUNCATED");
  mkdirSync(path("odd"));
  writeFileSync(join(path("odd"), "unseen.json"), JSON.stringify({ ...manifest, fingerprint: "../../etc/passwd" }));
  await refuses(admitModel(path("odd")), "CHECKPOINT_MALFORMED");
});

test("a directory is converted once, and again when it changed", needs("data/models/stories260K-hf"), async () => {
  mkdirSync(path("stories"));
  for (const name of ["config.json", "model.safetensors"])
    cpSync(`${sharedPath("data/models/stories260K-hf")!}/${name}`, join(path("stories"), name));
  writeFileSync(join(path("stories"), "unseen.json"), JSON.stringify({ ...manifest, vocabularySize: 512 }));
  const home = path("home");
  const prepare = async (): Promise<string> => (await prepareModel(await admitModel(path("stories")), { home })).file;
  const file = await prepare();
  assert.equal(file, join(home, "cache", "gguf", `${TINY_FINGERPRINT}.gguf`));
  const made = statSync(file).mtimeMs;
  assert.equal(await prepare(), file);
  assert.equal(statSync(file).mtimeMs, made, "the second time it is taken from the cache");
  const later = new Date(Date.now() + 5000);
  utimesSync(join(path("stories"), "config.json"), later, later);
  await prepare();
  assert.notEqual(statSync(file).mtimeMs, made);
});
