/**
 * An output appears whole or not at all, and nothing that was there before is lost.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { OutputPlace } from "./output-place.ts";

const directory = mkdtempSync(join(tmpdir(), "unseen-place-"));
after(() => rmSync(directory, { recursive: true, force: true }));
const at = (name: string): string => join(directory, name);

test("a directory has its name only at the end, and holds no trace of who wrote it", () => {
  const place = new OutputPlace(`${at("model")}/`);
  writeFileSync(join(place.directory, "weights"), "1");
  assert.equal(existsSync(at("model")), false);
  place.commit();
  assert.deepEqual(readdirSync(at("model")), ["weights"]);
  assert.equal(existsSync(at("model.partial")), false);
});

test("a single file is moved out of its directory", () => {
  const place = new OutputPlace(at("model.gguf"), "model.gguf");
  writeFileSync(join(place.directory, "model.gguf"), "1");
  place.commit();
  assert.equal(readFileSync(at("model.gguf"), "utf8"), "1");
  assert.equal(existsSync(at("model.gguf.partial")), false);
});

test("what is there already is not replaced, a link that leads nowhere included", () => {
  mkdirSync(at("taken"));
  assert.throws(() => new OutputPlace(at("taken")), { code: "OUTPUT_EXISTS" });
  symlinkSync(at("nowhere"), at("dangling.gguf"));
  assert.throws(() => new OutputPlace(at("dangling.gguf"), "dangling.gguf"), { code: "OUTPUT_EXISTS" });
});

test("what came in the meantime is not replaced either", () => {
  const place = new OutputPlace(at("late.gguf"), "late.gguf");
  writeFileSync(join(place.directory, "late.gguf"), "ours");
  writeFileSync(at("late.gguf"), "theirs");
  assert.throws(() => place.commit(), { code: "OUTPUT_EXISTS" });
  place.discard();
  assert.equal(readFileSync(at("late.gguf"), "utf8"), "theirs");
});

test("a directory that no run of ours made is never removed", () => {
  mkdirSync(at("draft.partial"));
  writeFileSync(join(at("draft.partial"), "thesis.tex"), "years of work");
  assert.throws(() => new OutputPlace(at("draft")), { code: "OUTPUT_EXISTS", message: /draft\.partial is in the way/ });
  assert.deepEqual(readdirSync(at("draft.partial")), ["thesis.tex"]);
});

test("a dead run's leftover is removed, and the result says so", async () => {
  const child = spawn(process.execPath, ["-e", ""]);
  await new Promise((resolve) => child.once("exit", resolve));
  mkdirSync(at("again.partial"));
  writeFileSync(join(at("again.partial"), ".unseen-owner"), String(child.pid));
  const place = new OutputPlace(at("again"));
  assert.equal(place.removedLeftover, true);
  place.discard();
  assert.equal(existsSync(at("again.partial")), false);
});

test("a run that died between giving names to two files of one output is cleaned up", async () => {
  const child = spawn(process.execPath, ["-e", ""]);
  await new Promise((resolve) => child.on("exit", resolve));
  const files = (data: string): void => {
    mkdirSync(at("split.onnx.partial"), { recursive: true });
    writeFileSync(at("split.onnx.partial/.unseen-owner"), String(child.pid));
    writeFileSync(at("split.onnx.partial/split.onnx"), "model");
    writeFileSync(at(data), "tensors");
  };
  files("split.onnx.data");
  const place = new OutputPlace(at("split.onnx"), "split.onnx", ["split.onnx.data"]);
  assert.equal(place.removedLeftover, true);
  assert.equal(existsSync(at("split.onnx.data")), false);
  place.discard();
  // Data that this run cannot have put there stay.
  files("split.onnx.data");
  writeFileSync(at("split.onnx.partial/split.onnx.data"), "tensors");
  assert.throws(() => new OutputPlace(at("split.onnx"), "split.onnx", ["split.onnx.data"]), { code: "OUTPUT_EXISTS" });
  assert.equal(readFileSync(at("split.onnx.data"), "utf8"), "tensors");
});

test("a living run is left alone, in another process and in this one", () => {
  mkdirSync(at("busy.partial"));
  writeFileSync(join(at("busy.partial"), ".unseen-owner"), String(process.ppid));
  assert.throws(() => new OutputPlace(at("busy")), { code: "OUTPUT_EXISTS", message: /process \d+ is writing/ });
  const first = new OutputPlace(at("twice"));
  assert.throws(() => new OutputPlace(at("twice")), { code: "OUTPUT_EXISTS", message: /is writing/ });
  assert.ok(existsSync(first.directory));
  first.discard();
  new OutputPlace(at("twice")).discard();
});
