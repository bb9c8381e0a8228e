/**
 * Measures what encryption is worth on one model: opens it, puts it under several keys, and runs the attacks.
 * @module
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { TextTokenizer } from "@unseen/client/tokenizer.ts";
import { requireKey } from "@unseen/core/blueprint/fingerprint.ts";
import type { Manifest } from "@unseen/core/blueprint/manifest.ts";
import { openModel } from "@unseen/core/blueprint/model.ts";
import { openSeal } from "@unseen/core/blueprint/trace/metadata.ts";
import { openOnnx } from "@unseen/core/checkpoint/onnx.ts";
import { explainSystemError, UnseenError } from "@unseen/core/errors.ts";
import type { Attack } from "./attack.ts";
import { copyUnderKey, permutationOfModel, type CopyOptions } from "./keyed-models.ts";
import { REPORT_VERSION, type LabReport } from "./lab-report.ts";
import type { AttackResult } from "./result.ts";
import { brokenOff, runAttack } from "./run-attack.ts";
import { readKnownText, readTexts, TEXT_LIMITS, type TextFiles, type TextLimits } from "./texts.ts";
import { makeTrial, reorderedRecording, type Subject, type Trial } from "./trial.ts";
import { openWeights } from "./weights/open-weights.ts";

export interface MeasureOptions {
  /** Encrypted directory, GGUF or ONNX file. */
  readonly encrypted: string;
  /** The public model that it was made from; null measures what needs none. */
  readonly base: string | null;
  /** 32 bytes: whoever measures holds the key, to know what is right. */
  readonly secret: Uint8Array;
  readonly tokenizer: TextTokenizer | null;
  /** Of the key's bundle; needed for ONNX models and encoders. */
  readonly clientInterface?: CopyOptions["clientInterface"];
  readonly outputs?: CopyOptions["outputs"];
  readonly files: TextFiles;
  /** A text file that the attacker knows to have been sent; null draws known tokens from what was recorded. */
  readonly known: string | null;
  readonly limits?: TextLimits;
  readonly attacks: readonly Attack[];
  /** Keys in all: the model's own, and others under which copies are made. */
  readonly keys: number;
  readonly seed: number;
  /** Seconds for one attack under one key. */
  readonly budgetSeconds: number;
  /** Version of the program, for the report. */
  readonly version: string;
  /** Called often with a share 0..1 of the attack that runs. */
  readonly onProgress?: (done: number) => void;
  /** Called when an attack is done. */
  readonly onResult?: (result: AttackResult) => void;
  readonly signal?: AbortSignal;
}

/**
 * Runs the attacks on a model and gives the report; temporary copies under other keys are removed.
 *
 * @throws UnseenError `KEY_WRONG`, `NOT_ENCRYPTED`, `USAGE`, `CHECKPOINT_*`, `FAMILY_*`, `DISK_FULL`; the signal's reason
 */
export async function measureModel(options: MeasureOptions): Promise<LabReport> {
  const manifest = await readManifest(options.encrypted);
  requireKey(manifest, options.secret);
  if (manifest.vocabularySize === 0)
    throw new UnseenError(
      "USAGE",
      `${basename(options.encrypted)} takes no token ids, and the attacks on vocabularies have nothing to find.`,
      {
        hint: "What a host sees of pictures is written in docs/threat-model.md.",
      },
    );
  const directory = await mkdtemp(join(tmpdir(), "unseen-lab-"));
  try {
    return await measureIn(directory, options, manifest);
  } catch (error) {
    throw explainSystemError(error, directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function measureIn(directory: string, options: MeasureOptions, manifest: Manifest): Promise<LabReport> {
  const { encrypted, base, tokenizer, seed, attacks, keys, onProgress } = options;
  const { vocabularySize: vocabulary, strength } = manifest;
  const copying: CopyOptions = { ...options, clientInterface: options.clientInterface ?? null, strength };
  const own = await permutationOfModel(copying);
  const texts = await readTexts(options.files, tokenizer, inverse(own), options.limits ?? TEXT_LIMITS);
  const baseWeights = base === null ? null : await openWeights(base, vocabulary);
  if (baseWeights && baseWeights.vocabulary !== vocabulary)
    throw new UnseenError("USAGE", `--base has ${baseWeights.vocabulary} token ids, the encrypted model ${vocabulary}.`, {
      hint: "Give the plain model that it was made from, or leave --base out.",
    });
  const subject: Subject = {
    vocabulary,
    special: specialIds(tokenizer, vocabulary),
    texts,
    spelling: tokenizer ? spellingOf(tokenizer, vocabulary) : null,
    base: baseWeights,
    knownText: options.known ? await readKnownText(options.known, tokenizer) : null,
  };
  const trialOf = async (path: string, permutation: Uint32Array, number: number): Promise<Trial> =>
    makeTrial(reorderedRecording(subject, seed + number), { permutation, encrypted: await openWeights(path, vocabulary) }, seed + number);
  const trials: Trial[] = [await trialOf(encrypted, own, 0)];
  for (let number = 1; number < keys; number += 1) {
    options.signal?.throwIfAborted();
    const { path, permutation } = await copyUnderKey(copying, seed, number, directory);
    trials.push(await trialOf(path, permutation, number));
  }
  const results: AttackResult[] = [];
  for (const attack of attacks) {
    const run = { seed, budget: options.budgetSeconds * 1000, signal: options.signal };
    const result = await runAttack(attack, trials, { ...run, onProgress }).catch((error: unknown) => {
      options.signal?.throwIfAborted();
      return brokenOff(attack, error);
    });
    results.push(result);
    options.onResult?.(result);
  }
  const tokens = (ids: readonly Uint32Array[]): number => ids.reduce((sum, { length }) => sum + length, 0);
  return {
    version: REPORT_VERSION,
    created: new Date().toISOString(),
    model: {
      name: basename(encrypted),
      family: manifest.family,
      strength,
      fingerprint: manifest.fingerprint,
      vocabulary,
      special: subject.special.size,
      base: base === null ? null : basename(base),
    },
    settings: {
      keys,
      seed,
      budgetSeconds: options.budgetSeconds,
      recordedTokens: tokens(texts.recorded),
      heldOutTokens: tokens(texts.heldOut),
      priorTokens: tokens(texts.prior),
    },
    versions: { unseen: options.version, node: process.version },
    attacks: results,
    defences: [],
  };
}

/** What an encrypted model says of itself. Throws `NOT_ENCRYPTED`, `CHECKPOINT_*`. */
export async function readManifest(path: string): Promise<Manifest> {
  if (path.endsWith(".onnx")) return openSeal(await openOnnx(path)).manifest;
  const { manifest } = await openModel(path);
  if (manifest) return manifest;
  throw new UnseenError("NOT_ENCRYPTED", `${path} is not an encrypted model.`, {
    hint: "Give the encrypted model; the plain one goes to --base.",
  });
}

function inverse(permutation: Uint32Array): Uint32Array {
  const plain = new Uint32Array(permutation.length);
  for (const [id, cipher] of permutation.entries()) plain[cipher] = id;
  return plain;
}

/** Ids that are counted apart. */
export function specialIds(tokenizer: TextTokenizer | null, vocabulary: number): Set<number> {
  return new Set(tokenizer ? [...Array(vocabulary).keys()].filter((id) => tokenizer.isSpecial(id)) : []);
}

/** The text that each id adds, as the public tokenizer writes it. */
function spellingOf(tokenizer: TextTokenizer, vocabulary: number): string[] {
  return Array.from({ length: vocabulary }, (_, id) => Buffer.from(tokenizer.tokenBytes(id)).toString("utf8"));
}
