/**
 * Encrypts, rekeys and converts models: one streaming pass from files to files.
 * @module
 */
import { writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";
import { encode, formatBytes } from "../checkpoint/format.ts";
import { layoutGguf, type GgufValue } from "../checkpoint/gguf.ts";
import { layoutSafetensors } from "../checkpoint/safetensors.ts";
import { createFiles, writeAt } from "../checkpoint/writer.ts";
import { UnseenError, explainSystemError } from "../errors.ts";
import { readExactly } from "./exact-json.ts";
import type { Blueprint } from "./family.ts";
import { blueprintOf } from "./families/index.ts";
import { fingerprintOf, requireKey } from "./fingerprint.ts";
import { extraTensors, ggufMetadata, placeholderVocabulary, sealGgufMetadata, statedFormat } from "./gguf-metadata.ts";
import { ggufArchitecture } from "./gguf-names.ts";
import { endOfGenerationIds } from "./gguf-special-ids.ts";
import { endOfSequenceIds, sealConfig, sealGenerationConfig, singleId } from "./identifiers.ts";
import { modelCard } from "./model-card.ts";
import { openModel, type Manifest, type Model } from "./model.ts";
import { OutputPlace } from "./output-place.ts";
import { planTransformation, readVector, type Job, type Literal, type Plan } from "./plan.ts";
import { runJobs, weights } from "./pool.ts";
import { rekeyingOf, rewriteOf, type PlacedJob, type WorkerContext } from "./run-job.ts";
import type { ModelKey } from "./spaces.ts";
import { vocabularyPermutation } from "./spaces.ts";
import { ggufStorage, safetensorsStorage, type OutputTensor, type Precision } from "./storage.ts";

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
}

/** What a key owner must remember of an encrypted model; the ids are plain. */
export interface TransformResult {
  readonly output: string;
  /** null for a conversion without key. */
  readonly manifest: Manifest | null;
  readonly contextLength: number;
  readonly eosIds: readonly number[];
  readonly bosId: number | null;
  readonly weights: number;
  readonly bytes: number;
  readonly seconds: number;
  /** A leftover of an interrupted run was found and removed. */
  readonly removedLeftover: boolean;
}

/** Ranges of about this many weights are dealt to workers. */
const RANGE_WEIGHTS = 16 << 20;

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

/** Turns a model of key `from` into one of key `to` without its plaintext ever existing. Throws `KEY_WRONG` as well. */
export function rekeyModel(options: TransformOptions & { from: Uint8Array; to: ModelKey }): Promise<TransformResult> {
  return transformModel(options, options.from, options.to);
}

/** Writes another file format of a model as it is; needs no key, so a host can do it. */
export function convertModel(options: TransformOptions): Promise<TransformResult> {
  return transformModel(options, null, null);
}

async function transformModel(options: TransformOptions, fromSecret: Uint8Array | null, to: ModelKey | null): Promise<TransformResult> {
  const started = performance.now();
  const model = await openModel(options.source);
  const from = requireOrigin(model, fromSecret, to);
  const blueprint = blueprintOf(model.config);
  const format = options.output.endsWith(".gguf") ? "gguf" : (options.format ?? model.format);
  if (format !== model.format && format === "safetensors") {
    throw new UnseenError("USAGE", "a GGUF file cannot become a Hugging Face directory.", {
      hint: "Start from the Hugging Face directory of the same model.",
    });
  }
  if (options.quantize && format !== "gguf")
    throw new UnseenError("USAGE", "--quantize needs the GGUF format.", { hint: "Add --format gguf." });
  if (options.quantize && options.precision)
    throw new UnseenError("USAGE", "--quantize and --precision exclude each other.", { hint: "Choose one." });
  const precision = (options.precision?.toUpperCase() as Precision | undefined) ?? null;
  const context: WorkerContext = { from, to, layout: model.rotaryLayout };
  const rekeying = rekeyingOf(context);
  const storage =
    format === "gguf"
      ? ggufStorage(
          ggufArchitecture(blueprint.architecture.family),
          blueprint.architecture.layers.find((layer) => layer.experts)?.experts?.count ?? 0,
          options.quantize ? "Q8_0" : precision,
        )
      : safetensorsStorage(model.storedGainOffset, precision);
  const fold = to?.strength === "rotate" || from?.strength === "rotate";
  const plan = planTransformation({ model, blueprint, storage, rekeying, fold });
  const encipher = idMap(blueprint.architecture.vocabulary, from, to);
  const form = { tied: plan.tied, format, precision, quantize: options.quantize ?? null };
  const manifest = to ? makeManifest(model, blueprint, to, form) : model.manifest;

  const single = options.output.endsWith(".gguf") ? basename(options.output) : null;
  const place = new OutputPlace(options.output, single);
  try {
    const files =
      format === "gguf"
        ? layoutAsGguf(plan, model, blueprint, manifest, encipher, single ?? "model.gguf")
        : layoutAsSafetensors(plan, model, manifest);
    const bytes = files.files.reduce((sum, file) => sum + file.bytes, 0);
    place.reserve(bytes);
    createFiles(place.directory, files.files);
    for (const literal of [...plan.literals, ...files.literals]) writeLiteral(literal, files, place.directory);
    const placed = placeJobs(plan.jobs, files, place.directory, rekeying);
    const total = placed.reduce((sum, job) => sum + weights(job), 0);
    await place.whileFlushing(() =>
      runJobs(placed, context, {
        threads: options.threads ?? availableParallelism(),
        signal: options.signal,
        onProgress: options.onProgress && ((done) => options.onProgress?.(done, total)),
      }),
    );
    if (format === "safetensors") await writeConfigs(place.directory, model, plan, encipher, precision);
    if (!single && manifest) writeText(join(place.directory, "README.md"), modelCard(manifest, blueprint.architecture, format));
    // Last, because it is what makes a directory a model.
    if (!single && manifest) writeText(join(place.directory, "unseen.json"), `${JSON.stringify(manifest, null, 2)}\n`);
    place.commit();
    return {
      output: place.path,
      manifest,
      contextLength: blueprint.architecture.maximumPositions,
      eosIds: model.metadata ? endOfGenerationIds(model.metadata) : endOfSequenceIds(model.config, model.generationConfig),
      bosId: singleId(model.config, model.generationConfig, "bos_token_id"),
      weights: total,
      bytes,
      seconds: (performance.now() - started) / 1000,
      removedLeftover: place.removedLeftover,
    };
  } catch (error) {
    place.discard();
    throw error;
  }
}

/** The key that the model is under now, checked; null for a plain model or a conversion. */
function requireOrigin(model: Model, fromSecret: Uint8Array | null, to: ModelKey | null): ModelKey | null {
  if (fromSecret === null) {
    if (model.manifest && to) {
      throw new UnseenError("USAGE", `${model.path} is encrypted already.`, { hint: "`unseen rekey` moves it to another key." });
    }
    return null;
  }
  if (!model.manifest)
    throw new UnseenError("NOT_ENCRYPTED", `${model.path} is not an encrypted model.`, { hint: "Use `unseen encrypt`." });
  requireKey(model.manifest, fromSecret);
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

/** Ids as the source spells them to ids as the output spells them. */
function idMap(size: number, from: ModelKey | null, to: ModelKey | null): (id: number) => number {
  const forward = to && vocabularyPermutation(to.secret, size);
  const backward =
    from &&
    Uint32Array.from(
      vocabularyPermutation(from.secret, size)
        .entries()
        .toArray()
        .toSorted((a, b) => a[1] - b[1]),
      ([plain]) => plain,
    );
  return (id) => {
    if (!Number.isSafeInteger(id) || id < 0 || id >= size) {
      throw new UnseenError("TOKEN_OUT_OF_RANGE", `the configuration names token id ${id}, but the vocabulary has ${size} entries.`, {
        hint: "Correct config.json or generation_config.json.",
      });
    }
    const plain = backward ? (backward[id] as number) : id;
    return forward ? (forward[plain] as number) : plain;
  };
}

interface FileLayout {
  readonly files: readonly { readonly name: string; readonly header: Uint8Array; readonly bytes: number }[];
  readonly locations: ReadonlyMap<string, { readonly file: string; readonly offset: number }>;
  readonly literals: readonly Literal[];
  readonly index: object | null;
}

function layoutAsSafetensors(plan: Plan, model: Model, manifest: Manifest | null): FileLayout {
  const annotations = {
    format: model.annotations["format"] ?? "pt",
    ...(manifest ? { "unseen.scheme": manifest.scheme, "unseen.fingerprint": manifest.fingerprint } : {}),
  };
  const layout = layoutSafetensors(plan.outputs, { metadata: annotations });
  const index = layout.index && { name: "model.safetensors.index.json", header: Buffer.from(`${JSON.stringify(layout.index, null, 2)}\n`) };
  const files = index ? [...layout.files, { ...index, bytes: index.header.length }] : layout.files;
  return { files, locations: layout.locations, literals: [], index: layout.index };
}

function layoutAsGguf(
  plan: Plan,
  model: Model,
  blueprint: Blueprint,
  manifest: Manifest | null,
  encipher: (id: number) => number,
  name: string,
): FileLayout {
  const { architecture } = blueprint;
  const sealed = model.metadata
    ? sealGgufMetadata(model.metadata, encipher, architecture.vocabulary)
    : ggufFromConfig(model, blueprint, encipher);
  const format = plan.outputs.find((output) => output.shape.length > 1)?.format ?? "F32";
  for (const [key, value] of [...statedFormat(format), ...(manifest ? manifestMetadata(manifest) : [])]) sealed.set(key, value);
  const copied = model.metadata
    ? [...model.extras.values()].map((tensor) => ({ name: tensor.name, shape: tensor.shape, values: readVector(tensor) }))
    : extraTensors(architecture);
  const extras: (OutputTensor & { values: Float64Array })[] = copied.map((tensor) => ({ ...tensor, format: "F32" }));
  const layout = layoutGguf(sealed, [...plan.outputs, ...extras.map(({ values: _values, ...output }) => output)]);
  return {
    files: [{ name, header: layout.header, bytes: layout.bytes }],
    locations: new Map([...layout.locations].map(([tensor, location]) => [tensor, { file: name, offset: location.offset }])),
    literals: extras.map(({ name: tensor, values }) => ({ values, target: { tensor, offset: 0, format: "F32" } })),
    index: null,
  };
}

function ggufFromConfig(model: Model, blueprint: Blueprint, encipher: (id: number) => number): Map<string, GgufValue> {
  const single = (field: string): number | null => {
    const id = singleId(model.config, model.generationConfig, field);
    return id === null ? null : encipher(id);
  };
  const ids = {
    eos: endOfSequenceIds(model.config, model.generationConfig).map(encipher),
    bos: single("bos_token_id"),
    pad: single("pad_token_id"),
  };
  const metadata = ggufMetadata(model.config, blueprint.architecture, { name: "unseen" });
  for (const [key, value] of placeholderVocabulary(blueprint.architecture.vocabulary, ids)) metadata.set(key, value);
  return metadata;
}

function manifestMetadata(manifest: Manifest): [string, GgufValue][] {
  return [
    ["general.name", { type: "string", value: `unseen-${manifest.fingerprint.slice(0, 8)}` }],
    ["unseen.scheme", { type: "string", value: manifest.scheme }],
    ["unseen.version", { type: "u32", value: manifest.version }],
    ["unseen.fingerprint", { type: "string", value: manifest.fingerprint }],
    ["unseen.strength", { type: "string", value: manifest.strength }],
    ["unseen.family", { type: "string", value: manifest.family }],
    ["unseen.vocabulary_size", { type: "u32", value: manifest.vocabularySize }],
  ];
}

function locate(layout: FileLayout, directory: string, tensor: string): { file: string; offset: number } {
  const location = layout.locations.get(tensor);
  if (!location) throw new UnseenError("INTERNAL", `the layout lost tensor ${tensor}.`);
  return { file: join(directory, location.file), offset: location.offset };
}

function writeLiteral(literal: Literal, layout: FileLayout, directory: string): void {
  const { tensor, offset, format } = literal.target;
  const location = locate(layout, directory, tensor);
  const bytes = new Uint8Array(formatBytes(format, 1, literal.values.length));
  encode(format, literal.values, bytes);
  writeAt(location.file, location.offset + offset, bytes);
}

/** Gives jobs their places, and cuts those whose rows are independent into ranges. */
function placeJobs(jobs: readonly Job[], layout: FileLayout, directory: string, rekeying: ReturnType<typeof rekeyingOf>): PlacedJob[] {
  return jobs.flatMap((job): PlacedJob[] => {
    const location = locate(layout, directory, job.target.tensor);
    const whole: PlacedJob = { job, file: location.file, offset: location.offset + job.target.offset, range: null };
    const rows = job.rowAxis ? rewriteOf(job.rowAxis, rekeying) : null;
    if (!rows || rows.gain || rows.centre || job.source.transposed) return [whole];
    const block = rows.element?.block ?? 1;
    if (block === job.rows) return [whole];
    const step = Math.max(block, Math.floor(RANGE_WEIGHTS / job.columns / block) * block);
    return Array.from({ length: Math.ceil(job.rows / step) }, (_, index) => ({
      ...whole,
      range: { from: index * step, to: Math.min(job.rows, (index + 1) * step) },
    }));
  });
}

const DTYPE_NAMES: Readonly<Record<Precision, string>> = { F32: "float32", F16: "float16", BF16: "bfloat16" };

async function writeConfigs(
  directory: string,
  model: Model,
  plan: Plan,
  encipher: (id: number) => number,
  precision: Precision | null,
): Promise<void> {
  const config = (await readExactly(join(model.path, "config.json"))) ?? model.config;
  const write = (name: string, value: object): void => writeText(join(directory, name), `${JSON.stringify(value, null, 2)}\n`);
  const dtype = precision
    ? { dtype: DTYPE_NAMES[precision], ...("torch_dtype" in config ? { torch_dtype: DTYPE_NAMES[precision] } : {}) }
    : {};
  write("config.json", sealConfig(config, encipher, { tie_word_embeddings: plan.tied, ...dtype }));
  const generation = (await readExactly(join(model.path, "generation_config.json"))) ?? {};
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

function writeText(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    throw explainSystemError(error, file);
  }
}
