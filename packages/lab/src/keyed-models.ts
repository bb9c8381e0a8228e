/**
 * One model under several keys: a figure from a single key may be luck.
 * @module
 */
import { join } from "node:path";
import { blueprintOf } from "@unseen/core/blueprint/families/index.ts";
import type { ClientInterface } from "@unseen/core/blueprint/interface.ts";
import { openModel, type Model } from "@unseen/core/blueprint/model.ts";
import { vocabularyPermutation, type Strength } from "@unseen/core/blueprint/spaces.ts";
import { encryptOnnx } from "@unseen/core/blueprint/trace/encrypt.ts";
import { encryptModel, rekeyModel } from "@unseen/core/blueprint/transform.ts";
import type { ModelOutput } from "@unseen/core/blueprint/output.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { permutationOf } from "@unseen/client/encoders/sequences.ts";
import { seededSecret } from "./seed.ts";

/** A model file or directory under one key. */
export interface KeyedFile {
  readonly path: string;
  /** Cipher id of every plain id. */
  readonly permutation: Uint32Array;
}

export interface CopyOptions {
  /** The encrypted model. */
  readonly encrypted: string;
  /** The plain model, where there is one: then copies are made of it. */
  readonly base: string | null;
  readonly strength: Strength;
  /** The key of `encrypted`. */
  readonly secret: Uint8Array;
  /** What the key's bundle says of the ends of an ONNX model or an encoder; null without. */
  readonly clientInterface: Pick<ClientInterface, "inputs"> | null;
  readonly outputs?: readonly ModelOutput[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Cipher id of every plain id of the given model under its own key. Throws `BUNDLE_NOT_FOUND`, `CHECKPOINT_*`. */
export async function permutationOfModel({ encrypted, secret, clientInterface }: CopyOptions): Promise<Uint32Array> {
  if (encrypted.endsWith(".onnx")) return permutationOfEnds(clientInterface, secret);
  return permutationOfDirectory(await openModel(encrypted), secret);
}

/**
 * The model under another key, which protects nothing: made of the plain model where it is given, else moved from key to key.
 *
 * @param number names the key; the same seed and number make the same
 * @param directory where the copy is written
 * @throws UnseenError `USAGE` where that takes the plain model and there is none, and what encrypting throws
 */
export async function copyUnderKey(options: CopyOptions, seed: number, number: number, directory: string): Promise<KeyedFile> {
  const { encrypted, base, strength, signal } = options;
  const secret = seededSecret(seed, `key ${number}`);
  const key = { secret, strength };
  if (encrypted.endsWith(".onnx")) {
    if (!base)
      throw new UnseenError("USAGE", "an ONNX model is moved to other keys only from its plain file.", {
        hint: "Give --base, or measure one key with --keys 1.",
      });
    const result = await encryptOnnx({ source: base, output: join(directory, `${number}.onnx`), key });
    return { path: result.output, permutation: permutationOfEnds(result.clientInterface, secret) };
  }
  const gguf = encrypted.endsWith(".gguf");
  const output = join(directory, gguf ? `${number}.gguf` : String(number));
  const run = signal ? { signal } : {};
  if (base && !gguf)
    await encryptModel({ source: base, output, key, format: "safetensors", precision: precisionOf(await openModel(encrypted)), ...run });
  else await rekeyModel({ source: encrypted, output, from: options.secret, to: key, outputs: options.outputs, ...run });
  return { path: output, permutation: permutationOfDirectory(await openModel(output), secret) };
}

const PRECISIONS: Readonly<Record<string, "f32" | "f16" | "bf16">> = { F32: "f32", F16: "f16", BF16: "bf16" };

/** The number format of most weights: how a model is stored decides what rounding hides. */
function precisionOf(model: Model): "f32" | "f16" | "bf16" | undefined {
  const bytes = new Map<string, number>();
  for (const tensor of model.tensors.values()) bytes.set(tensor.format, (bytes.get(tensor.format) ?? 0) + tensor.bytes);
  const [format = ""] = [...bytes].toSorted(([, a], [, b]) => b - a).map(([name]) => name);
  return PRECISIONS[format];
}

function permutationOfDirectory(model: Model, secret: Uint8Array): Uint32Array {
  const blueprint = blueprintOf(model.config);
  const vocabulary = blueprint.kind === "decoder" ? blueprint.architecture.vocabulary : blueprint.vocabulary;
  if (vocabulary === null) throw noIds();
  return vocabularyPermutation(secret, vocabulary);
}

function permutationOfEnds(ends: Pick<ClientInterface, "inputs"> | null, secret: Uint8Array): Uint32Array {
  if (!ends)
    throw new UnseenError(
      "BUNDLE_NOT_FOUND",
      "the keyring has no bundle of this model, and an ONNX file alone does not tell how its ids are enciphered.",
      {
        hint: "Run this where the model was encrypted.",
      },
    );
  const ids = ends.inputs.find((input) => input.kind === "ids");
  if (!ids || ids.label === null) throw noIds();
  return permutationOf(secret, ids);
}

function noIds(): UnseenError {
  return new UnseenError("USAGE", "the model takes no token ids under the key, and the attacks on vocabularies have nothing to find.", {
    hint: "What a host sees of pictures is written in docs/threat-model.md.",
  });
}
