/**
 * The forward pass of a decoder, one position at a time and many tokens at once: an attacker who knows how a text begins tries
 * every token that may come next. Computes what `forward` of `@unseen/core/reference/forward.ts` does; a test compares the two.
 *
 * Shapes: batch (B), hidden (d), heads (H), key-value heads (K), head size (h), neurons (m), positions so far (t).
 * @module
 */
import { groupSize, type Architecture, type Layer, type Rope } from "@unseen/core/blueprint/architecture.ts";
import { decoderOf } from "@unseen/core/blueprint/families/index.ts";
import type { Model } from "@unseen/core/blueprint/model.ts";
import { checkShapes } from "@unseen/core/blueprint/plan.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { activations } from "@unseen/core/reference/activation.ts";
import { normaliseRows } from "@unseen/core/reference/layers.ts";
import { frequencies } from "@unseen/core/reference/rotary.ts";
import { WeightReader, type LayerWeights, type Linear, type NormWeights } from "@unseen/core/reference/weights.ts";
import { matrix, rowOf, type Matrix } from "../numeric/matrix.ts";
import { applyDense, dense, type Dense } from "../weights/dense.ts";
import { softmaxInPlace } from "./softmax.ts";

/** The beginning of a text as the next position needs it. Never changed: one prefix can be continued in many ways. */
export interface Prefix {
  readonly length: number;
  /** Of each layer. */
  readonly caches: readonly Cache[];
}

interface Cache {
  readonly keys: Float64Array; // (t, K·h), rotated
  readonly values: Float64Array; // (t, K·h)
}

/** The next position, under every token that was tried. */
export interface Step {
  /** The stream before the first layer and after each: `(B, d)` each. */
  readonly states: readonly Matrix[];
  /** The prefix continued with the token of one row. */
  extend(row: number): Prefix;
}

/** What a run needs to know beforehand. */
export interface RunOptions {
  /** How many layers to run, from the first; all unless given. */
  readonly layers?: number;
  /** Positions of the whole text, which decide between LongRoPE's factors; the model's maximum unless given. */
  readonly positions?: number;
}

type Block = Omit<LayerWeights, "queries" | "keys" | "values" | "output" | "feedForward"> & {
  readonly layer: Layer;
  readonly queries: Dense;
  readonly keys: Dense;
  readonly values: Dense;
  readonly output: Dense;
  readonly gate: Dense | null;
  readonly up: Dense;
  readonly down: Dense;
};

/** A decoder with the weights of its layers in memory: 8 bytes for each. */
export class IncrementalForward {
  readonly architecture: Architecture;
  /** The prefix of every text. */
  readonly empty: Prefix;
  readonly #model: Model;
  readonly #reader: WeightReader;
  readonly #embedding: Linear;
  readonly #learned: Linear | null;
  readonly #blocks: readonly Block[];
  readonly #positions: number;
  #output: { readonly norm: NormWeights; readonly head: Dense } | null = null;

  /** Throws `FAMILY_*`, among them `FAMILY_UNSUPPORTED_VALUE` for mixtures of experts, and `CHECKPOINT_*`. */
  constructor(model: Model, options: RunOptions = {}) {
    const blueprint = decoderOf(model.config);
    checkShapes(model, blueprint);
    const a = blueprint.architecture;
    this.architecture = a;
    this.#model = model;
    this.#positions = options.positions ?? a.maximumPositions;
    this.#reader = new WeightReader(model, a);
    this.#embedding = this.#reader.embedding();
    this.#learned = this.#reader.positions();
    this.#blocks = a.layers.slice(0, options.layers).map((layer, index) => readBlock(this.#reader.layer(index), layer));
    const none = new Float64Array(0);
    this.empty = { length: 0, caches: this.#blocks.map(() => ({ keys: none, values: none })) };
  }

  /** Tries tokens behind a prefix. Throws `TOKEN_OUT_OF_RANGE`, and `REQUEST_TOO_LARGE` beyond the table of positions. */
  step(prefix: Prefix, ids: ArrayLike<number>): Step {
    const a = this.architecture;
    const position = prefix.length;
    let stream = this.#embed(ids, position);
    const states = [stream];
    const made: Cache[] = []; // (B, K·h) each
    for (const [index, block] of this.#blocks.entries()) {
      const x = normalise(stream, block.attentionNorm, a);
      const [queries, keys, values] = [applyDense(block.queries, x), applyDense(block.keys, x), applyDense(block.values, x)];
      if (block.queryNorm) normaliseHeads(queries, block.queryNorm, a);
      if (block.keyNorm) normaliseHeads(keys, block.keyNorm, a);
      if (block.layer.rope) for (const heads of [queries, keys]) this.#rotate(heads, position, block.layer.rope);
      const scale = a.attentionScale / (a.scaleByLayer ? index + 1 : 1);
      const mixed = attend(queries, keys, values, prefix.caches[index] as Cache, { a, window: block.layer.window, scale, position });
      const attended = applyDense(block.output, mixed);
      stream = sum(stream, block.attentionPostNorm ? normalise(attended, block.attentionPostNorm, a) : attended);
      const fed = feed(normalise(stream, block.feedForwardNorm, a), block, a);
      stream = sum(stream, block.feedForwardPostNorm ? normalise(fed, block.feedForwardPostNorm, a) : fed);
      states.push(stream);
      made.push({ keys: keys.values, values: values.values });
    }
    return {
      states,
      extend: (row) => ({
        length: position + 1,
        caches: made.map(({ keys, values }, index) => {
          const { keys: oldKeys, values: oldValues } = prefix.caches[index] as Cache;
          const width = a.kvHeads * a.headSize;
          const range = [row * width, (row + 1) * width] as const;
          return { keys: appended(oldKeys, keys.subarray(...range)), values: appended(oldValues, values.subarray(...range)) };
        }),
      }),
    };
  }

  /** The states of a whole text, before the first layer and after each: `(t, d)` each. Throws as {@link step}. */
  states(ids: ArrayLike<number>): Matrix[] {
    const states = Array.from({ length: this.#blocks.length + 1 }, () => matrix(ids.length, this.architecture.hidden));
    let prefix = this.empty;
    for (let position = 0; position < ids.length; position += 1) {
      const step = this.step(prefix, [ids[position] as number]);
      for (const [index, state] of step.states.entries()) rowOf(states[index] as Matrix, position).set(state.values);
      prefix = step.extend(0);
    }
    return states;
  }

  /** Next tokens' logits from states behind the last layer: `(B, d)` -> `(B, vocabulary)`. */
  logits(stream: Matrix): Matrix {
    const a = this.architecture;
    this.#output ??= { norm: this.#reader.finalNorm(), head: dense(a.tied ? this.#embedding : this.#reader.head()) };
    const out = applyDense(this.#output.head, normalise(stream, this.#output.norm, a));
    cap(out.values, a.finalCap);
    return out;
  }

  #embed(ids: ArrayLike<number>, position: number): Matrix {
    const { hidden, embeddingScale } = this.architecture;
    const [embedding, learned] = [this.#embedding, this.#learned];
    if (learned && position >= learned.out)
      throw new UnseenError("REQUEST_TOO_LARGE", `the model has ${learned.out} positions, the text more.`, {
        hint: "Give a shorter text.",
      });
    const stream = matrix(ids.length, hidden);
    for (let i = 0; i < ids.length; i += 1) {
      const id = ids[i] as number;
      if (!Number.isInteger(id) || id < 0 || id >= embedding.out)
        throw new UnseenError("TOKEN_OUT_OF_RANGE", `token id ${id} is outside the vocabulary of ${embedding.out}.`);
      for (let k = 0; k < hidden; k += 1) {
        const token = (embedding.weight[id * hidden + k] as number) * embeddingScale;
        stream.values[i * hidden + k] = token + (learned?.weight[position * hidden + k] ?? 0);
      }
    }
    return stream;
  }

  /** Turns every head of every row by the angles of one position, in place. */
  #rotate({ values }: Matrix, position: number, rope: Rope): void {
    const { angles, factor } = frequencies(rope, this.#positions);
    const half = rope.dimensions / 2;
    const cosines = angles.map((angle) => Math.cos(position * angle) * factor);
    const sines = angles.map((angle) => Math.sin(position * angle) * factor);
    const paired = this.#model.rotaryLayout === "half";
    for (let start = 0; start < values.length; start += this.architecture.headSize) {
      for (let pair = 0; pair < half; pair += 1) {
        const first = start + (paired ? pair : 2 * pair);
        const second = paired ? first + half : first + 1;
        const [x, y] = [values[first] as number, values[second] as number];
        values[first] = x * (cosines[pair] as number) - y * (sines[pair] as number);
        values[second] = x * (sines[pair] as number) + y * (cosines[pair] as number);
      }
    }
  }
}

function readBlock(weights: LayerWeights, layer: Layer): Block {
  const { queries, keys, values, output, feedForward, ...rest } = weights;
  if (!feedForward)
    throw new UnseenError("FAMILY_UNSUPPORTED_VALUE", "expected a decoder without mixtures of experts, got one with them.", {
      hint: "Use `forward`, which runs them.",
    });
  const { gate, up, down } = feedForward;
  return {
    ...rest,
    layer,
    queries: dense(queries),
    keys: dense(keys),
    values: dense(values),
    output: dense(output),
    gate: gate && dense(gate),
    up: dense(up),
    down: dense(down),
  };
}

interface Attention {
  readonly a: Architecture;
  readonly window: number | null;
  readonly scale: number;
  readonly position: number;
}

/** Each row looks at the prefix and at itself, not at the other rows: (B, H·h). */
function attend(queries: Matrix, keys: Matrix, values: Matrix, cache: Cache, { a, window, scale, position }: Attention): Matrix {
  const size = a.headSize;
  const width = a.kvHeads * size;
  const first = window === null ? 0 : Math.max(0, position - window + 1);
  const scores = new Float64Array(position - first + 1);
  const mixed = matrix(queries.rows, queries.columns);
  for (let row = 0; row < queries.rows; row += 1) {
    for (let head = 0; head < a.heads; head += 1) {
      const inside = Math.floor(head / groupSize(a)) * size;
      const query = row * queries.columns + head * size;
      for (let from = first; from <= position; from += 1) {
        const [source, start] = from < position ? [cache.keys, from * width + inside] : [keys.values, row * width + inside];
        let score = 0;
        for (let k = 0; k < size; k += 1) score += (queries.values[query + k] as number) * (source[start + k] as number);
        scores[from - first] = score * scale;
      }
      cap(scores, a.attentionCap);
      softmaxInPlace(scores);
      for (let from = first; from <= position; from += 1) {
        const [source, start] = from < position ? [cache.values, from * width + inside] : [values.values, row * width + inside];
        const share = scores[from - first] as number;
        for (let k = 0; k < size; k += 1) mixed.values[query + k]! += share * (source[start + k] as number);
      }
    }
  }
  return mixed;
}

/** down(activation(gate(x)) ⊙ up(x)), or down(activation(up(x))). */
function feed(x: Matrix, { gate, up, down }: Block, a: Architecture): Matrix {
  const activation = activations[a.activation];
  const inner = applyDense(up, x); // (B, m)
  if (gate) {
    const gates = applyDense(gate, x).values;
    for (let i = 0; i < gates.length; i += 1) inner.values[i]! *= activation(gates[i] as number);
  } else for (let i = 0; i < inner.values.length; i += 1) inner.values[i] = activation(inner.values[i] as number);
  return applyDense(down, inner);
}

function normalise(x: Matrix, w: NormWeights, a: Architecture): Matrix {
  return matrix(x.rows, x.columns, normaliseRows(x.values, w, a.norm, a.hidden));
}

/** The norm of every head, in place. */
function normaliseHeads(x: Matrix, w: NormWeights, a: Architecture): void {
  x.values.set(normaliseRows(x.values, w, a.norm, a.headSize));
}

function cap(x: Float64Array, limit: number | null): void {
  if (limit !== null) for (let i = 0; i < x.length; i += 1) x[i] = limit * Math.tanh((x[i] as number) / limit);
}

function sum(x: Matrix, y: Matrix): Matrix {
  return matrix(
    x.rows,
    x.columns,
    x.values.map((value, at) => value + (y.values[at] as number)),
  );
}

function appended(numbers: Float64Array, more: Float64Array): Float64Array {
  const out = new Float64Array(numbers.length + more.length);
  out.set(numbers);
  out.set(more, numbers.length);
  return out;
}
