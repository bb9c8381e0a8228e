/**
 * What a bundle holds of an encoder that was encrypted from its Hugging Face directory, besides the tokenizer.
 * @module
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { readImageSettings } from "@unseen/client/pictures/settings.ts";
import { isObject, type Json, type JsonObject } from "@unseen/core/blueprint/config.ts";
import { divideOutputs, encoderInterface, type EncoderUsage } from "@unseen/core/blueprint/encoder-interface.ts";
import { blueprintOf } from "@unseen/core/blueprint/families/index.ts";
import type { EncoderBlueprint } from "@unseen/core/blueprint/family.ts";
import type { ClientInterface, ImagePreprocessing, Pooling } from "@unseen/core/blueprint/interface.ts";
import { openModel, readJson } from "@unseen/core/blueprint/model.ts";
import type { ModelOutput } from "@unseen/core/blueprint/output.ts";
import { sentenceFiles } from "@unseen/core/blueprint/sentence-files.ts";
import type { Strength } from "@unseen/core/blueprint/spaces.ts";
import type { TransformResult } from "@unseen/core/blueprint/transform.ts";
import { UnseenError } from "@unseen/core/errors.ts";

/** How programs that prepare pictures are told to; it goes to the bundle as it is. */
const PREPROCESSOR_FILE = "preprocessor_config.json";

/** The blueprint of a model that is no decoder, or null. Throws `CHECKPOINT_*`, `FAMILY_*`. */
export async function encoderOf(source: string): Promise<EncoderBlueprint | null> {
  const blueprint = blueprintOf((await openModel(source)).config);
  return blueprint.kind === "encoder" ? blueprint : null;
}

/** The files of an encoder's bundle by name; none for a model that continues text. Throws as `encoderOf`. */
export async function encoderFiles(source: string, result: TransformResult): Promise<Record<string, Uint8Array | string>> {
  const blueprint = await encoderOf(source);
  if (!blueprint || !result.manifest) return {};
  const { strength } = result.manifest;
  const usage = await readUsage(source, blueprint, result.labels);
  const picture = blueprint.architecture.towers.some(({ input }) => input.kind === "patches");
  const preprocessor = picture ? await readFile(join(source, PREPROCESSOR_FILE)).catch(() => null) : null;
  return {
    ...endFiles(encoderInterface(blueprint, result.outputs, strength, usage), blueprint, result.outputs, strength),
    ...(preprocessor ? { [PREPROCESSOR_FILE]: preprocessor } : {}),
  };
}

/** The same for a model under a new key: what its former bundle says of its use stays. */
export function rekeyedFiles(former: ClientInterface, blueprint: EncoderBlueprint, result: TransformResult): Record<string, string> {
  const strength = result.manifest?.strength ?? "rotate";
  const { recipes } = divideOutputs(result.outputs, blueprint.architecture.head, strength);
  return endFiles({ ...former, outputs: recipes }, blueprint, result.outputs, strength);
}

function endFiles(
  ends: ClientInterface,
  { architecture }: EncoderBlueprint,
  outputs: readonly ModelOutput[],
  strength: Strength,
): Record<string, string> {
  const { others } = divideOutputs(outputs, architecture.head, strength);
  return {
    "interface.json": `${JSON.stringify(ends)}\n`,
    ...(others.length > 0 ? { "outputs.json": `${JSON.stringify(others)}\n` } : {}),
  };
}

async function readUsage(source: string, { architecture }: EncoderBlueprint, labels: readonly string[] | null): Promise<EncoderUsage> {
  const files = await sentenceFiles(source);
  const modules = files.get("modules.json") as readonly JsonObject[] | undefined;
  const pooling = [...files].find(([name]) => name.endsWith("/config.json"))?.[1];
  const limit = (files.get("sentence_bert_config.json") as JsonObject | undefined)?.["max_seq_length"];
  const input = architecture.towers.find((tower) => tower.input.kind === "patches")?.input;
  return {
    labels,
    pooling: poolingOf(pooling),
    embeds: modules !== undefined,
    // sentence-transformers lists its steps; without a list, vectors are meant to be compared by their angle.
    normalise: !modules || modules.some(({ type }) => String(type).endsWith(".Normalize")),
    maximumLength: typeof limit === "number" && Number.isSafeInteger(limit) && limit > 0 ? limit : null,
    image: input?.kind === "patches" ? await readImage(source, ["batch", input.channels, input.height, input.width]) : null,
  };
}

function poolingOf(config: Json | undefined): Pooling | null {
  if (!isObject(config)) return null;
  const mode = config["pooling_mode"];
  if (config["pooling_mode_cls_token"] === true || mode === "cls") return "cls";
  return config["pooling_mode_mean_tokens"] === true || mode === "mean" ? "mean" : null;
}

/** How pictures are prepared, where that can be followed; the program that runs the model has the file itself. */
async function readImage(source: string, shape: readonly (number | string)[]): Promise<ImagePreprocessing | null> {
  const preprocessor = await readJson(join(source, PREPROCESSOR_FILE));
  try {
    return preprocessor && readImageSettings(shape, { preprocessor, config: null });
  } catch (error) {
    if (UnseenError.isInstance(error) && error.code === "FAMILY_UNSUPPORTED_VALUE") return null;
    throw error;
  }
}
