/**
 * The public name of one encryption of one model. Its second half is a keyed check of the first, so a
 * key's owner can tell whether a model is theirs; to everybody else it is random.
 * @module
 */
import { deriveBytes } from "../algebra/random.ts";
import { UnseenError } from "../errors.ts";
import type { Manifest, Model } from "./model.ts";
import type { ModelKey } from "./spaces.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** 32 hexadecimal digits from key, strength and the shape of the model. Same input, same fingerprint. */
export function fingerprintOf(key: ModelKey, model: Model, tied: boolean): string {
  const shape = [...model.tensors.values()].map(({ name, format, shape: sizes }) => `${name}:${format}:${sizes.join("x")}`);
  const name = hex(deriveBytes(key.secret, `fingerprint/${key.strength}/${model.format}/${tied}/${JSON.stringify(model.config)}/${shape.join(",")}`, 8));
  return name + check(key.secret, name);
}

/** Throws `KEY_WRONG` unless the model was encrypted under the key. */
export function requireKey(manifest: Manifest, secret: Uint8Array): void {
  const name = manifest.fingerprint.slice(0, 16);
  if (manifest.fingerprint === name + check(secret, name)) return;
  throw new UnseenError("KEY_WRONG", `the model ${manifest.fingerprint} was not encrypted under this key.`, { hint: "`unseen key list` shows which key belongs to which model." });
}

function check(secret: Uint8Array, name: string): string {
  return hex(deriveBytes(secret, `fingerprint-check/${name}`, 8));
}
