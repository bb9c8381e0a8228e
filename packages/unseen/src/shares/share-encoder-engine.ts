/**
 * Two servers as one engine for encoders: cipher ids in, encrypted outputs back, the forward pass here.
 * @module
 */
import type { EncoderEngine, IdRows, TensorRows } from "@unseen/client/encoders/encoder-host.ts";
import { cosine } from "@unseen/client/encoders/scores.ts";
import type { Tensor } from "@unseen/client/encoders/tensor.ts";
import type { HostFacts } from "@unseen/client/engines/engine.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import type { EncoderOutput } from "@unseen/core/reference/encoder.ts";
import type { ShareEncoder } from "@unseen/shares/model/encoder.ts";
import type { SharePair } from "./share-pair.ts";
import type { SharedModel } from "./shares-engine.ts";

export class ShareEncoderEngine implements EncoderEngine {
  /** Ids reach no machine, since the forward pass runs here. */
  readonly keepsIds = true;
  readonly pair: SharePair;
  readonly #model: SharedModel;
  readonly #pooling: "mean" | "cls" | null;
  readonly #encoder: ShareEncoder;

  constructor(pair: SharePair, model: SharedModel, pooling: "mean" | "cls" | null, encoder: ShareEncoder) {
    this.pair = pair;
    this.#model = model;
    this.#pooling = pooling;
    this.#encoder = encoder;
  }

  /** Both addresses, for messages. */
  get url(): string {
    return this.pair.url;
  }

  async probe(): Promise<HostFacts> {
    return { engine: "unseen-shares", models: [this.#model] };
  }

  close(): void {
    this.pair.close();
  }

  async outputs(_model: string, rows: IdRows | TensorRows, signal: AbortSignal): Promise<Tensor[]> {
    return (await this.#run(rows, signal)).map(([name, { rows: count, columns, values }]) => ({
      // One row of logits has no axis of its own.
      shape: name === "logits" ? [columns] : [count, columns],
      values,
    }));
  }

  async embed(_model: string, rows: IdRows, signal: AbortSignal): Promise<Float64Array[]> {
    const outputs = await this.#run(rows, signal);
    return outputs.map(([, output], row) => pool(output, rows.masks?.[row], this.#pooling));
  }

  async rank(model: string, query: readonly number[], documents: readonly (readonly number[])[], signal: AbortSignal): Promise<number[]> {
    const [asked, ...vectors] = (await this.embed(model, { ids: [query, ...documents] }, signal)) as [Float64Array, ...Float64Array[]];
    return vectors.map((vector) => cosine(asked, vector));
  }

  /** The model's first output for each row, with its name; one row after the other, since their lengths differ. */
  async #run(rows: IdRows | TensorRows, signal: AbortSignal): Promise<(readonly [string, EncoderOutput])[]> {
    if (!("ids" in rows))
      throw new UnseenError("REQUEST_UNSUPPORTED", "model: two servers run encoders of text alone.", { hint: "Use a host for pictures." });
    const multiplier = this.pair.begin();
    const results: (readonly [string, EncoderOutput])[] = [];
    for (const [row, ids] of rows.ids.entries()) {
      const [types, mask] = [rows.segments?.[row], rows.masks?.[row]];
      const input = { ids, ...(types ? { types } : {}), ...(mask ? { mask } : {}) };
      const [first] = await this.#encoder.run(input, multiplier, signal);
      results.push(first!);
    }
    return results;
  }
}

/** The mean of the rows that count, or the first one. */
function pool({ rows, columns, values }: EncoderOutput, mask: readonly number[] | undefined, pooling: "mean" | "cls" | null): Float64Array {
  if (pooling !== "mean" || rows === 1) return values.slice(0, columns);
  const vector = new Float64Array(columns);
  let count = 0;
  for (let row = 0; row < rows; row += 1) {
    if (mask?.[row] === 0) continue;
    count += 1;
    for (let column = 0; column < columns; column += 1) vector[column]! += values[row * columns + column]!;
  }
  return vector.map((sum) => sum / Math.max(1, count));
}
