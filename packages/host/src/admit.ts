/**
 * Decides what may be served: an encrypted model, whole. A blind server that takes plain models by mistake would not be blind.
 * @module
 */
import { existsSync } from "node:fs";
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { encoders } from "@unseen/core/blueprint/families/index.ts";
import { endOfGenerationIds } from "@unseen/core/blueprint/gguf-special-ids.ts";
import { parseManifest, type Manifest } from "@unseen/core/blueprint/manifest.ts";
import { readJson } from "@unseen/core/blueprint/model.ts";
import { openGguf, type GgufValue } from "@unseen/core/checkpoint/gguf.ts";
import { openOnnx } from "@unseen/core/checkpoint/onnx.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { readEnds, type ModelEnds } from "./encoder/ends.ts";

/** A model that may be served. */
export interface AdmittedModel {
  /** The given path, absolute: a GGUF or ONNX file, or a Hugging Face directory that must be converted first. */
  readonly path: string;
  readonly kind: "gguf" | "onnx" | "directory";
  /** What the model says about its encryption; null only for plain models that were admitted as such. */
  readonly manifest: Manifest | null;
  /** Inputs and outputs of an ONNX model. */
  readonly ends?: ModelEnds;
}

/** Everything the server must know of a GGUF file. */
export interface ServableModel {
  readonly file: string;
  readonly manifest: Manifest | null;
  readonly vocabularySize: number;
  /** Positions that the model was trained for. */
  readonly trainedContext: number;
  /** Ids that end an answer; may be empty. */
  readonly eosIds: readonly number[];
}

/**
 * Looks at a path and its headers, nothing more.
 * @throws UnseenError `CHECKPOINT_NOT_FOUND`, `CHECKPOINT_INCOMPLETE`, `CHECKPOINT_MALFORMED`, `NOT_ENCRYPTED`; `USAGE` for a directory that holds an encoder
 */
export async function admitModel(path: string, { plain = false }: { plain?: boolean } = {}): Promise<AdmittedModel> {
  const absolute = resolve(path);
  // The path may pass through the leftover: /models/story.partial/model.gguf.
  if (absolute.split("/").some((part) => part.endsWith(".partial"))) throw incomplete(path);
  const information = await stat(absolute).catch(() => null);
  if (!information) {
    if (existsSync(`${absolute}.partial`)) throw incomplete(path);
    throw new UnseenError("CHECKPOINT_NOT_FOUND", `${path} does not exist.`, {
      hint: "Give the output of `unseen encrypt`: a directory, a .gguf file or an .onnx file.",
    });
  }
  if (information.isDirectory()) return admitDirectory(absolute, plain);
  if (absolute.endsWith(".onnx")) return admitOnnx(absolute, plain);
  if (!absolute.endsWith(".gguf")) {
    throw new UnseenError("CHECKPOINT_NOT_FOUND", `${path} is neither a model directory nor a .gguf or .onnx file.`, {
      hint: "Give the directory that holds config.json.",
    });
  }
  const manifest = manifestOf((await openGguf(absolute)).metadata);
  requireEncrypted(manifest, path, plain);
  return { path: absolute, kind: "gguf", manifest };
}

/**
 * A GGUF file for llama.cpp. A directory is converted once, without any key, and kept in the cache under its fingerprint.
 * @throws UnseenError `CHECKPOINT_*`, `FAMILY_*`, `NOT_ENCRYPTED`, `DISK_FULL`
 */
export async function prepareModel(
  model: AdmittedModel,
  { home = unseenHome(), threads = 1 }: { home?: string; threads?: number } = {},
): Promise<ServableModel> {
  const file = model.kind === "gguf" ? model.path : await convert(model, home, threads);
  const { metadata, tensors } = await openGguf(file);
  const embedding = tensors.get("token_embd.weight");
  const vocabularySize = embedding?.shape[0] ?? 0;
  if (vocabularySize === 0)
    throw new UnseenError("CHECKPOINT_MISSING_TENSOR", `${basename(file)} has no token_embd.weight.`, {
      hint: "Only language models can be served.",
    });
  if (model.manifest && model.manifest.vocabularySize !== vocabularySize) {
    throw new UnseenError(
      "CHECKPOINT_WRONG_SHAPE",
      `${basename(file)}: expected ${model.manifest.vocabularySize} embedding rows, got ${vocabularySize}.`,
      {
        hint: "Encrypt the model again.",
      },
    );
  }
  const context = metadata.get(`${String(metadata.get("general.architecture")?.value)}.context_length`)?.value;
  if (typeof context !== "number" || !Number.isSafeInteger(context) || context < 1) {
    throw new UnseenError("CHECKPOINT_MALFORMED", `${basename(file)} names no context length.`, { hint: "Convert the model again." });
  }
  // llama.cpp counts rows of the vocabulary, not of the embedding; ids beyond either must never reach it.
  const tokens = metadata.get("tokenizer.ggml.tokens")?.value;
  const servable = Array.isArray(tokens) ? Math.min(vocabularySize, tokens.length) : vocabularySize;
  const eosIds = endOfGenerationIds(metadata).filter((id) => Number.isSafeInteger(id) && id >= 0 && id < servable);
  return { file, manifest: model.manifest, vocabularySize: servable, trainedContext: context, eosIds };
}

async function admitDirectory(directory: string, plain: boolean): Promise<AdmittedModel> {
  const names = await readdir(directory);
  if (names.some((name) => name.endsWith(".partial"))) throw incomplete(directory);
  const manifest = parseManifest(await readJson(join(directory, "unseen.json")));
  const files = names.filter((name) => name.endsWith(".gguf") || name.endsWith(".onnx"));
  const [only] = files;
  if (files.length === 1 && only && !names.includes("config.json")) {
    const inner = await admitModel(join(directory, only), { plain });
    if (manifest && inner.manifest?.fingerprint !== manifest.fingerprint) {
      throw new UnseenError("CHECKPOINT_MALFORMED", `${directory}: unseen.json and ${only} name different models.`, {
        hint: "Copy the encrypted model again, whole.",
      });
    }
    return inner;
  }
  requireEncrypted(manifest, directory, plain);
  if (!names.includes("config.json")) {
    throw new UnseenError("CHECKPOINT_NOT_FOUND", `${directory} has no config.json.`, {
      hint: "Give the whole output of `unseen encrypt`.",
    });
  }
  const family = (await readJson(join(directory, "config.json")))?.["model_type"];
  if (encoders.some(({ types }) => types.includes(String(family)))) {
    throw new UnseenError("USAGE", `${directory} holds an encoder (${String(family)}) as safetensors, which llama.cpp does not run.`, {
      hint: "To serve it, encrypt its ONNX export; or load this directory with transformers, between `unseen encipher` and `unseen decipher`.",
    });
  }
  return { path: directory, kind: "directory", manifest };
}

async function admitOnnx(path: string, plain: boolean): Promise<AdmittedModel> {
  const model = await openOnnx(path);
  const field = (name: string): string | undefined => model.metadata.get(`unseen.${name}`);
  const scheme = field("scheme");
  if (scheme === undefined) {
    requireEncrypted(null, path, plain);
    return { path, kind: "onnx", manifest: null, ends: readEnds(model, null) };
  }
  const manifest = parseManifest({
    scheme,
    version: Number(field("version")),
    fingerprint: field("fingerprint") ?? null,
    strength: field("strength") ?? null,
    family: field("family") ?? null,
    vocabularySize: Number(field("vocabulary_size")),
  });
  return { path, kind: "onnx", manifest, ends: readEnds(model, field("interface") ?? "") };
}

async function convert(model: AdmittedModel, home: string, threads: number): Promise<string> {
  // Only a manifest's fingerprint, which parseManifest has checked to be 32 hexadecimal digits, may name a file (CWE-22).
  if (!model.manifest) {
    throw new UnseenError("NOT_ENCRYPTED", `${model.path} is a plain directory.`, {
      hint: "Plain models are served from a .gguf file only.",
    });
  }
  const file = join(home, "cache", "gguf", `${model.manifest.fingerprint}.gguf`);
  if (existsSync(file)) {
    const cached = manifestOf((await openGguf(file)).metadata);
    if (cached?.fingerprint === model.manifest.fingerprint && (await isNewer(file, model.path))) return file;
    await rm(file);
  }
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const { convertToGguf } = await import("@unseen/core/blueprint/convert.ts");
  await convertToGguf(model.path, file, { threads });
  return file;
}

/** Whether the cached file was made after every file of the directory. */
async function isNewer(file: string, directory: string): Promise<boolean> {
  const made = (await stat(file)).mtimeMs;
  const names = await readdir(directory);
  const times = await Promise.all(names.map(async (name) => (await stat(join(directory, name))).mtimeMs));
  return times.every((time) => time <= made);
}

function manifestOf(metadata: ReadonlyMap<string, GgufValue>): Manifest | null {
  const scheme = metadata.get("unseen.scheme")?.value;
  if (typeof scheme !== "string") return null;
  const field = (name: string): unknown => metadata.get(`unseen.${name}`)?.value;
  const version = field("version");
  const vocabularySize = field("vocabulary_size");
  return parseManifest({
    scheme,
    version: typeof version === "number" ? version : null,
    fingerprint: String(field("fingerprint")),
    strength: String(field("strength")),
    family: String(field("family")),
    vocabularySize: typeof vocabularySize === "number" ? vocabularySize : null,
  });
}

function requireEncrypted(manifest: Manifest | null, path: string, plain: boolean): void {
  if (manifest || plain) return;
  throw new UnseenError("NOT_ENCRYPTED", `${path} is not an encrypted model: it has no unseen.json and no unseen.* metadata.`, {
    hint: "Encrypt it first with `unseen encrypt`, or pass --plain to serve it without protection.",
  });
}

function incomplete(path: string): UnseenError {
  return new UnseenError("CHECKPOINT_INCOMPLETE", `${path} was left behind by an interrupted command.`, {
    hint: "Run `unseen encrypt` again; it cleans up and starts over.",
  });
}

function unseenHome(): string {
  return process.env["UNSEEN_HOME"] ?? join(homedir(), ".unseen");
}
