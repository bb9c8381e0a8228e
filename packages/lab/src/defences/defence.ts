/**
 * What a defence is: a change with a dial, the trial that an attacker meets under it, and what it costs.
 * @module
 */
import type { RandomStream } from "@unseen/core/algebra/random.ts";
import type { Model } from "@unseen/core/blueprint/model.ts";
import type { ModelKey } from "@unseen/core/blueprint/spaces.ts";
import type { Attack } from "../attack.ts";
import type { Subject, Trial } from "../trial.ts";
import type { Weights } from "../weights/weights.ts";

/** One dial value under one key. */
export interface Setting {
  /** The plain model. */
  readonly model: Model;
  readonly subject: Subject;
  readonly dial: number;
  readonly key: ModelKey;
  /** Chooses what known pairs come first. */
  readonly seed: number;
  /** An empty folder to write into; removed once the dial value has been measured. */
  readonly directory: string;
  /** The exact encryption under the same key. */
  readonly exact: () => Promise<Weights>;
  /** Numbers that differ from key to key and are the same at every dial value, so that a curve shows the dial. */
  readonly random: (purpose: string) => RandomStream;
  readonly signal: AbortSignal | undefined;
}

/** What becomes of it. */
export interface Defended {
  readonly trial: Trial;
  /** Directory of the defended model before it was encrypted, to be compared with the plain one; null where the defence leaves it exact. */
  readonly changed: string | null;
  /** Factor of tokens sent, or of vocabulary rows; 1 = nothing. */
  readonly cost: number;
  /** Attackers who know of the defence, made of those who do not: a defence is worth what it stops when it is known. */
  readonly informed?: (attacks: readonly Attack[]) => Attack[];
}

/** One defence: a small module. */
export interface Defence {
  /** In kebab-case, as users name it. */
  readonly name: string;
  /** One sentence: what it does. */
  readonly title: string;
  /** What the dial counts, one phrase. */
  readonly dial: string;
  /** Its values unless others are asked for; the first leaves everything as it is. */
  readonly dials: readonly number[];
  /** Paper, law or origin. */
  readonly source: string;
  /** Throws `USAGE` for a dial value out of range, `CHECKPOINT_*`, `DISK_FULL`. */
  apply(setting: Setting): Promise<Defended>;
}
