/**
 * What a decoder computes, read from its configuration once, in one vocabulary for all families.
 * @module
 */

/** Rotary position embedding of one layer. Su et al., "RoFormer", arXiv 2104.09864. */
export interface Rope {
  readonly theta: number;
  /** Rotated dimensions of a head (a multiple of 2, at most the head size). */
  readonly dimensions: number;
  readonly scaling: RopeScaling | null;
}

/** How frequencies are stretched beyond the trained context; the names are those of `rope_type`. */
export type RopeScaling =
  | { readonly type: "linear"; readonly factor: number }
  /** Every frequency divided by its own factor, as a GGUF's `rope_freqs` says. */
  | { readonly type: "factors"; readonly factors: readonly number[] }
  | {
      readonly type: "llama3";
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      readonly originalPositions: number;
    }
  | {
      readonly type: "yarn";
      readonly factor: number;
      readonly originalPositions: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      readonly attentionFactor: number;
      readonly truncate: boolean;
    }
  | {
      readonly type: "longrope";
      readonly shortFactors: readonly number[];
      readonly longFactors: readonly number[];
      readonly originalPositions: number;
      readonly attentionFactor: number;
    };

/** A mixture-of-experts feed-forward block. */
export interface Experts {
  readonly count: number;
  readonly perToken: number;
  /** Neurons of one expert. */
  readonly neurons: number;
  /** Whether the chosen experts' probabilities are divided by their sum. */
  readonly normalise: boolean;
}

export interface Layer {
  readonly rope: Rope | null;
  /** Positions that attention sees, the current one included; null for all. */
  readonly window: number | null;
  /** null for a dense feed-forward block. */
  readonly experts: Experts | null;
}

export interface Architecture {
  /** `model_type` of the configuration. */
  readonly family: string;
  readonly vocabulary: number;
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headSize: number;
  /** Neurons of a dense feed-forward block. */
  readonly neurons: number;
  readonly layers: readonly Layer[];
  readonly norm: { readonly kind: "rms" | "layer"; readonly epsilon: number; /** Gemma stores gain - 1. */ readonly gainOffset: 0 | 1 };
  /** Norms behind attention and feed-forward, inside the residual branch (Gemma 2 and 3). */
  readonly postNorms: boolean;
  /** Norms on queries and keys per head (Qwen3, Gemma 3). */
  readonly headNorms: boolean;
  readonly activation: "silu" | "gelu" | "gelu-tanh";
  readonly gated: boolean;
  readonly attentionScale: number;
  /** GPT-2's optional extra division by the layer's number, counted from one. */
  readonly scaleByLayer: boolean;
  readonly attentionCap: number | null;
  readonly finalCap: number | null;
  readonly embeddingScale: number;
  /** Rows of the learned position table, or null. */
  readonly learnedPositions: number | null;
  readonly tied: boolean;
  readonly maximumPositions: number;
}

/** Query heads that share one key-value head. */
export function groupSize(architecture: Architecture): number {
  return architecture.heads / architecture.kvHeads;
}
