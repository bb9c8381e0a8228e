/**
 * Every defence, against the attacks that it is meant for.
 * @module
 */
import type { TextTokenizer } from "@unseen/client/tokenizer.ts";
import { decoderOf } from "@unseen/core/blueprint/families/index.ts";
import type { Strength } from "@unseen/core/blueprint/spaces.ts";
import type { Attack } from "../attack.ts";
import { withBase } from "../attacks/with-base.ts";
import { withoutBase } from "../attacks/without-base.ts";
import type { DefencePoint } from "../lab-report.ts";
import { specialIds } from "../measure-model.ts";
import { readTexts, TEXT_LIMITS, type TextFiles, type TextLimits } from "../texts.ts";
import { openChangeable } from "./checkpoint-copy.ts";
import { decoys } from "./decoys.ts";
import type { Defence } from "./defence.ts";
import { homophones } from "./homophone-defence.ts";
import { measureDefence } from "./pareto.ts";
import { simulatedTuning } from "./private-tuning.ts";
import { tableNoise, weightNoise } from "./weight-noise.ts";

interface Measured {
  readonly defence: Defence;
  /** Attacks that it is meant for. */
  readonly against: readonly string[];
  /** It changes what is sent, so that it is measured on recorded texts alone. */
  readonly needsTraffic: boolean;
}

const DEFENCES: readonly Measured[] = [
  ...[weightNoise, tableNoise, simulatedTuning].map((defence) => ({
    defence,
    needsTraffic: false,
    against: ["row-norms", "vocabulary-matching", "matching-refined", "known-ridge", "functional-fingerprint"],
  })),
  ...[homophones, decoys].map((defence) => ({ defence, needsTraffic: true, against: ["token-frequency", "substitution"] })),
];

/** A defence as a person chooses it. */
export interface DefenceRow {
  readonly name: string;
  /** One sentence: what it does. */
  readonly title: string;
  /** What its dial turns, one phrase. */
  readonly dial: string;
  readonly needsTraffic: boolean;
}

/** Every defence that can be measured. */
export const allDefences: readonly DefenceRow[] = DEFENCES.map(({ defence: { name, title, dial }, needsTraffic }) => ({
  name,
  title,
  dial,
  needsTraffic,
}));

export interface DefencesOptions {
  /** Names; those that need traffic are left out where there is none. */
  readonly defences: readonly string[];
  /** Directory of the plain model. */
  readonly base: string;
  readonly strength: Strength;
  readonly tokenizer: TextTokenizer | null;
  readonly files: TextFiles;
  readonly limits?: TextLimits;
  readonly keys: number;
  readonly seed: number;
  /** Seconds for one attack under one key. */
  readonly budgetSeconds: number;
  /** Called with a share 0..1 of the whole. */
  readonly onProgress?: (done: number) => void;
  readonly onPoint?: (point: DefencePoint) => void;
  readonly signal?: AbortSignal;
}

/** Defences at all values of their dials. Throws as {@link measureDefence} and `readTexts`. */
export async function measureDefences(options: DefencesOptions): Promise<DefencePoint[]> {
  const { base, tokenizer, files, limits = TEXT_LIMITS, onProgress } = options;
  const { vocabulary } = decoderOf((await openChangeable(base)).config).architecture;
  const identity = Uint32Array.from({ length: vocabulary }, (_, id) => id);
  const subject = {
    texts: await readTexts(files, tokenizer, identity, limits),
    special: specialIds(tokenizer, vocabulary),
    spelling: null,
    knownText: null,
  };
  const points: DefencePoint[] = [];
  const chosen = DEFENCES.filter(
    ({ defence, needsTraffic }) => options.defences.includes(defence.name) && (files.traffic !== null || !needsTraffic),
  );
  for (const [index, { defence, against }] of chosen.entries()) {
    const progress = (done: number): void => onProgress?.((index + done) / chosen.length);
    points.push(...(await measureDefence({ ...options, defence, attacks: named(against), subject, onProgress: progress })));
  }
  return points;
}

/** Attacks by name. */
function named(names: readonly string[]): Attack[] {
  return [...withoutBase, ...withBase].filter(({ name }) => names.includes(name));
}
