/**
 * One sentence for a reader in a hurry, worst news first, and what limits it.
 * @module
 */
import type { LabReport } from "../lab-report.ts";
import type { AttackResult } from "../result.ts";
import { controlOf, NOTABLE, recoveryOf, saysSomething, TIERS, worst, type Leader } from "./judgement.ts";
import { counted, duration, percentAtMost, percentInWords } from "./numbers.ts";
import { TIER_WORDS } from "./tiers.ts";

/** What a report comes to. */
export interface Verdict {
  readonly sentence: string;
  /** Sentences: what was not found out. */
  readonly limits: readonly string[];
}

/** Shares that make a difference to a reader: an attack that reaches a higher one is worse, whoever runs it. */
const LEVELS = [0.9, 0.5, NOTABLE];

/**
 * The verdict on a report. The worst attack is the one that reaches the highest level (nine tenths, half, a tenth of the vocabulary or of
 * a text), of those the one whose attacker must have least. A lesser success of somebody who has less is named too.
 */
export function verdictOf({ attacks, settings }: LabReport): Verdict {
  const run = attacks.filter((result) => recoveryOf(result) !== null);
  const limits = limitsOf(attacks);
  const keys = counted(settings.keys, "key");
  const budget = duration(settings.budgetSeconds);
  const leaders = TIERS.map((tier) => worst(attacks.filter((result) => result.tier === tier))).filter((found) => found !== null);
  const [found] = LEVELS.flatMap((level) => leaders.filter(({ recovery }) => recovery.share >= level));
  if (found) {
    const rank = TIERS.indexOf(found.result.tier);
    const lesser = worst(attacks.filter(({ tier }) => TIERS.indexOf(tier) < rank));
    const also = lesser && lesser.recovery.share >= NOTABLE ? `; ${lowered(success(lesser))}` : "";
    return {
      sentence: `${success(found)}${also}.`,
      limits: [`Means over ${keys}, with at most ${budget} for each attack and key.`, ...limits],
    };
  }
  const sound = run.filter(saysSomething);
  if (sound.length === 0) return { sentence: `This run says nothing about the model: ${nothing(attacks, run)}.`, limits };
  const unmeasured = sound.some(({ tier }) => tier === "T2") ? "" : ", and none at T2, the tier to assume for an open model";
  return {
    sentence: `No attack in this run recovered more than ${atMost(run)}: these attacks, these budgets${unmeasured}.`,
    limits: [
      `The most over ${keys}, with at most ${budget} for each attack and key. Other attacks, or more time, may recover more.`,
      ...limits,
    ],
  };
}

/** "A host that has the public model recovers 100 % of the vocabulary in 4 s" */
function success({ result, recovery }: Leader): string {
  const share = percentInWords(recovery.share);
  const done = recovery.of === "text" ? `reads ${share} of the tokens of a text` : `recovers ${share} of the vocabulary`;
  return `${TIER_WORDS[result.tier].subject} ${done} in ${duration(result.seconds)}`;
}

/** The greatest over attacks, keys and points of curves: "not more than" must hold for each. */
function atMost(results: readonly AttackResult[]): string {
  const greatest = (field: "vocabularyTop1" | "textTokens"): number | null => {
    const values = results.flatMap((result) => [
      result[field],
      result.spread[field]?.greatest ?? null,
      ...(result.curve?.points ?? []).map((point) => point[field]),
    ]);
    const numbers = values.filter((value) => value !== null);
    return numbers.length === 0 ? null : Math.max(...numbers);
  };
  const [vocabulary, text] = [greatest("vocabularyTop1"), greatest("textTokens")];
  const parts = [
    vocabulary === null ? null : `${percentAtMost(vocabulary)} of the vocabulary`,
    text === null ? null : `${percentAtMost(text)} of the tokens of a text`,
  ];
  return parts.filter((part) => part !== null).join(" or ");
}

function nothing(attacks: readonly AttackResult[], run: readonly AttackResult[]): string {
  if (attacks.length === 0) return "there was no attack";
  return run.length === 0 ? "no attack was run" : "no attack succeeded where it must, so none is known to work";
}

function limitsOf(attacks: readonly AttackResult[]): string[] {
  const count = (test: (result: AttackResult) => boolean): number => attacks.filter(test).length;
  const notRun = count(({ notRun }) => notRun !== null);
  const silent = (result: AttackResult): boolean => result.notRun === null && !saysSomething(result);
  const failed = count((result) => silent(result) && controlOf(result) === "failed");
  const missing = count((result) => silent(result) && controlOf(result) === "missing");
  const stopped = count((result) => result.notRun === null && !result.complete);
  const was = (number: number): string => `${counted(number, "attack")} ${number === 1 ? "was" : "were"}`;
  return [
    notRun > 0 ? `${was(notRun)} not run.` : null,
    failed > 0 ? `The control of ${counted(failed, "attack")} failed: ${failed === 1 ? "its row says" : "their rows say"} nothing.` : null,
    missing > 0
      ? `The control of ${counted(missing, "attack")} could not be run: ${missing === 1 ? "its row says" : "their rows say"} nothing.`
      : null,
    stopped > 0 ? `Time ran out in ${counted(stopped, "attack")}: a longer run may recover more.` : null,
  ].filter((sentence) => sentence !== null);
}

const lowered = (sentence: string): string => `${sentence.slice(0, 1).toLowerCase()}${sentence.slice(1)}`;
