/**
 * The models on which the lab's figures are measured, and how.
 * @module
 */
import { join } from "node:path";
import { TextTokenizer } from "@unseen/client/tokenizer.ts";
import type { Strength } from "@unseen/core/blueprint/spaces.ts";
import { encryptModel } from "@unseen/core/blueprint/transform.ts";
import type { Attack } from "@unseen/lab/attack.ts";
import type { LabReport } from "@unseen/lab/lab-report.ts";
import { measureModel } from "@unseen/lab/measure-model.ts";
import type { AttackResult } from "@unseen/lab/result.ts";
import { seededSecret } from "@unseen/lab/seed.ts";
import type { TextLimits } from "@unseen/lab/texts.ts";
import { STORY_LLAMA, temporaryDirectory } from "../tests/command-line.ts";
import { sharedPath } from "../tests/shared.ts";

export const STRENGTHS: readonly Strength[] = ["permute", "rotate"];
/** Figures of a single key may be luck. */
export const KEYS = 5;
export const BUDGET_SECONDS = 120;

/** A plain model with its tokenizer. */
export interface LabSubject {
  readonly name: string;
  readonly source: string;
  readonly vocabulary: number;
}

const SUBJECTS: readonly { readonly name: string; readonly vocabulary: number; readonly path: () => string | null }[] = [
  { name: "story-llama", vocabulary: 4096, path: () => STORY_LLAMA },
  { name: "stories260K", vocabulary: 512, path: () => sharedPath("data/models/stories260K-hf") },
  { name: "sst2-distilbert", vocabulary: 30_522, path: () => sharedPath("assets/sst2-distilbert") },
];

/** Those that are here. */
export function* subjects(): Generator<LabSubject, void> {
  for (const { name, vocabulary, path } of SUBJECTS) {
    const source = path();
    if (source) yield { name, source, vocabulary };
  }
}

export interface SubjectOptions {
  /** Text files. */
  readonly traffic?: string | null;
  readonly prior?: string | null;
  readonly limits?: TextLimits;
  readonly keys?: number;
  readonly seed?: number;
  readonly onResult?: (result: AttackResult) => void;
}

/** Encrypts a model and runs attacks on it under several keys. */
export async function measureSubject(
  { source }: LabSubject,
  strength: Strength,
  attacks: readonly Attack[],
  options: SubjectOptions = {},
): Promise<LabReport> {
  const { traffic = null, prior = null, limits, keys = KEYS, seed = 1, onResult } = options;
  const secret = seededSecret(seed, "the model's own key");
  const encrypted = join(temporaryDirectory("prove"), "encrypted");
  await encryptModel({ source, output: encrypted, key: { secret, strength } });
  return measureModel({
    encrypted,
    base: source,
    secret,
    tokenizer: await TextTokenizer.load(source),
    files: { traffic, prior },
    known: null,
    attacks,
    keys,
    seed,
    budgetSeconds: BUDGET_SECONDS,
    version: "proof",
    ...(limits ? { limits } : {}),
    ...(onResult ? { onResult } : {}),
  });
}
