/** Tensors in files beside a model: which files, and which bytes of them. */
import assert from "node:assert/strict";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { rejectsWith, temporaryDirectory } from "./files.fixture.ts";
import { bytesOf, modelMessage, tensorMessage } from "./onnx.fixture.ts";
import { openOnnx } from "./onnx.ts";
import { Rope } from "./protobuf-write.ts";

/** A model whose one tensor of 4 bytes lies at a location, with further entries. */
function outsideModel(location: string, entries: Readonly<Record<string, string>> = {}): Uint8Array {
  return bytesOf(
    modelMessage(
      new Rope().bytes(
        5,
        tensorMessage("t", [1], 1, (rope) => {
          for (const [key, value] of Object.entries({ location, ...entries })) rope.bytes(13, new Rope().bytes(1, key).bytes(2, value));
          return rope.varint(14, 1);
        }),
      ),
    ),
  );
}

test("external data: offset and length may be left out, other entries are ignored", async (context) => {
  const directory = temporaryDirectory(context);
  writeFileSync(join(directory, "weights"), Uint8Array.of(1, 2, 3, 4, 5, 6));
  const path = join(directory, "model.onnx");
  const read = async (entries: Readonly<Record<string, string>>): Promise<Uint8Array> => {
    writeFileSync(path, outsideModel("weights", entries));
    return (await openOnnx(path)).graph.initializers.get("t")!.read();
  };
  assert.deepEqual(await read({}), Uint8Array.of(1, 2, 3, 4));
  assert.deepEqual(await read({ offset: "2", length: "4", checksum: "x" }), Uint8Array.of(3, 4, 5, 6));
  writeFileSync(path, outsideModel("weights", { offset: "3" }));
  await rejectsWith(() => openOnnx(path), "CHECKPOINT_TRUNCATED");
  await rejectsWith(() => read({ offset: "9007199254740991" }), "CHECKPOINT_TRUNCATED");
  for (const entries of [
    { offset: "-1" },
    { offset: "1e3" },
    { offset: "0x1" },
    { offset: "99999999999999999999" },
    { length: "3" },
    { length: "" },
  ])
    await rejectsWith(() => read(entries as Record<string, string>), "CHECKPOINT_MALFORMED");
});

test("external data lie beside the model, links included", async (context) => {
  const root = temporaryDirectory(context);
  const directory = join(root, "model");
  mkdirSync(join(directory, "inner"), { recursive: true });
  for (const place of [root, directory, join(directory, "inner")]) writeFileSync(join(place, "weights"), new Uint8Array(4));
  symlinkSync(join(root, "weights"), join(directory, "link-out"));
  symlinkSync("inner/weights", join(directory, "link-in"));
  const path = join(directory, "model.onnx");
  const open = (location: string) => async () => {
    writeFileSync(path, outsideModel(location));
    return (await openOnnx(path)).graph.initializers.get("t")!.bytes;
  };
  for (const location of ["weights", "link-in"]) assert.equal(await open(location)(), 4);
  const out = [
    "../weights",
    "inner/weights",
    "inner\\weights",
    join(root, "weights"),
    "..",
    ".",
    "",
    "link-out",
    "weights:stream",
    "a\0b",
    "C:weights",
    "*/_ORT_MEM_ADDR_/*",
  ];
  for (const location of out) await rejectsWith(open(location), "CHECKPOINT_MALFORMED");
  await rejectsWith(open("missing"), "CHECKPOINT_MISSING_SHARD");
  await rejectsWith(open("inner"), "CHECKPOINT_NOT_FOUND");
});

test("the hub's download cache is followed: a snapshot's links lead to blobs", async (context) => {
  const root = temporaryDirectory(context);
  const snapshot = join(root, "snapshots", "abc", "onnx");
  mkdirSync(snapshot, { recursive: true });
  mkdirSync(join(root, "blobs"));
  writeFileSync(join(root, "blobs", "1"), outsideModel("model.onnx_data"));
  writeFileSync(join(root, "blobs", "2"), Uint8Array.of(1, 2, 3, 4));
  symlinkSync("../../../blobs/1", join(snapshot, "model.onnx"));
  symlinkSync("../../../blobs/2", join(snapshot, "model.onnx_data"));
  const model = await openOnnx(join(snapshot, "model.onnx"));
  assert.deepEqual(model.graph.initializers.get("t")!.read(), Uint8Array.of(1, 2, 3, 4));
});
