/**
 * A changed copy of a plain checkpoint, in float32: what a defence makes before it encrypts.
 * @module
 */
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { JsonObject } from "@unseen/core/blueprint/config.ts";
import { readExactly } from "@unseen/core/blueprint/exact-json.ts";
import { blueprintOf, decoderOf } from "@unseen/core/blueprint/families/index.ts";
import { openModel, type Model } from "@unseen/core/blueprint/model.ts";
import { readTensor, weightsOf } from "@unseen/core/blueprint/read-tensor.ts";
import { encode, formatBytes, isFloatFormat } from "@unseen/core/checkpoint/format.ts";
import { openFile } from "@unseen/core/checkpoint/open-file.ts";
import { layoutSafetensors } from "@unseen/core/checkpoint/safetensors.ts";
import type { TensorLocation } from "@unseen/core/checkpoint/tensor.ts";
import { createFiles, writeAt } from "@unseen/core/checkpoint/writer.ts";
import { UnseenError, explainSystemError } from "@unseen/core/errors.ts";

/** Most weights of a model that is changed: tensors are held whole, and every dial value writes all of them once a key (CWE-770). */
export const MAXIMUM_WEIGHTS = 300_000_000;

/** One tensor of the copy. */
export interface CopiedTensor {
  /** As the file calls it. */
  readonly name: string;
  /** As the family's table calls it. */
  readonly role: string;
  readonly from: TensorLocation;
  readonly shape: readonly number[];
  /** Its numbers, made of the stored ones, which may be overwritten; absent: as they are. */
  readonly change?: (stored: Float64Array) => Float64Array;
}

/**
 * Opens a plain model that a defence can change.
 *
 * @throws UnseenError `USAGE` for one that is no decoder in a directory, is encrypted, or has more than {@link MAXIMUM_WEIGHTS} weights;
 *   `CHECKPOINT_*`, `FAMILY_*`
 */
export async function openChangeable(path: string): Promise<Model> {
  const refuse = (what: string, hint: string): UnseenError =>
    new UnseenError("USAGE", `defences are measured on a plain decoder in a directory, but ${basename(path)} ${what}.`, { hint });
  if (path.endsWith(".onnx")) throw refuse("is an ONNX file", "Give the Hugging Face directory of a model that generates text.");
  const model = await openModel(path);
  if (model.format === "gguf") throw refuse("is a GGUF file", "Give the Hugging Face directory of the same model.");
  if (model.manifest) throw refuse("is encrypted", "Give the model that it was made from.");
  if (blueprintOf(model.config).kind === "encoder") throw refuse("is an encoder", "Give a model that generates text.");
  const weights = [...model.tensors.values()].reduce((sum, tensor) => sum + weightsOf(tensor), 0);
  if (weights > MAXIMUM_WEIGHTS)
    throw refuse(`has ${weights} weights, more than ${MAXIMUM_WEIGHTS}`, "Measure a smaller model of the same family.");
  return model;
}

/** The tensors of a decoder, none changed; the head of tied weights is left out where the file repeats it. Throws `FAMILY_*`. */
export function tensorsOf(model: Model): CopiedTensor[] {
  const { aliases, architecture, head } = decoderOf(model.config);
  return [...model.tensors.values()]
    .map((from) => ({ name: from.name, role: aliases?.(from.name) ?? from.name, from, shape: from.shape }))
    .filter(({ role }) => !(architecture.tied && role === head));
}

/**
 * Writes a directory that `openModel` reads: floats as F32, everything else as it is, `config.json` with the fields of `config` laid over.
 * Throws `CHECKPOINT_*`, `DISK_FULL`, `PERMISSION_DENIED`.
 */
export async function writeCheckpoint(
  directory: string,
  model: Model,
  tensors: readonly CopiedTensor[],
  config: JsonObject,
): Promise<void> {
  const stored = await readExactly(join(model.path, "config.json"));
  const layout = layoutSafetensors(
    tensors.map(({ name, from, shape }) => ({ name, format: isFloatFormat(from.format) ? "F32" : from.format, shape })),
    { metadata: { format: "pt" }, maximumShardBytes: Infinity },
  );
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    writeFileSync(join(directory, "config.json"), JSON.stringify({ ...stored, ...config, dtype: "float32" }));
    const generation = join(model.path, "generation_config.json");
    if (existsSync(generation)) copyFileSync(generation, join(directory, "generation_config.json"));
  } catch (error) {
    throw explainSystemError(error, directory);
  }
  createFiles(directory, layout.files);
  for (const { name, from, change } of tensors) {
    const { file, offset } = layout.locations.get(name) as TensorLocation;
    writeAt(join(directory, file), offset, isFloatFormat(from.format) ? numbers(from, change) : bytesOf(from));
  }
}

function numbers(from: TensorLocation, change: CopiedTensor["change"]): Uint8Array {
  const stored = readTensor(from, new Float64Array(weightsOf(from)));
  const values = change ? change(stored) : stored;
  const bytes = new Uint8Array(formatBytes("F32", 1, values.length));
  encode("F32", values, bytes);
  return bytes;
}

function bytesOf(from: TensorLocation): Uint8Array {
  const bytes = new Uint8Array(from.bytes);
  const file = openFile(from.file);
  try {
    file.read(from.offset, bytes);
  } finally {
    file.close();
  }
  return bytes;
}
