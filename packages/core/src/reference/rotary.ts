/**
 * Rotary position embedding, written as its papers write it: angles per position and frequency pair.
 * RoFormer (2104.09864); scalings: position interpolation (2306.15595), YaRN (2309.00071), LongRoPE
 * (2402.13753), and the frequency bands of Llama 3.1.
 * @module
 */
import type { Rope } from "../blueprint/architecture.ts";
import type { RotaryLayout } from "../blueprint/spaces.ts";

/** The angle per position of every frequency pair, and the factor on cosines and sines. */
export function frequencies(rope: Rope, positions: number): { readonly angles: Float64Array; readonly factor: number } {
  const pairs = rope.dimensions / 2;
  const plain = Float64Array.from({ length: pairs }, (_, pair) => rope.theta ** ((-2 * pair) / rope.dimensions));
  const { scaling } = rope;
  switch (scaling?.type) {
    case undefined:
      return { angles: plain, factor: 1 };
    case "linear":
      return { angles: plain.map((angle) => angle / scaling.factor), factor: 1 };
    case "factors":
      return { angles: plain.map((angle, pair) => angle / (scaling.factors[pair] as number)), factor: 1 };
    case "llama3": {
      const angles = plain.map((angle) => {
        const wavelength = (2 * Math.PI) / angle;
        if (wavelength < scaling.originalPositions / scaling.highFrequencyFactor) return angle;
        if (wavelength > scaling.originalPositions / scaling.lowFrequencyFactor) return angle / scaling.factor;
        const smooth =
          (scaling.originalPositions / wavelength - scaling.lowFrequencyFactor) /
          (scaling.highFrequencyFactor - scaling.lowFrequencyFactor);
        return ((1 - smooth) * angle) / scaling.factor + smooth * angle;
      });
      return { angles, factor: 1 };
    }
    case "yarn": {
      const dimensionOf = (rotations: number): number =>
        (rope.dimensions * Math.log(scaling.originalPositions / (rotations * 2 * Math.PI))) / (2 * Math.log(rope.theta));
      const round = scaling.truncate ? [Math.floor, Math.ceil] : [(x: number) => x, (x: number) => x];
      const low = Math.max((round[0] as (x: number) => number)(dimensionOf(scaling.betaFast)), 0);
      const high = Math.min((round[1] as (x: number) => number)(dimensionOf(scaling.betaSlow)), rope.dimensions - 1);
      const angles = plain.map((angle, pair) => {
        const ramp = Math.min(Math.max((pair - low) / (low === high ? 0.001 : high - low), 0), 1);
        return (angle / scaling.factor) * ramp + angle * (1 - ramp);
      });
      return { angles, factor: scaling.attentionFactor };
    }
    case "longrope": {
      const factors = positions > scaling.originalPositions ? scaling.longFactors : scaling.shortFactors;
      return { angles: plain.map((angle, pair) => angle / (factors[pair] as number)), factor: scaling.attentionFactor };
    }
  }
}

/** Where rotated vectors stand: `first` is the position of the first (0), `total` how many positions there are in all (first + positions). */
export interface RotaryShape {
  readonly positions: number;
  readonly heads: number;
  readonly headSize: number;
  readonly first?: number;
  readonly total?: number;
}

/** Rotates `vectors` (positions, heads, headSize) in place by each position's angles. */
export function rotate(vectors: Float64Array, shape: RotaryShape, rope: Rope, layout: RotaryLayout): void {
  const { first: offset = 0 } = shape;
  const { angles, factor } = frequencies(rope, shape.total ?? offset + shape.positions);
  const half = rope.dimensions / 2;
  for (let position = 0; position < shape.positions; position += 1) {
    for (let head = 0; head < shape.heads; head += 1) {
      const start = (position * shape.heads + head) * shape.headSize;
      for (let pair = 0; pair < half; pair += 1) {
        const angle = (offset + position) * (angles[pair] as number);
        const [cosine, sine] = [Math.cos(angle) * factor, Math.sin(angle) * factor];
        const first = start + (layout === "half" ? pair : 2 * pair);
        const second = layout === "half" ? first + half : first + 1;
        const [x, y] = [vectors[first] as number, vectors[second] as number];
        vectors[first] = x * cosine - y * sine;
        vectors[second] = x * sine + y * cosine;
      }
    }
  }
}
