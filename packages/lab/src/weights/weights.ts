/**
 * A model's weights as an attacker prepares them: norm gains folded into what reads them, so that the plain and the encrypted
 * model differ by the key alone. Independent of the blueprints, which know where a key acts.
 *
 * Shapes: vocabulary (V), hidden (d), heads (H), key-value heads (K), head size (h), neurons (m).
 * @module
 */
import type { Model } from "@unseen/core/blueprint/model.ts";
import type { Matrix } from "../numeric/matrix.ts";

/** One block. */
export interface LayerMatrices {
  readonly queries: Matrix; // (H·h, d)
  readonly keys: Matrix; // (K·h, d)
  readonly values: Matrix; // (K·h, d)
  readonly output: Matrix; // (d, H·h)
  /** null without gates, and for mixtures of experts. */
  readonly gate: Matrix | null; // (m, d)
  /** null for mixtures of experts. */
  readonly up: Matrix | null; // (m, d)
  readonly down: Matrix | null; // (d, m)
}

/** How a block's heads lie in its matrices. */
export interface HeadLayout {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headSize: number;
  /** Dimensions of a head that positions rotate, 0 without; pairs are (i, i + half) or (2i, 2i + 1). */
  readonly rotaryDimensions: number;
  readonly rotaryLayout: "half" | "interleaved";
}

/** What a host has of a model. Matrices are read when asked for. */
export interface Weights {
  readonly name: string;
  readonly kind: "decoder" | "encoder" | "onnx";
  readonly vocabulary: number;
  readonly hidden: number;
  readonly layers: number;
  readonly layout: HeadLayout | null;
  /** The word table as it enters the stream; rows less their mean where a LayerNorm reads them. */
  embedding(): Matrix; // (V, d)
  /** The output table; null for models without next tokens. */
  head(): Matrix | null; // (V, d)
  /** null where the format does not tell (ONNX). */
  layer(index: number): LayerMatrices | null;
  /** For running it; null for ONNX. */
  readonly model: Model | null;
  /** Absolute path. */
  readonly path: string;
}
