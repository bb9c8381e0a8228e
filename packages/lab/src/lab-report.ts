/**
 * What the lab found out about one model: the object of `unseen attack --json`, and what `unseen report` shows as a page.
 * @module
 */
import type { AttackResult } from "./result.ts";

/** The form of this object; a reader refuses others. */
export const REPORT_VERSION = 1;

/** One setting of a defence: what it costs, and what it stops. */
export interface DefencePoint {
  /** Such as `weight-noise`. */
  readonly defence: string;
  /** The dial: relative noise, copies of a frequent token, decoys for each request. */
  readonly x: number;
  /** What the model still computes, against the plain one on text; null where the defence leaves it exact. */
  readonly fidelity: {
    /** Mean Kullback-Leibler divergence of the next token, plain from defended, in nats. */
    readonly meanKl: number;
    /** Share of positions with the same likeliest next token, 0..1. */
    readonly top1: number;
  } | null;
  /** What each attack recovers of it, means over keys, 0..1. */
  readonly recovery: Readonly<Record<string, { readonly vocabularyTop1: number; readonly textTokens: number | null }>>;
  /** Attacks whose time ran out before they found anything: they say nothing. */
  readonly cutShort?: readonly string[] | undefined;
  readonly keys: number;
  /** What it costs beside fidelity: factor of tokens sent, of vocabulary rows. 1 = nothing. */
  readonly cost: number;
}

/** Everything measured on one model. */
export interface LabReport {
  readonly version: typeof REPORT_VERSION;
  /** ISO 8601. */
  readonly created: string;
  readonly model: {
    readonly name: string;
    readonly family: string;
    readonly strength: "permute" | "rotate";
    readonly fingerprint: string;
    readonly vocabulary: number;
    readonly special: number;
    readonly base: string | null;
  };
  readonly settings: {
    readonly keys: number;
    readonly seed: number;
    readonly budgetSeconds: number;
    readonly recordedTokens: number;
    readonly heldOutTokens: number;
    readonly priorTokens: number;
  };
  readonly versions: { readonly unseen: string; readonly node: string };
  readonly attacks: readonly AttackResult[];
  readonly defences: readonly DefencePoint[];
}
