/**
 * DistilBERT: BERT's blocks under other names, without token types or pooler; its classifier passes a ReLU.
 * Source: docs/reference/groups.md.
 * @module
 */
import { norm } from "../decoder.ts";
import {
  checkTowers,
  readActivation,
  readClasses,
  readHead,
  readSizes,
  requireEncoder,
  type Head,
  type TokenInput,
  type Tower,
} from "../encoder.ts";
import { block, dense, fixed, linear, maskedHead, neurons, towerSpaces } from "../encoder-spaces.ts";
import type { EncoderFamily, Row, Table } from "../family.ts";
import { read, write } from "../space.ts";
import { vocabularySpace } from "../spaces.ts";
import { optional, words } from "./bert.ts";

const HEADS: Readonly<Record<string, Head>> = {
  DistilBertModel: "none",
  DistilBertForSequenceClassification: "sequence-classes",
  DistilBertForTokenClassification: "token-classes",
  DistilBertForMaskedLM: "masked",
};

export const distilbert: EncoderFamily = {
  types: ["distilbert"],
  architecture(config) {
    requireEncoder(config);
    config.value("sinusoidal_pos_embds"); // says how the position table was made; the table itself is in the file
    const head = readHead(config, HEADS);
    const positions = config.count("max_position_embeddings", 512);
    const input: TokenInput = { kind: "tokens", vocabulary: config.count("vocab_size"), positions, padding: null, types: 0 };
    const tower: Tower = {
      prefix: "",
      input,
      ...readSizes(config, { hidden: "dim", heads: "n_heads", layers: "n_layers", neurons: "hidden_dim" }),
      activation: readActivation(config, "activation", "gelu"),
      epsilon: 1e-12,
      norms: "after",
      inputNorm: true,
      causal: false,
      attentionBias: true,
      distanceBuckets: null,
    };
    return checkTowers({
      family: config.family,
      towers: [tower],
      head,
      ...(head.endsWith("classes") ? readClasses(config) : { classes: 0, labels: null }),
      projection: 0,
      poolerActivation: "relu",
      endOfText: null,
      vocabulary: input.vocabulary,
      maximumPositions: positions,
    });
  },
  blueprint(encoder) {
    const [tower] = encoder.towers as readonly [Tower];
    const spaces = towerSpaces(tower);
    const { stream } = spaces;
    const vocabulary = vocabularySpace(encoder.vocabulary);
    const classes = linear("classes", encoder.classes);
    const pooled = neurons("pooled", tower.hidden, "relu");
    const tensors: Record<string, Row> = {
      "distilbert.embeddings.word_embeddings.weight": { axes: [write(vocabulary), write(stream)] },
      "distilbert.embeddings.position_embeddings.weight": { axes: [write(fixed((tower.input as TokenInput).positions)), write(stream)] },
      ...norm("distilbert.embeddings.LayerNorm", stream, "layer"),
    };
    for (let index = 0; index < tower.layers; index += 1) {
      const layer = `distilbert.transformer.layer.${index}`;
      Object.assign(
        tensors,
        block(tower, spaces, index, {
          queries: `${layer}.attention.q_lin`,
          keys: `${layer}.attention.k_lin`,
          values: `${layer}.attention.v_lin`,
          output: `${layer}.attention.out_lin`,
          attentionNorm: `${layer}.sa_layer_norm`,
          up: `${layer}.ffn.lin1`,
          down: `${layer}.ffn.lin2`,
          feedForwardNorm: `${layer}.output_layer_norm`,
        }),
      );
    }
    const masked: Table = {
      ...maskedHead(stream, { dense: "vocab_transform", norm: "vocab_layer_norm" }),
      ...words(vocabulary, stream, { decoder: "vocab_projector", bias: "vocab_projector.bias" }),
    };
    const head: Readonly<Record<Head, Table>> = {
      none: optional(masked),
      masked,
      "sequence-classes": {
        ...dense("pre_classifier", write(pooled), read(stream)),
        ...dense("classifier", write(classes), read(pooled)),
      },
      "token-classes": dense("classifier", write(classes), read(stream)),
      projection: {},
    };
    return {
      kind: "encoder",
      architecture: encoder,
      vocabulary,
      tensors: { ...tensors, ...head[encoder.head] },
      outputs: [
        encoder.head === "none"
          ? { name: "last_hidden_state", space: stream }
          : { name: "logits", space: encoder.head === "masked" ? vocabulary : classes },
      ],
      aliases: (name) => (/^(embeddings|transformer)\./.test(name) ? `distilbert.${name}` : name),
      outputName: (name) => name,
    };
  },
};
