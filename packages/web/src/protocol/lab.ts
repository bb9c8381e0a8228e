/**
 * The lab: which attacks there are, and what one run of them found out.
 *
 * | request                             | answer                                                                  |
 * | ----------------------------------- | ----------------------------------------------------------------------- |
 * | `GET /console/attacks`              | {@link LabList}                                                         |
 * | `GET /console/verdicts/FINGERPRINT` | {@link VerdictRow} of the report that was kept; 404 where there is none |
 *
 * A job `attack` tells an {@link AttackResultRow} as the detail `attack` whenever one ends, and a {@link DefencePointRow} as the detail
 * `defence`; its result is a {@link ReportRow}, and so is the answer of `GET /console/reports/FINGERPRINT`.
 * @module
 */

export type TierName = "T0" | "T1" | "T2" | "T3" | "T4" | "T5";

/** What can be measured. */
export interface LabList {
  /** Those with the least knowledge first. */
  readonly attacks: readonly AttackRow[];
  readonly defences: readonly DefenceRow[];
}

/** A defence that can be measured. */
export interface DefenceRow {
  readonly name: string;
  /** One sentence: what it does. */
  readonly title: string;
  /** What its dial turns, one phrase. */
  readonly dial: string;
  /** Measured on recorded texts alone. */
  readonly needsTraffic: boolean;
}

/** An attack that can be run. */
export interface AttackRow {
  readonly name: string;
  /** One sentence: what it does. */
  readonly title: string;
  readonly tier: TierName;
  /** What the attacker must have, one phrase. */
  readonly knowledge: string;
  /** Paper, law or origin. */
  readonly source: string;
}

/** A report in words, worst news first. */
export interface VerdictRow {
  readonly sentence: string;
  /** What was not found out, a sentence each. */
  readonly limits: readonly string[];
}

/** What one attack recovered, means over keys. Shares are 0..1; null where it does not aim at it, or was not run. */
export interface AttackResultRow {
  readonly name: string;
  readonly title: string;
  readonly tier: TierName;
  readonly knowledge: string;
  readonly vocabularyTop1: number | null;
  readonly textTokens: number | null;
  /** Of one key. */
  readonly seconds: number;
  /** What it recovers where it must succeed, and how much that must be for the other figures to mean something. */
  readonly control: number | null;
  readonly controlSetting: { readonly setting: string; readonly judged: string; readonly least: number } | null;
  readonly keys: number;
  readonly curve: { readonly of: string; readonly points: readonly CurvePointRow[] } | null;
  readonly remark: string | null;
  /** False where the time ran out. */
  readonly complete: boolean;
  /** Why it was not run; null where it was. */
  readonly notRun: string | null;
}

export interface CurvePointRow {
  readonly x: number;
  readonly vocabularyTop1: number;
  readonly textTokens: number | null;
}

/** One setting of a defence. */
export interface DefencePointRow {
  readonly defence: string;
  /** The dial: relative noise, copies of a frequent token, decoys for each request. */
  readonly x: number;
  /** null where the defence leaves the model exact. `meanKl` in nats, `top1` the share of positions with the same likeliest token. */
  readonly fidelity: { readonly meanKl: number; readonly top1: number } | null;
  readonly recovery: Readonly<Record<string, { readonly vocabularyTop1: number; readonly textTokens: number | null }>>;
  /** Attacks whose time ran out before they found anything: they say nothing. */
  readonly cutShort?: readonly string[] | undefined;
  /** Factor of tokens sent, or of vocabulary rows; 1 = nothing. */
  readonly cost: number;
}

/** Everything that was measured on one model. */
export interface ReportRow {
  /** ISO 8601. */
  readonly created: string;
  readonly model: {
    readonly name: string;
    readonly strength: "permute" | "rotate";
    readonly fingerprint: string;
    readonly vocabulary: number;
    readonly base: string | null;
  };
  readonly settings: { readonly keys: number; readonly seed: number; readonly budgetSeconds: number };
  readonly attacks: readonly AttackResultRow[];
  readonly defences: readonly DefencePointRow[];
}
