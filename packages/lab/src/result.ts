/**
 * What is reported of an attack: the same units for all, with their spread over keys and a control beside them.
 * @module
 */
import type { Tier } from "./attack.ts";

/** Least, mean and greatest over keys. */
export interface Spread {
  readonly least: number;
  readonly mean: number;
  readonly greatest: number;
}

/** One attack over several keys. Shares are 0..1 and means over keys; null where the attack does not aim at it, or was not run. */
export interface AttackResult {
  readonly name: string;
  readonly title: string;
  readonly tier: Tier;
  readonly knowledge: string;
  readonly source: string;
  readonly vocabularyTop1: number | null;
  readonly vocabularyTop10: number | null;
  /** Of the ids that the attack can tell apart in the public model. */
  readonly distinguishableTop1: number | null;
  /** Share of such ids. */
  readonly distinguishable: number | null;
  /** Special ids, which are counted nowhere else. */
  readonly special: number | null;
  readonly textTokens: number | null;
  readonly bleu: number | null;
  /** Of one key, on average. */
  readonly seconds: number;
  /** What the attack recovers where it must succeed; null where it has no such setting. */
  readonly control: number | null;
  /** That setting, what is counted, and how much of it must be recovered for the other figures to mean something. */
  readonly controlSetting: { readonly setting: string; readonly judged: string; readonly least: number } | null;
  readonly keys: number;
  readonly spread: { readonly vocabularyTop1: Spread | null; readonly textTokens: Spread | null };
  readonly curve: { readonly of: string; readonly points: readonly AttackPoint[] } | null;
  readonly figures: Readonly<Record<string, number>>;
  readonly remark: string | null;
  /** False where the time ran out on a key: a longer run may recover more. */
  readonly complete: boolean;
  /** Why it was not run; null where it was. */
  readonly notRun: string | null;
}

/** One point of a curve, means over keys. */
export interface AttackPoint {
  readonly x: number;
  readonly vocabularyTop1: number;
  readonly textTokens: number | null;
}

/** Least, mean and greatest of the numbers; null for none. */
export function spreadOf(values: readonly (number | null)[]): Spread | null {
  const numbers = values.filter((value) => value !== null);
  if (numbers.length === 0) return null;
  return {
    least: Math.min(...numbers),
    mean: numbers.reduce((sum, value) => sum + value, 0) / numbers.length,
    greatest: Math.max(...numbers),
  };
}
