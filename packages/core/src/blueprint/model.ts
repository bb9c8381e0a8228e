/**
 * A model on disk, seen through one pair of glasses: Hugging Face names and fields, whatever the file
 * format; with what the format stores differently.
 * @module
 */
import { readdir, readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { openGguf, type GgufValue } from "../checkpoint/gguf.ts";
import { openSafetensors } from "../checkpoint/safetensors.ts";
import type { TensorLocation } from "../checkpoint/tensor.ts";
import { UnseenError } from "../errors.ts";
import { isObject, type JsonObject } from "./config.ts";
import { readGgufModel } from "./gguf-model.ts";
import { parseManifest, type Manifest } from "./manifest.ts";
import type { RotaryLayout } from "./spaces.ts";

/** Largest JSON file beside a model that is read (CWE-770). */
const MAXIMUM_JSON_BYTES = 64 << 20;

export interface Model {
  readonly path: string;
  readonly name: string;
  readonly format: "safetensors" | "gguf";
  /** As in `config.json`; synthesised from the metadata of a GGUF. */
  readonly config: JsonObject;
  readonly generationConfig: JsonObject | null;
  /** Absolute paths of the weight files, in order. */
  readonly files: readonly string[];
  /** By Hugging Face name. A GGUF's stacked experts appear one by one. */
  readonly tensors: ReadonlyMap<string, TensorLocation>;
  /** Tensors without any space that a key acts on, copied as they are: rotary frequency factors of a GGUF. By stored name. */
  readonly extras: ReadonlyMap<string, TensorLocation>;
  readonly rotaryLayout: RotaryLayout;
  /** GGUF stores Gemma's gains whole, Hugging Face less one. */
  readonly storedGainOffset: 0 | 1;
  /** GGUF stores GPT-2's `Conv1D` weights as (out, in). */
  readonly transposedConv1d: boolean;
  /** For `gguf`: everything else that the file says, written back unchanged or remapped. */
  readonly metadata: ReadonlyMap<string, GgufValue> | null;
  /** safetensors `__metadata__`. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly manifest: Manifest | null;
}

/** Opens a Hugging Face directory, a safetensors file's directory or a GGUF file. Reads headers only. Throws `CHECKPOINT_*`, `FAMILY_*`. */
export async function openModel(path: string): Promise<Model> {
  const information = await stat(path).catch(() => null);
  if (!information)
    throw new UnseenError("CHECKPOINT_NOT_FOUND", `${path} does not exist.`, {
      hint: "Give a model directory or a .gguf file; `unseen pull ORG/NAME` downloads one.",
    });
  if (information.isFile() && path.endsWith(".gguf")) return readGgufModel(path, await openGguf(path));
  if (!information.isDirectory()) {
    throw new UnseenError("CHECKPOINT_NOT_FOUND", `${path} is neither a model directory nor a .gguf or .onnx file.`, {
      hint: "Give the directory that holds config.json.",
    });
  }
  const config = await readJson(join(path, "config.json"));
  const files = config ? [] : (await readdir(path)).filter((name) => name.endsWith(".gguf"));
  if (files.length === 1) return openModel(join(path, files[0] as string));
  if (!config) {
    throw new UnseenError("CHECKPOINT_NOT_FOUND", `${path} has no config.json.`, {
      hint: "Give the directory that holds config.json and the safetensors files, or a .gguf file.",
    });
  }
  const checkpoint = await openSafetensors(path);
  return {
    path,
    name: basename(path),
    format: "safetensors",
    config,
    generationConfig: await readJson(join(path, "generation_config.json")),
    files: checkpoint.files,
    tensors: checkpoint.tensors,
    extras: new Map(),
    rotaryLayout: "half",
    storedGainOffset: String(config["model_type"]).startsWith("gemma") ? 1 : 0,
    transposedConv1d: false,
    metadata: null,
    annotations: checkpoint.metadata,
    manifest: parseManifest(await readJson(join(path, "unseen.json"))),
  };
}

/** Reads a JSON object; null where the file is absent. Throws `CHECKPOINT_MALFORMED`, `CHECKPOINT_TOO_LARGE`. */
export async function readJson(file: string): Promise<JsonObject | null> {
  const information = await stat(file).catch(() => null);
  if (!information) return null;
  if (information.size > MAXIMUM_JSON_BYTES)
    throw new UnseenError("CHECKPOINT_TOO_LARGE", `${basename(file)} is larger than ${MAXIMUM_JSON_BYTES} bytes.`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(await readFile(file, "utf8"));
  } catch (cause) {
    throw new UnseenError("CHECKPOINT_MALFORMED", `${basename(file)} is not valid JSON.`, { hint: "Download the file again.", cause });
  }
  if (!isObject(parsed as JsonObject)) throw new UnseenError("CHECKPOINT_MALFORMED", `${basename(file)} must hold a JSON object.`);
  return parsed as JsonObject;
}
