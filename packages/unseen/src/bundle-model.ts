/**
 * After encrypting or rekeying: writes what the key owner needs to talk to the model into the keyring directory.
 * @module
 */
import { readdir, readFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { bundleDirectory, loadBundle, loadBundleEnds, writeBundle, type Bundle, type BundleEnds } from "@unseen/client/bundle.ts";
import type { Home } from "@unseen/client/home.ts";
import { recordModel, type Key } from "@unseen/client/keyring.ts";
import { tokenizerFilesFromGguf } from "@unseen/client/tokenizer-from-gguf.ts";
import { isObject, type JsonObject } from "@unseen/core/blueprint/config.ts";
import { openModel, readJson } from "@unseen/core/blueprint/model.ts";
import type { TransformResult } from "@unseen/core/blueprint/transform.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { encoderFiles, encoderOf, rekeyedFiles } from "./encoder-bundle.ts";

const TOKENIZER_FILES = ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"];

export interface BundleSource {
  /** The plain model. */
  readonly source: string;
  readonly result: TransformResult;
  readonly key: Key;
  /** By which the user will ask for it. */
  readonly name: string;
  /** Where the tokenizer lies, if not with the model. */
  readonly tokenizer?: string | undefined;
}

/** Writes the bundle and notes the model in the key's record; says whether it can speak text. Throws `BUNDLE_INVALID`, `DISK_FULL`. */
export async function bundleModel(home: Home, input: BundleSource): Promise<{ bundle: Bundle; hasTokenizer: boolean }> {
  const { manifest } = input.result;
  if (!manifest) throw new UnseenError("INTERNAL", "a model without manifest cannot have a bundle.");
  const files = { ...(await tokenizerFiles(input)), ...(await encoderFiles(input.source, input.result)) };
  const bundle: Bundle = {
    version: 1,
    fingerprint: manifest.fingerprint,
    name: input.name,
    keyId: input.key.id,
    strength: manifest.strength,
    family: manifest.family,
    vocabularySize: manifest.vocabularySize,
    contextLength: input.result.contextLength,
    created: new Date().toISOString(),
    eosIds: [...input.result.eosIds],
    bosId: input.result.bosId,
    generation: generationDefaults(await readJson(join(input.tokenizer ?? input.source, "generation_config.json")).catch(() => null)),
  };
  await writeBundle(home, bundle, files);
  await recordModel(home, input.key, {
    fingerprint: manifest.fingerprint,
    strength: manifest.strength,
    name: input.name,
    created: bundle.created,
  });
  return { bundle, hasTokenizer: "tokenizer.json" in files };
}

async function tokenizerFiles(input: BundleSource): Promise<Record<string, Uint8Array | string>> {
  const directory = input.tokenizer ?? input.source;
  if (directory.endsWith(".gguf")) {
    const model = await openModel(directory);
    try {
      return { ...tokenizerFilesFromGguf(model.metadata ?? new Map()) };
    } catch (error) {
      if (UnseenError.isInstance(error) && error.code === "TOKENIZER_MISSING") return {};
      throw error;
    }
  }
  const entries = await Promise.all(
    TOKENIZER_FILES.map(async (name) => [name, await readFile(join(directory, name)).catch(() => null)] as const),
  );
  return Object.fromEntries(entries.filter((entry): entry is readonly [string, NonNullable<(typeof entry)[1]>] => entry[1] !== null));
}

function generationDefaults(config: JsonObject | null): Bundle["generation"] {
  if (!isObject(config ?? undefined) || config?.["do_sample"] !== true) return {};
  const number = (field: string): number | undefined => (typeof config[field] === "number" ? config[field] : undefined);
  const values = {
    temperature: number("temperature"),
    topP: number("top_p"),
    topK: number("top_k"),
    minP: number("min_p"),
    repetitionPenalty: number("repetition_penalty"),
  };
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

/** A bundle with what it says of its model's ends. */
export interface FormerBundle extends BundleEnds {
  readonly bundle: Bundle;
}

/** The bundle of a model that is about to be rekeyed; null where the keyring has none. Throws `BUNDLE_INVALID`. */
export async function formerBundle(home: Home, fingerprint: string): Promise<FormerBundle | null> {
  try {
    const bundle = await loadBundle(home, fingerprint);
    return { bundle, ...(await loadBundleEnds(home, bundle)) };
  } catch (error) {
    if (UnseenError.isInstance(error) && error.code === "BUNDLE_NOT_FOUND") return null;
    throw error;
  }
}

/** The bundle of a rekeyed model, made from that of its former key. Throws `BUNDLE_INVALID`, `DISK_FULL`. */
export async function moveBundle(
  home: Home,
  { bundle: old, ends }: FormerBundle,
  input: { readonly source: string; readonly result: TransformResult; readonly to: Key; readonly name: string | undefined },
): Promise<Bundle> {
  const { result, to, name } = input;
  if (!result.manifest) throw new UnseenError("INTERNAL", "a model without manifest cannot have a bundle.");
  const created = new Date().toISOString();
  const bundle = { ...old, fingerprint: result.manifest.fingerprint, keyId: to.id, name: name ?? old.name, created };
  const blueprint = ends && (await encoderOf(input.source));
  const { "outputs.json": _outputs, ...files } = await readBundleFiles(home, old.fingerprint);
  await writeBundle(home, bundle, { ...files, ...(blueprint ? rekeyedFiles(ends, blueprint, result) : {}) });
  await recordModel(home, to, { fingerprint: bundle.fingerprint, strength: bundle.strength, name: bundle.name, created });
  return bundle;
}

/** Every file of a bundle but `bundle.json`, by name. */
async function readBundleFiles(home: Home, fingerprint: string): Promise<Record<string, Uint8Array>> {
  const directory = bundleDirectory(home, fingerprint);
  const names = (await readdir(directory)).filter((name) => name !== "bundle.json" && !name.startsWith("."));
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await readFile(join(directory, name))] as const)));
}

/** The last part of a path without its extension: a model's default name. */
export function nameOf(path: string): string {
  const name = basename(path).replace(/\.(?:gguf|onnx)$/, "");
  if (name !== "model" || !path.endsWith(".onnx")) return name;
  // Exporters call every model so; its directory, or that above `onnx`, has the name.
  const directory = dirname(resolve(path));
  return basename(basename(directory) === "onnx" ? dirname(directory) : directory);
}
