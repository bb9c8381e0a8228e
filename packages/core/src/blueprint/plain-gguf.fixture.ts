/**
 * For tests: a Hugging Face checkpoint in F32 as a GGUF without encryption, converted in memory and in
 * the plainest way, so that names and metadata can be tried on llama.cpp itself.
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { layoutGguf, type GgufValue } from "../checkpoint/gguf.ts";
import { openSafetensors } from "../checkpoint/safetensors.ts";
import type { TensorLocation } from "../checkpoint/tensor.ts";
import type { Architecture } from "./architecture.ts";
import type { JsonObject } from "./config.ts";
import { decoderOf } from "./families/index.ts";
import { extraTensors, ggufMetadata, placeholderVocabulary } from "./gguf-metadata.ts";
import { ggufArchitecture, ggufPlace, ggufRotaryLayout } from "./gguf-names.ts";

/** A tensor in memory. */
export interface Values {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** What a converted model is to be compared with. */
export interface Converted {
  readonly architecture: Architecture;
  readonly metadata: ReadonlyMap<string, GgufValue>;
}

/** The bytes of an F32 tensor. */
export function readValues({ file, offset, bytes, shape }: TensorLocation): Values {
  const copy = Uint8Array.from(readFileSync(file).subarray(offset, offset + bytes));
  return { shape, values: new Float32Array(copy.buffer) };
}

export function readConfigFile(directory: string): JsonObject {
  return JSON.parse(readFileSync(join(directory, "config.json"), "utf8")) as JsonObject;
}

/** Between Hugging Face's form of a tensor and llama.cpp's; its own inverse where told to go back. */
export function rearrange(name: string, tensor: Values, a: Architecture, direction: "to" | "from"): Values {
  const architecture = ggufArchitecture(a.family);
  let { values } = tensor;
  let shape = [...tensor.shape];
  if (/\.[qk]_proj\./.test(name) && ggufRotaryLayout(architecture) === "interleaved") {
    const columns = shape[1] ?? 1;
    const result = new Float32Array(values.length);
    for (let row = 0; row < (shape[0] as number); row += 1) {
      const inHead = row % a.headSize;
      const half = a.headSize / 2;
      const other = row - inHead + (inHead < half ? 2 * inHead : 2 * (inHead - half) + 1);
      const [source, target] = direction === "to" ? [row, other] : [other, row];
      result.set(values.subarray(source * columns, (source + 1) * columns), target * columns);
    }
    values = result;
  }
  if (a.norm.gainOffset === 1 && name.endsWith("norm.weight")) values = values.map((value) => value + (direction === "to" ? 1 : -1));
  if (architecture === "gpt2" && /\.c_\w+\.weight$/.test(name)) {
    const [rows, columns] = shape as [number, number];
    values = values.map((_, index) => tensor.values[(index % rows) * columns + Math.floor(index / rows)] as number);
    shape = [columns, rows];
  }
  return { shape, values };
}

/** Writes the model in `directory` to `file`, ids as they are. */
export async function writePlainGguf(directory: string, file: string, eos: readonly number[] = []): Promise<Converted> {
  const config = readConfigFile(directory);
  const { architecture: a } = decoderOf(config);
  const architecture = ggufArchitecture(a.family);
  const metadata = ggufMetadata(config, a, { name: "plain", format: "F32" });
  for (const [key, value] of placeholderVocabulary(a.vocabulary, { eos, bos: 1, pad: null })) metadata.set(key, value);
  const outputs = new Map<string, Values>();
  for (const [name, location] of (await openSafetensors(directory)).tensors) {
    if (name === "lm_head.weight" && a.tied) continue;
    const place = ggufPlace(architecture, name);
    if (!place) throw new Error(`${architecture} has no place for ${name}`);
    const tensor = rearrange(name, readValues(location), a, "to");
    if (place.expert === undefined) {
      outputs.set(place.name, tensor);
      continue;
    }
    const count = a.layers[0]?.experts?.count ?? 0;
    const stack = outputs.get(place.name) ?? { shape: [count, ...tensor.shape], values: new Float32Array(count * tensor.values.length) };
    stack.values.set(tensor.values, place.expert * tensor.values.length);
    outputs.set(place.name, stack);
  }
  for (const { name, shape, values } of extraTensors(a)) outputs.set(name, { shape, values: Float32Array.from(values) });
  writeGguf(file, metadata, outputs);
  return { architecture: a, metadata };
}

/** Writes a GGUF of F32 tensors. */
export function writeGguf(file: string, metadata: Map<string, GgufValue>, tensors: ReadonlyMap<string, Values>): void {
  const layout = layoutGguf(
    metadata,
    [...tensors].map(([name, { shape }]) => ({ name, shape, format: "F32" as const })),
  );
  const bytes = Buffer.alloc(layout.bytes);
  bytes.set(layout.header);
  for (const [name, { values }] of tensors) {
    bytes.set(
      new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
      (layout.locations.get(name) as { offset: number }).offset,
    );
  }
  writeFileSync(file, bytes);
}
