/**
 * The TypeScript half of `checkpoint.py`, which explains itself.
 * `write DIRECTORY` makes files of `values.f64`; `read FILE-OR-DIRECTORY` prints what a reader sees as JSON.
 * @module
 */
import { createHash } from "node:crypto";
import { closeSync, openSync, readFileSync, readSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { encode } from "@unseen/core/checkpoint/format.ts";
import { layoutGguf, openGguf, type GgufValue } from "@unseen/core/checkpoint/gguf.ts";
import { layoutSafetensors, openSafetensors } from "@unseen/core/checkpoint/safetensors.ts";
import type { FloatFormat, TensorLocation } from "@unseen/core/checkpoint/tensor.ts";
import { createFiles, writeAt } from "@unseen/core/checkpoint/writer.ts";

const COLUMNS = 256;

const metadata = new Map<string, GgufValue>([
  ["general.architecture", { type: "string", value: "llama" }],
  ["a.u8", { type: "u8", value: 200 }],
  ["a.i64", { type: "i64", value: -(2n ** 40n) }],
  ["a.f64", { type: "f64", value: 0.1 }],
  ["a.bool", { type: "bool", value: true }],
  ["a.strings", { type: "array", of: "string", value: ["", "▁x", "🙂"] }],
  ["a.floats", { type: "array", of: "f32", value: [0.5, -1] }],
]);

function write(directory: string): void {
  const stored = readFileSync(join(directory, "values.f64"));
  const values = new Float64Array(stored.buffer, stored.byteOffset, stored.length / 8);
  const shape = [values.length / COLUMNS, COLUMNS]; // (rows, columns)
  const tensors = (["BF16", "F32", "F16"] as const).map((format) => ({ name: `t.${format}`, format, shape }));

  const sharded = layoutSafetensors(tensors, { metadata: { format: "pt" }, maximumShardBytes: 6 * values.length });
  createFiles(directory, sharded.files);
  writeFileSync(join(directory, "model.safetensors.index.json"), JSON.stringify(sharded.index));
  fill(directory, sharded.locations.values(), values);

  const gguf = layoutGguf(metadata, [
    ...tensors,
    { name: "t.Q8_0", format: "Q8_0" as const, shape },
    { name: "t.cube", format: "F32" as const, shape: [2, shape[0]! / 2, COLUMNS] },
  ]);
  createFiles(directory, [{ name: "model.gguf", header: gguf.header, bytes: gguf.bytes }]);
  fill(
    directory,
    [...gguf.locations.values()].map((location) => ({ ...location, file: "model.gguf" })),
    values,
  );
}

function fill(directory: string, locations: Iterable<TensorLocation>, values: Float64Array): void {
  for (const { file, offset, bytes, format } of locations) {
    const encoded = new Uint8Array(bytes);
    encode(format as FloatFormat, values, encoded);
    writeAt(join(directory, file), offset, encoded);
  }
}

async function read(path: string): Promise<void> {
  const gguf = path.endsWith(".gguf") ? await openGguf(path) : null;
  const { tensors } = gguf ?? (await openSafetensors(path));
  const described = [...tensors.values()].map((tensor) => ({
    name: tensor.name,
    format: tensor.format,
    shape: tensor.shape,
    sha256: digest(tensor),
  }));
  const entries = [...(gguf?.metadata ?? [])].map(([key, entry]) => [
    key,
    entry.type === "array" ? `${entry.type} ${entry.of}` : entry.type,
    entry.value,
  ]);
  process.stdout.write(
    JSON.stringify({ tensors: described, metadata: entries }, (_, value: unknown) => (typeof value === "bigint" ? Number(value) : value)),
  );
}

function digest({ file, offset, bytes }: TensorLocation): string {
  const content = new Uint8Array(bytes);
  const descriptor = openSync(file, "r");
  readSync(descriptor, content, 0, bytes, offset);
  closeSync(descriptor);
  return createHash("sha256").update(content).digest("hex");
}

const [command, path] = process.argv.slice(2);
if (command === "write" && path) write(path);
else if (command === "read" && path) await read(path);
else throw new Error("usage: checkpoint.ts write|read PATH");
