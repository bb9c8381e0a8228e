/**
 * What an attack's figures allow to say.
 * @module
 */
import type { Tier } from "../attack.ts";
import type { AttackResult } from "../result.ts";

/** All tiers, by what the attacker must have. */
export const TIERS: readonly Tier[] = ["T0", "T1", "T2", "T3", "T4", "T5"];

/** How much an attack got, of what it got most of. */
export interface Recovery {
  readonly share: number;
  readonly of: "vocabulary" | "text";
}

/** Whether a control says that the attack works: `none` where it has none, `missing` where it could not be run. */
export function controlOf({ notRun, control, controlSetting }: AttackResult): "held" | "failed" | "missing" | "none" {
  if (controlSetting === null) return "none";
  if (notRun !== null || control === null) return "missing";
  return control >= controlSetting.least ? "held" : "failed";
}

/** The mean over keys of what an attack got most of, the vocabulary or a text; null where it was not run or aims at neither. */
export function recoveryOf({ notRun, vocabularyTop1, textTokens }: AttackResult): Recovery | null {
  if (notRun !== null) return null;
  const [vocabulary = -1, text = -1] = [vocabularyTop1, textTokens].map((value) => (value === null || Number.isNaN(value) ? -1 : value));
  if (vocabulary < 0 && text < 0) return null;
  return vocabulary >= text ? { share: vocabulary, of: "vocabulary" } : { share: text, of: "text" };
}

/**
 * Whether a figure means something. A low one does only where the control held: elsewhere the attack may be broken, or cannot succeed.
 * What was recovered was recovered in any case.
 */
export function saysSomething(result: AttackResult): boolean {
  const recovery = recoveryOf(result);
  return recovery !== null && (recovery.share >= NOTABLE || controlOf(result) === "held");
}

/** A share above which an attack counts as a success. */
export const NOTABLE = 0.1;

/** An attack and what it got. */
export interface Leader {
  readonly result: AttackResult;
  readonly recovery: Recovery;
}

/** The most successful attack that says something; of equals the fastest. */
export function worst(results: readonly AttackResult[]): Leader | null {
  const [first] = results
    .filter(saysSomething)
    .map((result) => ({ result, recovery: recoveryOf(result) as Recovery }))
    .toSorted((one, other) => other.recovery.share - one.recovery.share || one.result.seconds - other.result.seconds);
  return first ?? null;
}
