/**
 * ViT: patches of a picture through blocks with a norm before each, folded into what reads it, so that the stream is
 * rotated around the all-ones direction. The pixels themselves stay as they are: the patch projection reads them in clear.
 * Source: docs/reference/groups.md.
 * @module
 */
import { norm } from "../decoder.ts";
import {
  checkTowers,
  patchPositions,
  readActivation,
  readClasses,
  readHead,
  readPatches,
  readSizes,
  requireEncoder,
  type PatchInput,
  type Tower,
} from "../encoder.ts";
import { block, dense, fixed, linear, neurons, towerSpaces } from "../encoder-spaces.ts";
import type { EncoderFamily, Row } from "../family.ts";
import { read, write } from "../space.ts";
import { optional } from "./bert.ts";

export const vit: EncoderFamily = {
  types: ["vit"],
  architecture(config) {
    requireEncoder(config);
    const head = readHead(config, { ViTModel: "none", ViTForImageClassification: "sequence-classes" });
    const input = readPatches(config, { image: 224, patch: 16 });
    const tower: Tower = {
      prefix: "",
      input,
      ...readSizes(config),
      activation: readActivation(config, "hidden_act", "gelu"),
      epsilon: config.positive("layer_norm_eps", 1e-12),
      norms: "before",
      inputNorm: false,
      causal: false,
      attentionBias: config.flag("qkv_bias", true),
      distanceBuckets: null,
    };
    return checkTowers({
      family: config.family,
      towers: [tower],
      head,
      ...(head === "none" ? { classes: 0, labels: null } : readClasses(config)),
      projection: config.count("pooler_output_size", tower.hidden),
      poolerActivation: readActivation(config, "pooler_act", "tanh"),
      endOfText: null,
      vocabulary: 0,
      maximumPositions: patchPositions(input),
    });
  },
  blueprint(encoder) {
    const [tower] = encoder.towers as readonly [Tower];
    const { channels, patchHeight, patchWidth } = tower.input as PatchInput;
    const spaces = towerSpaces(tower);
    const { stream } = spaces;
    const { hidden } = tower;
    const positions = encoder.maximumPositions;
    const pooled = neurons("pooled", encoder.projection, encoder.poolerActivation);
    const classes = linear("classes", encoder.classes);
    const tensors: Record<string, Row> = {
      "vit.embeddings.cls_token": { axes: [write(stream)], shape: [1, 1, hidden] },
      "vit.embeddings.mask_token": { axes: [write(stream)], shape: [1, 1, hidden], optional: true },
      "vit.embeddings.position_embeddings": { axes: [write(fixed(positions)), write(stream)], shape: [1, positions, hidden] },
      "vit.embeddings.patch_embeddings.projection.weight": {
        axes: [write(stream), write(fixed(channels * patchHeight * patchWidth))],
        shape: [hidden, channels, patchHeight, patchWidth],
      },
      "vit.embeddings.patch_embeddings.projection.bias": { axes: [write(stream)] },
      ...norm("vit.layernorm", stream, "layer"),
      ...optional(dense("vit.pooler.dense", write(pooled), read(stream, "vit.layernorm"))),
      ...(encoder.head === "none" ? {} : dense("classifier", write(classes), read(stream, "vit.layernorm"))),
    };
    for (let index = 0; index < tower.layers; index += 1) {
      const layer = `vit.encoder.layer.${index}`;
      Object.assign(
        tensors,
        block(tower, spaces, index, {
          queries: `${layer}.attention.attention.query`,
          keys: `${layer}.attention.attention.key`,
          values: `${layer}.attention.attention.value`,
          output: `${layer}.attention.output.dense`,
          attentionNorm: `${layer}.layernorm_before`,
          up: `${layer}.intermediate.dense`,
          down: `${layer}.output.dense`,
          feedForwardNorm: `${layer}.layernorm_after`,
        }),
      );
    }
    return {
      kind: "encoder",
      architecture: encoder,
      vocabulary: null,
      tensors,
      outputs:
        encoder.head === "none"
          ? [
              { name: "last_hidden_state", space: stream, after: "vit.layernorm" },
              { name: "pooler_output", space: pooled, from: "vit.pooler.dense.weight" },
            ]
          : [{ name: "logits", space: classes }],
      aliases: (name) => (/^(embeddings|encoder|layernorm|pooler)\./.test(name) ? `vit.${name}` : name),
      outputName: (name) => name,
    };
  },
};
