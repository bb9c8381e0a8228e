/**
 * Where in which files an output's tensors lie, and what the files say beside them.
 * @module
 */
import { join } from "node:path";
import { encode, formatBytes } from "../checkpoint/format.ts";
import { layoutGguf, type GgufValue } from "../checkpoint/gguf.ts";
import { openFile } from "../checkpoint/open-file.ts";
import { layoutSafetensors } from "../checkpoint/safetensors.ts";
import { writeAt } from "../checkpoint/writer.ts";
import { UnseenError } from "../errors.ts";
import type { DecoderBlueprint } from "./family.ts";
import { extraTensors, ggufMetadata, placeholderVocabulary, sealGgufMetadata, statedFormat } from "./gguf-metadata.ts";
import { endOfSequenceIds, singleId } from "./identifiers.ts";
import type { Manifest } from "./manifest.ts";
import type { Model } from "./model.ts";
import type { Copy, Job, Literal, Plan } from "./plan.ts";
import { readVector } from "./read-tensor.ts";
import { rewriteOf, type PlacedJob } from "./run-job.ts";
import type { Rekeying } from "./spaces.ts";
import type { OutputTensor } from "./storage.ts";

/** The files of an output, and where in them each tensor lies. */
export interface FileLayout {
  readonly files: readonly { readonly name: string; readonly header: Uint8Array; readonly bytes: number }[];
  readonly locations: ReadonlyMap<string, { readonly file: string; readonly offset: number }>;
  /** What the format adds to the plan. */
  readonly literals: readonly Literal[];
}

/** Shards and their index, as Hugging Face names them. */
export function layoutAsSafetensors(plan: Plan, manifest: Manifest | null): FileLayout {
  const annotations = {
    format: "pt", // the only one that transformers takes; the source's could say anything
    ...(manifest ? { "unseen.scheme": manifest.scheme, "unseen.fingerprint": manifest.fingerprint } : {}),
  };
  const layout = layoutSafetensors([...plan.outputs, ...plan.copies], { metadata: annotations });
  const index = layout.index && { name: "model.safetensors.index.json", header: Buffer.from(`${JSON.stringify(layout.index, null, 2)}\n`) };
  const files = index ? [...layout.files, { ...index, bytes: index.header.length }] : layout.files;
  return { files, locations: layout.locations, literals: [] };
}

/** One GGUF called `name`, whose metadata name no word. */
export function layoutAsGguf(
  plan: Plan,
  model: Model,
  blueprint: DecoderBlueprint,
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
  };
}

function ggufFromConfig(model: Model, blueprint: DecoderBlueprint, encipher: (id: number) => number): Map<string, GgufValue> {
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

/** Writes values that are known without reading weights. Throws `DISK_FULL`. */
export function writeLiteral(literal: Literal, layout: FileLayout, directory: string): void {
  const { tensor, offset, format } = literal.target;
  const location = locate(layout, directory, tensor);
  const bytes = new Uint8Array(formatBytes(format, 1, literal.values.length));
  encode(format, literal.values, bytes);
  writeAt(location.file, location.offset + offset, bytes);
}

/** Copies a tensor that no key acts on. Throws `CHECKPOINT_TRUNCATED`, `DISK_FULL`. */
export function writeCopy(copy: Copy, layout: FileLayout, directory: string): void {
  const location = locate(layout, directory, copy.name);
  const bytes = new Uint8Array(copy.source.bytes);
  const file = openFile(copy.source.file);
  try {
    file.read(copy.source.offset, bytes);
  } finally {
    file.close();
  }
  writeAt(location.file, location.offset, bytes);
}

/** Ranges of about this many weights are dealt to workers. */
const RANGE_WEIGHTS = 16 << 20;

/** Gives jobs their places, and cuts those whose rows are independent into ranges. */
export function placeJobs(jobs: readonly Job[], layout: FileLayout, directory: string, rekeying: Rekeying): PlacedJob[] {
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
