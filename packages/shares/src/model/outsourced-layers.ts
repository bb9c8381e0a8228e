/**
 * Linear layers that somebody else multiplies: activations become whole numbers, row by row, and products become
 * activations again. Dettmers et al., "LLM.int8()" (2208.07339) quantises rows of activations and of weights like this.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import type { Group } from "../layout.ts";
import type { Multiplier } from "../multiplier.ts";
import type { ClientModel } from "./client-model.ts";

/** Rows as whole numbers: x is about rows * scale of its row. */
export interface QuantisedRows {
  /** (count, in) */
  readonly rows: Int32Array;
  /** (count); 0 for a row of zeros. */
  readonly scales: Float64Array;
}

/**
 * Rounds each row of `x` (count, size) so that its largest magnitude becomes `limit`.
 *
 * @throws UnseenError CHECKPOINT_NON_FINITE for activations that are NaN or infinite
 */
export function quantiseRows(x: Float64Array, size: number, limit: number): QuantisedRows {
  const rows = new Int32Array(x.length);
  const scales = new Float64Array(x.length / size);
  for (let row = 0; row < scales.length; row += 1) {
    const start = row * size;
    let largest = 0;
    for (let place = start; place < start + size; place += 1) {
      const magnitude = Math.abs(x[place] as number);
      // NaN fails this comparison, too.
      if (!(magnitude <= Number.MAX_VALUE))
        throw new UnseenError("CHECKPOINT_NON_FINITE", "an activation is NaN or infinite: the model's numbers overflow.", {
          hint: "Check the model with `unseen verify`, and prepare it again.",
        });
      if (magnitude > largest) largest = magnitude;
    }
    const factor = limit / largest;
    // Below the normal numbers the factor overflows; such a row is zero for all purposes.
    if (!Number.isFinite(factor)) continue;
    scales[row] = largest / limit;
    for (let place = start; place < start + size; place += 1) rows[place] = Math.round((x[place] as number) * factor);
  }
  return { rows, scales };
}

/** The scales and biases of one layer. */
interface Rescaling {
  /** (out) */
  readonly scale: Float32Array;
  readonly bias: Float32Array | null;
}

/** All linear layers of a model. */
export class OutsourcedLayers {
  readonly #groups: readonly Group[];
  readonly #limits: readonly number[];
  readonly #rescalings: readonly (readonly Rescaling[])[];

  /** Reads scales and biases. Throws `CHECKPOINT_*`. */
  constructor(client: ClientModel) {
    this.#groups = client.layout.groups;
    this.#limits = client.description.limits;
    this.#rescalings = this.#groups.map(({ layers }) =>
      layers.map(({ name, out }) => ({ scale: client.tensor(`${name}.scale`, out), bias: client.optional(`${name}.bias`, out) })),
    );
  }

  /**
   * y = W x + b for each layer of a group: (T, in) -> (T, out) each.
   *
   * @throws UnseenError CHECKPOINT_NON_FINITE, and what the multiplier throws
   */
  async apply(index: number, x: Float64Array, multiplier: Multiplier, signal?: AbortSignal): Promise<Float64Array[]> {
    const { in: size } = this.#groups[index] as Group;
    const { rows, scales } = quantiseRows(x, size, this.#limits[index] as number);
    signal?.throwIfAborted();
    const products = await multiplier.multiply(index, rows, scales.length, signal);
    signal?.throwIfAborted();
    return (this.#rescalings[index] as readonly Rescaling[]).map((layer, place) => rescale(products[place], scales, layer));
  }
}

/** (T, out), as a new array. */
function rescale(products: Float64Array | undefined, scales: Float64Array, { scale, bias }: Rescaling): Float64Array {
  const out = scale.length;
  if (products?.length !== scales.length * out)
    throw new UnseenError("INTERNAL", `expected ${scales.length * out} products, got ${products?.length ?? 0}.`);
  const y = new Float64Array(products.length);
  for (let row = 0; row < scales.length; row += 1) {
    const rowScale = scales[row] as number;
    for (let column = 0; column < out; column += 1) {
      const place = row * out + column;
      y[place] = (products[place] as number) * rowScale * (scale[column] as number) + (bias ? (bias[column] as number) : 0);
    }
  }
  return y;
}
