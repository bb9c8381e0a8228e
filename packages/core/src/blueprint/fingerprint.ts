/**
 * The public name of one encryption of one model. Its second half is a keyed check of the first, so a
 * key's owner can tell whether a model is theirs; to everybody else it is random.
 * @module
 */
import { createHash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import { deriveBytes } from "../algebra/random.ts";
import type { TensorLocation } from "../checkpoint/tensor.ts";
import { UnseenError } from "../errors.ts";
import type { Manifest, Model } from "./model.ts";
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
  return name + check(key.secret, name);
}

function sampleTensor({ name, format, shape, file, offset, bytes }: TensorLocation, digest: ReturnType<typeof createHash>): void {
  digest.update(JSON.stringify([name, format, shape]));
  const length = Math.min(SAMPLE_BYTES, bytes);
  const sample = Buffer.alloc(length);
  const descriptor = openSync(file, "r");
  try {
    for (const start of [0, Math.floor((bytes - length) / 2), bytes - length]) {
      const read = readSync(descriptor, sample, 0, length, offset + start);
      digest.update(sample.subarray(0, read));
    }
  } finally {
    closeSync(descriptor);
  }
}

/** Throws `KEY_WRONG` unless the model was encrypted under the key. */
export function requireKey(manifest: Manifest, secret: Uint8Array): void {
  const name = manifest.fingerprint.slice(0, 16);
  if (manifest.fingerprint === name + check(secret, name)) return;
  throw new UnseenError("KEY_WRONG", `the model ${manifest.fingerprint} was not encrypted under this key.`, {
    hint: "`unseen key list` shows which key belongs to which model.",
  });
}

function check(secret: Uint8Array, name: string): string {
  return hex(deriveBytes(secret, `fingerprint-check/${name}`, 8));
}
