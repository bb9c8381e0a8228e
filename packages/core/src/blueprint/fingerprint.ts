/**
 * The public name of one encryption of one model. Its second half is a keyed check of the first, so a
 * key's owner can tell whether a model is theirs; to everybody else it is random.
 * @module
 */
import { createHash } from "node:crypto";
import { deriveBytes } from "../algebra/random.ts";
import { openFile } from "../checkpoint/open-file.ts";
import type { TensorLocation } from "../checkpoint/tensor.ts";
import { UnseenError } from "../errors.ts";
import type { Manifest } from "./manifest.ts";
import type { Model } from "./model.ts";
import type { ModelKey } from "./spaces.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** Bytes that are read at the start, the middle and the end of a tensor: enough to tell two trainings of one architecture apart. */
const SAMPLE_BYTES = 1024;

/**
 * 32 hexadecimal digits from the key, the model and the form of the output. Same input, same fingerprint; two
 * trainings of one architecture, or two number formats of one model, have different ones. Throws `CHECKPOINT_*`.
 *
 * @param form whatever else decides what the output holds
 */
export function fingerprintOf(key: ModelKey, model: Model, form: Readonly<Record<string, string | boolean | null>>): string {
  const digest = createHash("sha256").update(JSON.stringify([model.format, model.config, form]));
  for (const tensor of model.tensors.values()) sampleTensor(tensor, digest);
  const name = hex(deriveBytes(key.secret, `fingerprint/${key.strength}/${digest.digest("hex")}`, 8));
  return checkedName(key.secret, name);
}

function sampleTensor({ name, format, shape, file, offset, bytes }: TensorLocation, digest: ReturnType<typeof createHash>): void {
  digest.update(JSON.stringify([name, format, shape]));
  const sample = new Uint8Array(Math.min(SAMPLE_BYTES, bytes));
  const rest = bytes - sample.length;
  const opened = openFile(file);
  try {
    for (const start of [0, Math.floor(rest / 2), rest]) {
      opened.read(offset + start, sample);
      digest.update(sample);
    }
  } finally {
    opened.close();
  }
}

/** A name with a check that only the key can make. */
export function checkedName(secret: Uint8Array, name: string): string {
  return name + check(secret, name);
}

/** Throws `KEY_WRONG` unless the model was encrypted under the key. */
export function requireKey(manifest: Manifest, secret: Uint8Array): void {
  const name = manifest.fingerprint.slice(0, 16);
  if (manifest.fingerprint === name + check(secret, name)) return;
  throw new UnseenError("KEY_WRONG", `the model ${manifest.fingerprint} was not encrypted under this key.`, {
    hint: "`unseen key list` shows which key belongs to which model.",
  });
}

/** Throws `CHECKPOINT_MALFORMED` unless manifest and model agree about the number of token ids, which decides the key's permutation. */
export function requireVocabulary(manifest: Manifest, architecture: { readonly vocabulary: number }): void {
  if (manifest.vocabularySize === architecture.vocabulary) return;
  throw new UnseenError(
    "CHECKPOINT_MALFORMED",
    `the manifest says ${manifest.vocabularySize} token ids, the configuration ${architecture.vocabulary}.`,
    { hint: "The files belong to different models; encrypt the model again." },
  );
}

function check(secret: Uint8Array, name: string): string {
  return hex(deriveBytes(secret, `fingerprint-check/${name}`, 8));
}
