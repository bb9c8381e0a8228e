/**
 * The files that sentence-transformers puts around an encoder: how one vector is made of many. They hold no word, so that
 * the public ones go to the output; prompts, and all that is not listed here, stay behind.
 * @module
 */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { quote } from "../checkpoint/checks.ts";
import { UnseenError } from "../errors.ts";
import { isObject, type Json, type JsonObject } from "./config.ts";
import { readJson } from "./model.ts";

/** Modules whose work commutes with the stream's permutation, sign or rotation; by the last part of their type. */
const MODULES: readonly string[] = ["Transformer", "Pooling", "Normalize"];

/** Most modules of a list, and largest list in bytes (CWE-770). */
const MAXIMUM_MODULES = 16;
const MAXIMUM_BYTES = 1 << 20;

const POOLING_FIELDS =
  /^(word_embedding_dimension|embedding_dimension|include_prompt|pooling_mode|pooling_mode_(cls_token|mean_tokens|mean_sqrt_len_tokens|weightedmean_tokens|lasttoken))$/;
const TRANSFORMER_FIELDS = /^(max_seq_length|do_lower_case)$/;

/**
 * Names and contents of the files to publish; none for a directory without `modules.json`.
 * Throws `FAMILY_UNSUPPORTED_VALUE` for a module that has no known transformation.
 */
export async function sentenceFiles(directory: string): Promise<ReadonlyMap<string, Json>> {
  const modules = await readModules(join(directory, "modules.json"));
  const files = new Map<string, Json>();
  if (!modules) return files;
  files.set(
    "modules.json",
    modules.map(({ type, path }, index) => ({ idx: index, name: String(index), path, type })),
  );
  for (const { kind, path: name } of modules) {
    if (kind !== "Pooling") continue;
    const pooling = await readJson(join(directory, name, "config.json"));
    if (!pooling) throw refusal(`${name}/config.json is missing`, "Download the model again.");
    // The largest of negated numbers is not the negated largest.
    if (pooling["pooling_mode_max_tokens"] === true || pooling["pooling_mode"] === "max")
      throw refusal(`${name}/config.json asks for max pooling`, "Use mean or cls pooling.");
    files.set(`${name}/config.json`, pick(pooling, POOLING_FIELDS));
  }
  const transformer = await readJson(join(directory, "sentence_bert_config.json"));
  if (transformer) files.set("sentence_bert_config.json", pick(transformer, TRANSFORMER_FIELDS));
  return files;
}

interface Module {
  readonly kind: string;
  readonly type: string;
  /** A directory beside `modules.json`; empty for the one that holds it. */
  readonly path: string;
}

async function readModules(file: string): Promise<readonly Module[] | null> {
  const information = await stat(file).catch(() => null);
  if (!information) return null;
  if (information.size > MAXIMUM_BYTES) throw new UnseenError("CHECKPOINT_TOO_LARGE", "modules.json is larger than a list of modules is.");
  let parsed: unknown = null;
  try {
    parsed = JSON.parse(await readFile(file, "utf8"));
  } catch {
    // reported below, like everything that is no list
  }
  if (Array.isArray(parsed) && parsed.length <= MAXIMUM_MODULES && parsed.every((module) => isObject(module as Json)))
    return (parsed as JsonObject[]).map(readModule);
  throw new UnseenError("CHECKPOINT_MALFORMED", "modules.json must list the modules of a sentence-transformers model.", {
    hint: "Download the file again.",
  });
}

function readModule({ type, path }: JsonObject): Module {
  // The whole name is checked, because it is published.
  const kind = /^sentence_transformers(?:\.\w+){0,8}\.(\w+)$/.exec(String(type))?.[1] ?? "";
  if (!MODULES.includes(kind))
    throw refusal(`modules.json lists a module ${quote(String(type))}`, "It changes the vectors in an unknown way.");
  // A pooling's file has the name of the model's own configuration, so it must lie elsewhere.
  if (!/^[\w-]{0,64}$/.test(String(path)) || (kind === "Pooling" && path === ""))
    throw refusal(`modules.json names the path ${quote(String(path))}`, "It must be a directory beside it.");
  return { kind, type: String(type), path: String(path) };
}

function pick(config: JsonObject, fields: RegExp): JsonObject {
  return Object.fromEntries(Object.entries(config).filter(([field]) => fields.test(field)));
}

function refusal(what: string, why: string): UnseenError {
  return new UnseenError("FAMILY_UNSUPPORTED_VALUE", `${what}, which has no known transformation.`, {
    hint: `${why} Or export the whole to ONNX.`,
  });
}
