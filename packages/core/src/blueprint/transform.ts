/**
 * Encrypts, rekeys and converts models: one streaming pass from files to files.
 * @module
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, dirname, join, resolve, sep } from "node:path";
import { formatBytes } from "../checkpoint/format.ts";
import { createFiles } from "../checkpoint/writer.ts";
import { UnseenError, explainSystemError } from "../errors.ts";
import type { JsonObject } from "./config.ts";
import { readExactly } from "./exact-json.ts";
import type { Blueprint, EncoderBlueprint } from "./family.ts";
import { blueprintOf, decoderOf } from "./families/index.ts";
import { layoutAsGguf, layoutAsSafetensors, placeJobs, writeCopy, writeLiteral } from "./file-layout.ts";
import { fingerprintOf, requireKey, requireVocabulary } from "./fingerprint.ts";
import { checkLlamaCpp } from "./gguf-limits.ts";
import { ggufArchitecture } from "./gguf-names.ts";
import { endOfGenerationIds } from "./gguf-special-ids.ts";
import { endOfSequenceIds, neutralLabels, sealConfig, sealGenerationConfig, singleId } from "./identifiers.ts";
import { modelCard } from "./model-card.ts";
import type { Manifest } from "./manifest.ts";
import { openModel, type Model } from "./model.ts";
import { modelOutputs, type ModelOutput } from "./output.ts";
import { OutputPlace } from "./output-place.ts";
import { planTransformation, type Plan } from "./plan.ts";
import { runJobs, weights } from "./pool.ts";
import { readAhead } from "./read-ahead.ts";
import { rekeyingOf, type PlacedJob, type WorkerContext } from "./run-job.ts";
import { sentenceFiles } from "./sentence-files.ts";
import type { Space } from "./space.ts";
import { Elements, vocabularyPermutation, type ModelKey } from "./spaces.ts";
import { ggufStorage, safetensorsStorage, type Precision, type Storage } from "./storage.ts";

export interface TransformOptions {
  /** Hugging Face directory or GGUF file. */
  readonly source: string;
  /** Directory to make, or a file ending in `.gguf`. */
  readonly output: string;
  /** Default: the format of the source. */
  readonly format?: "safetensors" | "gguf" | undefined;
  /** GGUF only: store matrices as Q8_0. */
  readonly quantize?: "q8_0" | undefined;
  /** Number format of the output's weights (default: that of the source). `f32` keeps rotated weights exact at twice the size. */
  readonly precision?: "f32" | "f16" | "bf16" | undefined;
  /** Default: the number of cores. */
  readonly threads?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called often, with weights done and in all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Called when all is written but the output has not got its name yet: what must exist beside it, or else neither. */
  readonly beforeCommit?: ((result: TransformResult) => Promise<void>) | undefined;
}

/** What a key owner must remember of an encrypted model; the ids are plain. */
export interface TransformResult {
  readonly output: string;
  /** null for a conversion without key. */
  readonly manifest: Manifest | null;
  readonly contextLength: number;
  readonly eosIds: readonly number[];
  readonly bosId: number | null;
  /** Of the token ids: `vocabularyPermutation(secret, vocabulary)` enciphers them. null for a model that takes none. */
  readonly vocabulary: Space | null;
  /** What the client deciphers, with `decipherOutput`. */
  readonly outputs: readonly ModelOutput[];
  /** Names of the classes by index, which the output does not hold; null without. */
  readonly labels: readonly string[] | null;
  readonly weights: number;
  readonly bytes: number;
  readonly seconds: number;
  /** A leftover of an interrupted run was found and removed. */
  readonly removedLeftover: boolean;
}

/**
 * Encrypts a plain model under a key. Throws `CHECKPOINT_*`, `FAMILY_*`, `OUTPUT_EXISTS`, `DISK_FULL`.
 *
 * @example
 * ```ts
 * const { manifest } = await encryptModel({ source: "story-llama", output: "story-llama-unseen", key: { secret, strength: "rotate" } });
 * ```
 */
export function encryptModel(options: TransformOptions & { key: ModelKey }): Promise<TransformResult> {
  return transformModel(options, null, options.key);
}

/**
 * Turns a model of key `from` into one of key `to` without its plaintext ever existing. Throws `KEY_WRONG` as well.
 *
 * `outputs` are those of the model's bundle. Without them the result lacks outputs that leave a norm (`OutputNorm`).
 */
export function rekeyModel(
  options: TransformOptions & { from: Uint8Array; to: ModelKey; outputs?: readonly ModelOutput[] | undefined },
): Promise<TransformResult> {
  return transformModel(options, options.from, options.to, options.outputs ?? null);
}

/** Writes another file format of a model as it is; needs no key, so a host can do it. */
export function convertModel(options: TransformOptions): Promise<TransformResult> {
  return transformModel(options, null, null);
}

async function transformModel(
  options: TransformOptions,
  fromSecret: Uint8Array | null,
  to: ModelKey | null,
  formerOutputs: readonly ModelOutput[] | null = null,
): Promise<TransformResult> {
  const started = performance.now();
  const model = await openModel(options.source);
  const blueprint = blueprintOf(model.config);
  const { architecture } = blueprint;
  const from = requireOrigin(model, blueprint, fromSecret, to);
  const form = outputForm(options, model);
  const context: WorkerContext = { from, to, layout: model.rotaryLayout };
  const rekeying = rekeyingOf(context);
  if (form.format === "gguf" && model.format !== "gguf") {
    const decoder = decoderOf(model.config).architecture;
    checkLlamaCpp(ggufArchitecture(decoder.family), model.config, decoder);
  }
  const storage = storageOf(form, model);
  const fold = to?.strength === "rotate" || from?.strength === "rotate";
  const plan = planTransformation({ model, blueprint, storage, rekeying, fold });
  const ids = idMaps(blueprint.vocabulary, from, to);
  if (blueprint.kind === "encoder") requireNewEnd(blueprint, ids.encipher);
  const besides = blueprint.kind === "encoder" && form.format === "safetensors" ? await sentenceFiles(model.path) : null;
  const { format, precision, quantize } = form;
  const manifest = to ? makeManifest(model, blueprint, to, { tied: plan.tied, format, precision, quantize }) : model.manifest;

  const place = new OutputPlace(form.path, form.single);
  try {
    const files =
      format === "gguf"
        ? layoutAsGguf(plan, model, decoderOf(model.config), manifest, ids.encipher, form.single ?? "model.gguf")
        : layoutAsSafetensors(plan, manifest);
    const bytes = files.files.reduce((sum, file) => sum + file.bytes, 0);
    place.reserve(bytes);
    createFiles(place.directory, files.files);
    for (const literal of [...plan.literals, ...files.literals]) writeLiteral(literal, files, place.directory);
    for (const copy of plan.copies) writeCopy(copy, files, place.directory);
    const placed = placeJobs(plan.jobs, files, place.directory, rekeying);
    const total = placed.reduce((sum, job) => sum + weights(job), 0);
    let share = 0;
    const sourceBytes = [...model.tensors.values()].reduce((sum, tensor) => sum + tensor.bytes, 0);
    const finished = new AbortController();
    const reading = readAhead(model.files, () => share * sourceBytes, finished.signal);
    try {
      await place.whileFlushing(() =>
        runJobs(placed, context, {
          threads: options.threads ?? affordableThreads(placed),
          signal: options.signal,
          onProgress: (done) => {
            share = done / total;
            options.onProgress?.(done, total);
          },
        }),
      );
    } finally {
      finished.abort();
      await reading;
    }
    if (format === "safetensors") await writeConfigs(place.directory, { model, blueprint, plan, encipher: ids.encipher, precision });
    for (const [name, content] of besides ?? []) writeBeside(place.directory, name, content);
    if (!form.single && manifest) writeText(join(place.directory, "README.md"), modelCard(manifest, blueprint, format));
    // Last, because it is what makes a directory a model.
    if (!form.single && manifest) writeText(join(place.directory, "unseen.json"), `${JSON.stringify(manifest, null, 2)}\n`);
    const eos = model.metadata ? endOfGenerationIds(model.metadata) : endOfSequenceIds(model.config, model.generationConfig);
    const bos = singleId(model.config, model.generationConfig, "bos_token_id");
    const result: TransformResult = {
      output: place.path,
      manifest,
      contextLength: architecture.maximumPositions,
      eosIds: eos.map(ids.decipher),
      bosId: bos === null ? null : ids.decipher(bos),
      vocabulary: blueprint.vocabulary,
      outputs: modelOutputs(blueprint.outputs, plan, from && new Elements(from, model.rotaryLayout), formerOutputs),
      labels: blueprint.kind === "encoder" ? blueprint.architecture.labels : null,
      weights: total,
      bytes,
      seconds: (performance.now() - started) / 1000,
      removedLeftover: place.removedLeftover,
    };
    await options.beforeCommit?.(result);
    place.commit();
    return result;
  } catch (error) {
    place.discard();
    throw error;
  }
}

/** What the options ask for, together with what the source is. */
interface OutputForm {
  /** Absolute. */
  readonly path: string;
  /** Name of the file, for output that is one file. */
  readonly single: string | null;
  readonly format: "safetensors" | "gguf";
  readonly precision: Precision | null;
  readonly quantize: "q8_0" | null;
}

/** Throws `USAGE` for options that contradict each other or the source. */
function outputForm(options: TransformOptions, model: Model): OutputForm {
  const path = resolve(options.output);
  const single = path.endsWith(".gguf") ? basename(path) : null;
  const format = options.format ?? (single ? "gguf" : model.format);
  const refuse = (message: string, hint: string): never => {
    throw new UnseenError("USAGE", message, { hint });
  };
  if (format === "safetensors" && single) refuse("a file ending in .gguf cannot hold safetensors.", "Give --out a directory.");
  if (format === "safetensors" && model.format === "gguf")
    refuse("a GGUF file cannot become a Hugging Face directory.", "Start from the Hugging Face directory of the same model.");
  if (options.quantize && format !== "gguf") refuse("--quantize needs the GGUF format.", "Add --format gguf.");
  if (options.quantize && options.precision) refuse("--quantize and --precision exclude each other.", "Choose one.");
  // Whoever uploads the one directory must not upload the other.
  if (!options.source.endsWith(".gguf") && path.startsWith(resolve(options.source) + sep))
    refuse(`--out ${options.output} lies inside the model that is read.`, "Choose a place outside of it.");
  const precision = (options.precision?.toUpperCase() as Precision | undefined) ?? null;
  return { path, single, format, precision, quantize: options.quantize ?? null };
}

function storageOf({ format, precision, quantize }: OutputForm, model: Model): Storage {
  if (format === "safetensors") return safetensorsStorage(model.storedGainOffset, precision);
  const { family, layers } = decoderOf(model.config).architecture;
  const experts = layers.find((layer) => layer.experts)?.experts?.count ?? 0;
  return ggufStorage(ggufArchitecture(family), experts, quantize ? "Q8_0" : precision);
}

/** The key that the model is under now, checked; null for a plain model or a conversion. */
function requireOrigin(model: Model, { architecture }: Blueprint, fromSecret: Uint8Array | null, to: ModelKey | null): ModelKey | null {
  if (fromSecret === null) {
    if (model.manifest && to) {
      throw new UnseenError("USAGE", `${model.path} is encrypted already.`, { hint: "`unseen rekey` moves it to another key." });
    }
    return null;
  }
  if (!model.manifest)
    throw new UnseenError("NOT_ENCRYPTED", `${model.path} is not an encrypted model.`, { hint: "Use `unseen encrypt`." });
  requireKey(model.manifest, fromSecret);
  requireVocabulary(model.manifest, architecture);
  return { secret: fromSecret, strength: model.manifest.strength };
}

function makeManifest(model: Model, blueprint: Blueprint, to: ModelKey, form: Parameters<typeof fingerprintOf>[2]): Manifest {
  return {
    scheme: "unseen-ee",
    version: 1,
    fingerprint: fingerprintOf(to, model, form),
    strength: to.strength,
    family: blueprint.architecture.family,
    vocabularySize: blueprint.architecture.vocabulary,
  };
}

/** `encipher`: ids as the source spells them to ids as the output spells them; `decipher`: to plain ones. */
function idMaps(
  vocabulary: Space | null,
  from: ModelKey | null,
  to: ModelKey | null,
): Record<"encipher" | "decipher", (id: number) => number> {
  const size = vocabulary?.size ?? 0;
  const forward = to && vocabulary && vocabularyPermutation(to.secret, vocabulary);
  const backward = from && new Uint32Array(size);
  if (from && backward && vocabulary) vocabularyPermutation(from.secret, vocabulary).forEach((cipher, plain) => (backward[cipher] = plain));
  const decipher = (id: number): number => {
    if (!Number.isSafeInteger(id) || id < 0 || id >= size) {
      throw new UnseenError("TOKEN_OUT_OF_RANGE", `the configuration names token id ${id}, but the vocabulary has ${size} entries.`, {
        hint: "Correct config.json or generation_config.json.",
      });
    }
    return backward ? (backward[id] as number) : id;
  };
  const encipher = (id: number): number => (forward ? (forward[decipher(id)] as number) : decipher(id));
  return { encipher, decipher };
}

/** `eos_token_id` by which `transformers` recognises an old CLIP configuration. */
const CLIP_LEGACY_END = 2;

const DTYPE_NAMES: Readonly<Record<Precision, string>> = { F32: "float32", F16: "float16", BF16: "bfloat16" };

/** CLIP with the id 2 for the end of a text means another rule; a key that moves the end there would invoke it. Throws `KEY_INVALID`. */
function requireNewEnd({ architecture }: EncoderBlueprint, encipher: (id: number) => number): void {
  if (architecture.endOfText === null || encipher(architecture.endOfText) !== CLIP_LEGACY_END) return;
  throw new UnseenError(
    "KEY_INVALID",
    `this key gives the token that ends a text the id ${CLIP_LEGACY_END}, which CLIP reads differently.`,
    {
      hint: "Use another key: `unseen key new NAME`. It happens to one key in as many as the vocabulary has ids.",
    },
  );
}

interface Configured {
  readonly model: Model;
  readonly blueprint: Blueprint;
  readonly plan: Plan;
  readonly encipher: (id: number) => number;
  readonly precision: Precision | null;
}

async function writeConfigs(directory: string, { model, blueprint, plan, encipher, precision }: Configured): Promise<void> {
  const config = (await readExactly(join(model.path, "config.json"))) ?? model.config;
  const write = (name: string, value: object): void => writeText(join(directory, name), `${JSON.stringify(value, null, 2)}\n`);
  const dtype = precision
    ? { dtype: DTYPE_NAMES[precision], ...("torch_dtype" in config ? { torch_dtype: DTYPE_NAMES[precision] } : {}) }
    : {};
  const generation = await readExactly(join(model.path, "generation_config.json"));
  if (blueprint.kind === "encoder") {
    write("config.json", sealConfig(blueprint.prepare?.(config) ?? config, encipher, { ...publicClasses(blueprint), ...dtype }));
    if (generation) write("generation_config.json", sealGenerationConfig(generation, encipher));
    return;
  }
  write("config.json", sealConfig(config, encipher, { tie_word_embeddings: plan.tied, ...dtype }));
  // Engines without a tokenizer take the stop ids from here alone.
  const eos = endOfSequenceIds(model.config, model.generationConfig);
  write(
    "generation_config.json",
    sealGenerationConfig(
      { ...(eos.length > 0 ? { eos_token_id: eos.length === 1 ? (eos[0] as number) : eos } : {}), ...generation },
      encipher,
    ),
  );
}

function publicClasses({ architecture }: EncoderBlueprint): JsonObject {
  return architecture.classes > 0 ? neutralLabels(architecture.classes) : {};
}

function writeBeside(directory: string, name: string, content: unknown): void {
  const file = join(directory, name);
  try {
    mkdirSync(dirname(file), { recursive: true });
  } catch (error) {
    throw explainSystemError(error, file);
  }
  writeText(file, `${JSON.stringify(content, null, 2)}\n`);
}

function writeText(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    throw explainSystemError(error, file);
  }
}

/** Bytes that all workers together may hold of matrices that have to be held whole. */
const HELD_BYTES = 4 * 2 ** 30;

/** All cores, unless the model's largest matrices, two copies of one for each worker, would not fit. */
function affordableThreads(jobs: readonly PlacedJob[]): number {
  const held = jobs.filter((placed) => placed.range === null);
  const largest = held.reduce((most, { job }) => Math.max(most, formatBytes(job.source.format, job.rows, job.columns)), 1);
  return Math.max(1, Math.min(availableParallelism(), Math.floor(HELD_BYTES / (2 * largest))));
}
