/**
 * After encrypting an ONNX model: what its owner needs to talk to it goes into the keyring directory.
 * @module
 */
import { readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { writeBundle, type Bundle } from "@unseen/client/bundle.ts";
import type { Home } from "@unseen/client/home.ts";
import { recordModel, type Key } from "@unseen/client/keyring.ts";
import { readImageSettings } from "@unseen/client/pictures/settings.ts";
import { isObject, type Json, type JsonObject } from "@unseen/core/blueprint/config.ts";
import type { ClientInterface, Pooling, Task } from "@unseen/core/blueprint/interface.ts";
import { readJson } from "@unseen/core/blueprint/model.ts";
import type { OnnxResult } from "@unseen/core/blueprint/trace/encrypt.ts";
import { kindOfInput } from "@unseen/core/blueprint/trace/trace.ts";
import { openOnnx, type OnnxModel } from "@unseen/core/checkpoint/onnx.ts";

const TOKENIZER_FILES = ["tokenizer.json", "tokenizer_config.json"];
/** Under its name the stem lies in the bundle. */
const STEM_FILE = "stem.onnx";

/** What lies beside a model and says how it is used. */
export interface Surroundings {
  readonly config: JsonObject | null;
  readonly preprocessor: JsonObject | null;
  readonly pooling: Pooling | null;
  /** The model's vectors are compared at length 1. */
  readonly normalise: boolean;
  readonly maximumLength: number | null;
  readonly task: Task | undefined;
  readonly labels: readonly string[] | null;
  /** Directory of the tokenizer, where there is one. */
  readonly tokenizer: string | null;
}

/** Looks beside an ONNX file and one directory up, where exporters put the files that belong to it. */
export async function readSurroundings(source: string, tokenizer?: string): Promise<Surroundings> {
  const places = [...(tokenizer ? [tokenizer] : []), dirname(source), dirname(dirname(source))];
  const find = async (name: string): Promise<{ value: JsonObject; directory: string } | null> => {
    // Two levels up is somebody else's place unless this is its `onnx` directory.
    const near = basename(dirname(source)) === "onnx" ? places : places.slice(0, -1);
    for (const directory of near) {
      const value = await readJson(join(directory, name)).catch(() => null);
      if (value) return { value, directory };
    }
    return null;
  };
  const [config, preprocessor, sentence, pooling, tokens] = await Promise.all(
    ["config.json", "preprocessor_config.json", "sentence_bert_config.json", "1_Pooling/config.json", "tokenizer.json"].map(find),
  );
  const modules = config && (await readFile(join(config.directory, "modules.json"), "utf8").catch(() => null));
  const model = await openOnnx(source);
  const settings = config?.value ?? null;
  const limits = [sentence?.value["max_seq_length"], settings?.["max_position_embeddings"]].filter(
    (value) => typeof value === "number" && value > 0 && value < 1e6,
  );
  const architectures = Array.isArray(settings?.["architectures"]) ? settings["architectures"].join(" ") : "";
  return {
    config: settings,
    preprocessor: preprocessor?.value ?? null,
    pooling: poolingOf(pooling?.value ?? null),
    // sentence-transformers lists its steps; without a list, vectors are meant to be compared by their angle.
    normalise: !modules || modules.includes("Normalize"),
    maximumLength: limits.length > 0 ? Math.min(...(limits as number[])) - reservedPositions(settings) : null,
    task: /Classification/.test(architectures) ? "classification" : sentence || modules ? "embedding" : undefined,
    labels: labelsOf(settings, model),
    tokenizer: tokens?.directory ?? null,
  };
}

/** RoBERTa counts positions from behind the padding id. */
function reservedPositions(config: JsonObject | null): number {
  return /roberta|mpnet|camembert/.test(String(config?.["model_type"] ?? "")) ? 2 : 0;
}

function poolingOf(config: JsonObject | null): Pooling | null {
  if (config?.["pooling_mode_cls_token"] === true) return "cls";
  if (config?.["pooling_mode_mean_tokens"] === true) return "mean";
  return null;
}

/** Class names by index: `id2label` of the configuration, or `class_names` of the file's own metadata. */
function labelsOf(config: JsonObject | null, model: OnnxModel): string[] | null {
  const map = config?.["id2label"];
  if (isObject(map)) {
    const count = Object.keys(map).length;
    const labels = Array.from({ length: count }, (_, i) => map[String(i)]);
    if (labels.every((label) => typeof label === "string")) return labels as string[];
  }
  try {
    const names = JSON.parse(model.metadata.get("class_names") ?? "null") as Json;
    return Array.isArray(names) && names.every((name) => typeof name === "string") ? (names as string[]) : null;
  } catch {
    return null;
  }
}

export interface OnnxBundleSource {
  readonly source: string;
  readonly result: OnnxResult;
  readonly surroundings: Surroundings;
  readonly key: Key;
  readonly name: string;
}

/** Writes the bundle and notes the model in the key's record. Throws `BUNDLE_INVALID`, `DISK_FULL`. */
export async function bundleOnnx(home: Home, input: OnnxBundleSource): Promise<{ bundle: Bundle; hasTokenizer: boolean }> {
  const { result, surroundings, key } = input;
  const { manifest, clientInterface, stem } = result;
  const model = await openOnnx(input.source);
  const picture = model.graph.inputs.find((info) => kindOfInput(info) === "tensor");
  const ends: ClientInterface = {
    ...clientInterface,
    stem: stem ? { file: STEM_FILE } : null,
    normalise: surroundings.normalise,
    labels: surroundings.labels,
    image: picture?.shape
      ? readImageSettings(
          picture.shape.map((size) => size ?? "size"),
          surroundings,
        )
      : null,
  };
  const files: Record<string, Uint8Array | string> = {
    "interface.json": `${JSON.stringify(ends)}\n`,
    ...(stem ? { [STEM_FILE]: stem } : {}),
  };
  for (const name of surroundings.tokenizer ? TOKENIZER_FILES : []) {
    const content = await readFile(join(surroundings.tokenizer as string, name)).catch(() => null);
    if (content) files[name] = content;
  }
  const bundle: Bundle = {
    version: 1,
    fingerprint: manifest.fingerprint,
    name: input.name,
    keyId: key.id,
    strength: manifest.strength,
    family: manifest.family,
    vocabularySize: manifest.vocabularySize,
    contextLength: clientInterface.maximumLength ?? 0,
    created: new Date().toISOString(),
    eosIds: [],
    bosId: null,
    generation: {},
  };
  await writeBundle(home, bundle, files);
  await recordModel(home, key, {
    fingerprint: manifest.fingerprint,
    strength: manifest.strength,
    name: input.name,
    created: bundle.created,
  });
  return { bundle, hasTokenizer: "tokenizer.json" in files };
}
