/**
 * Spaces, their groups, and the axes of tensors.
 *
 * Every axis of every tensor lives in a space. A tensor *writes* an axis when it produces vectors of
 * that space and *reads* it when it consumes them; a key picks one element T of each space's group,
 * and a written axis transforms by T, a read one by T^-T.
 * @module
 */
import type { Recipe } from "./recipe.ts";

/** The largest group that leaves every operation on a space exact (see docs/reference/groups.md). */
export type Group =
  /** Nothing can be transformed: positions, a head's norm gains. */
  | { readonly kind: "fixed" }
  /** Token ids, experts, neurons of GELU, SiLU and their gates. Members in `fixed` keep their place: ids that an engine knows by number. */
  | { readonly kind: "permutation"; readonly fixed?: readonly number[] }
  /** The linear factor of a gated unit: the permutation of `of`, times any non-zero scale. */
  | { readonly kind: "scaled"; readonly of: string }
  /** The hidden stream. `orthogonal` where all gains can be folded into readers. */
  | { readonly kind: "stream"; readonly norm: "rms" | "layer"; readonly foldable: boolean }
  /** Any other space: its elements, written down as recipes. */
  | { readonly kind: "recipe"; readonly permute: Recipe; readonly rotate: Recipe }
  /** One coordinate for each query head, in the order that the layers' heads have. */
  | { readonly kind: "head-order"; readonly heads: number; readonly kvHeads: number }
  /** What a layer's attention heads hold; the four roles share head order and per-head maps. */
  | {
      readonly kind: "heads";
      readonly role: "queries" | "keys" | "values" | "attended";
      /** Names the layer in key derivation: "layer.3". */
      readonly layer: string;
      /** Names the order of its heads: "layer.3.heads", or one name for layers that have to share an order. */
      readonly order: string;
      readonly heads: number;
      readonly kvHeads: number;
      readonly headSize: number;
      /** Rotated dimensions per head; 0 for layers without rotary positions. */
      readonly rotaryDimensions: number;
      /** Queries and keys pass a norm with gains, which leaves only signs inside the head. */
      readonly normed: boolean;
    };

/** A named set of coordinates. Plain data, so that it can be sent to worker threads. */
export interface Space {
  /** Names the space and the key derivation: "vocabulary", "stream", "layer.3.neurons". */
  readonly id: string;
  readonly size: number;
  readonly group: Group;
}

/**
 * How one tensor meets a space along one of its axes.
 * - `write`: produces vectors of the space.
 * - `read`: consumes them, behind the norm `after` where there is one.
 * - `gain`, `offset`: the weight and the bias of a norm on the space.
 * - `free`: a vector that no output depends on (a key bias without rotary positions; see docs/reference/groups.md).
 */
export interface SpaceAxis {
  readonly space: Space;
  readonly use: "write" | "read" | "gain" | "offset" | "free";
  /** For `read`: name of the norm (without `.weight`) whose output is read, if its gain can be folded. */
  readonly after?: string;
}

/** Axes laid one behind the other, as in fused projections. */
export interface ConcatAxis {
  readonly concat: readonly SpaceAxis[];
}

export type Axis = SpaceAxis | ConcatAxis;

export const write = (space: Space): SpaceAxis => ({ space, use: "write" });
export const read = (space: Space, after?: string): SpaceAxis =>
  after === undefined ? { space, use: "read" } : { space, use: "read", after };
export const gain = (space: Space): SpaceAxis => ({ space, use: "gain" });
export const offset = (space: Space): SpaceAxis => ({ space, use: "offset" });
export const free = (space: Space): SpaceAxis => ({ space, use: "free" });
export const concat = (...parts: readonly SpaceAxis[]): ConcatAxis => ({ concat: parts });

/** The parts of an axis, in order; one for an axis that is not fused. */
export function axisParts(axis: Axis): readonly SpaceAxis[] {
  return "concat" in axis ? axis.concat : [axis];
}

/** The number of coordinates along an axis. */
export function axisSize(axis: Axis): number {
  return axisParts(axis).reduce((sum, part) => sum + part.space.size, 0);
}
