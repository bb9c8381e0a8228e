/**
 * What comes out of an encrypted model, and how its owner reads it.
 * @module
 */
import type { BlueprintOutput } from "./family.ts";
import type { FoldedNorm, Plan } from "./plan.ts";
import type { Space } from "./space.ts";
import type { Elements } from "./spaces.ts";

/**
 * What folding took from the norm that an output leaves, for each plain coordinate. It is part of the plain model, so it
 * belongs into the client's bundle and nowhere else.
 */
export interface OutputNorm {
  readonly gain: readonly number[];
  readonly bias: readonly number[];
  /** The number that stands in the norm's bias instead. */
  readonly offset: number;
}

/** An output that a client must decipher before it reads it. Plain data. */
export interface ModelOutput {
  /** As `transformers` calls it: "logits", "last_hidden_state", "image_embeds". */
  readonly name: string;
  /** Of its last axis. */
  readonly space: Space;
  /** null where the space's element alone tells the two apart. */
  readonly norm: OutputNorm | null;
}

/**
 * Plain numbers from an encrypted model's output: x = ((y - offset)·T^-1) ⊙ gain + bias.
 *
 * @param elements those of the key that the model is under
 * @param values `(rows, size)`, row-major; not changed
 */
export function decipherOutput(output: ModelOutput, elements: Elements, values: Float64Array): Float64Array {
  const { space, norm } = output;
  const rows = values.length / space.size;
  // A panel has one vector a column.
  const panel = new Float64Array(values.length); // (size, rows)
  for (let row = 0; row < rows; row += 1)
    for (let k = 0; k < space.size; k += 1) panel[k * rows + row] = (values[row * space.size + k] as number) - (norm?.offset ?? 0);
  elements.of(space)?.inverse().apply(panel, rows);
  const plain = new Float64Array(values.length);
  for (let row = 0; row < rows; row += 1) {
    for (let k = 0; k < space.size; k += 1) {
      const value = panel[k * rows + row] as number;
      plain[row * space.size + k] = norm ? value * (norm.gain[k] as number) + (norm.bias[k] as number) : value;
    }
  }
  return plain;
}

/**
 * The outputs of a transformed model.
 *
 * @param from the elements of the key that the source is under; null for a plain one
 * @param former the outputs of the source as its owner's bundle describes them, which an encrypted source does not hold
 */
export function modelOutputs(
  outputs: readonly BlueprintOutput[],
  plan: Plan,
  from: Elements | null,
  former: readonly ModelOutput[] | null,
): ModelOutput[] {
  return outputs.flatMap(({ name, space, after, from: tensor }): ModelOutput[] => {
    if (tensor !== undefined && !plan.present.has(tensor)) return [];
    if (after === undefined) return [{ name, space, norm: null }];
    const folded = plan.folded.get(after);
    const before = former?.find((output) => output.name === name);
    // Only the bundle knows whether, and from what, an encrypted source's norm was folded.
    if (from && !before) return [];
    if (before?.norm) return [{ name, space, norm: { ...before.norm, offset: folded?.offset ?? before.norm.offset } }];
    return [{ name, space, norm: folded ? plainNorm(folded, space, from) : null }];
  });
}

/** A norm's gain and bias in plain coordinates. */
function plainNorm({ gain, bias, offset }: FoldedNorm, space: Space, from: Elements | null): OutputNorm {
  const element = from?.of(space)?.inverse() ?? null;
  const [plainGain, plainBias] = [Float64Array.from(gain), Float64Array.from(bias)];
  // A sign that all coordinates share is not in the gain.
  const ones = new Float64Array(space.size).fill(1);
  element?.apply(ones, 1);
  element?.apply(plainGain, 1);
  element?.apply(plainBias, 1);
  return { gain: Array.from(plainGain, (value, index) => value * Math.sign(ones[index] as number)), bias: [...plainBias], offset };
}
