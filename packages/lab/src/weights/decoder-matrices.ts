/**
 * The matrices of a decoder, folded.
 * @module
 */
import type { Architecture } from "@unseen/core/blueprint/architecture.ts";
import type { Model } from "@unseen/core/blueprint/model.ts";
import { WeightReader, type NormWeights } from "@unseen/core/reference/weights.ts";
import { folded, plain, centred } from "./fold.ts";
import type { Weights } from "./weights.ts";

/** Throws `CHECKPOINT_*` when a matrix is asked for and missing. */
export function decoderMatrices(model: Model, a: Architecture): Weights {
  const reader = new WeightReader(model, a);
  const centre = a.norm.kind === "layer";
  const rope = a.layers[0]?.rope ?? null;
  return {
    name: model.name,
    kind: "decoder",
    vocabulary: a.vocabulary,
    hidden: a.hidden,
    layers: a.layers.length,
    layout: {
      heads: a.heads,
      kvHeads: a.kvHeads,
      headSize: a.headSize,
      rotaryDimensions: rope?.dimensions ?? 0,
      rotaryLayout: model.rotaryLayout,
    },
    embedding: () => centred(plain(reader.embedding()), centre),
    head: () => folded(reader.head(), reader.finalNorm().gain, centre),
    layer(index) {
      const w = reader.layer(index);
      const read = (norm: NormWeights) => (linear: Parameters<typeof folded>[0]) => folded(linear, norm.gain, centre);
      const [attention, feedForward] = [read(w.attentionNorm), read(w.feedForwardNorm)];
      return {
        queries: attention(w.queries),
        keys: attention(w.keys),
        values: attention(w.values),
        output: plain(w.output),
        gate: w.feedForward?.gate ? feedForward(w.feedForward.gate) : null,
        up: w.feedForward ? feedForward(w.feedForward.up) : null,
        down: w.feedForward ? plain(w.feedForward.down) : null,
      };
    },
    model,
    path: model.path,
  };
}
