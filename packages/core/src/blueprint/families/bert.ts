/**
 * BERT and RoBERTa (with MiniLM and XLM-RoBERTa, which are the same): a norm with gains after each sum, learned positions,
 * GELU. The gains stand in the stream, so it keeps permutations and one sign. Source: docs/reference/groups.md.
 * @module
 */
import type { ConfigReader } from "../config.ts";
import {
  checkTowers,
  readActivation,
  readClasses,
  readHead,
  readSizes,
  requireEncoder,
  type Encoder,
  type Head,
  type TokenInput,
  type Tower,
} from "../encoder.ts";
import { block, dense, fixed, linear, maskedHead, neurons, towerSpaces } from "../encoder-spaces.ts";
import { norm } from "../decoder.ts";
import type { BlueprintOutput, EncoderBlueprint, EncoderFamily, Row, Table } from "../family.ts";
import { read, write, type Space } from "../space.ts";
import { vocabularySpace } from "../spaces.ts";

/** Heads by the class that `architectures` names. */
function heads(prefix: string): Readonly<Record<string, Head>> {
  return {
    [`${prefix}Model`]: "none",
    [`${prefix}ForSequenceClassification`]: "sequence-classes",
    [`${prefix}ForTokenClassification`]: "token-classes",
    [`${prefix}ForMaskedLM`]: "masked",
  };
}

/** Fields that BERT-like families spell alike. Throws `FAMILY_UNSUPPORTED_VALUE`. */
export function readBertLike(config: ConfigReader, prefix: string, padding: number | null, buckets: number | null = null): Encoder {
  requireEncoder(config);
  const head = readHead(config, heads(prefix));
  const positions = config.count("max_position_embeddings", 512);
  const input: TokenInput = {
    kind: "tokens",
    vocabulary: config.count("vocab_size"),
    positions,
    padding,
    types: prefix === "MPNet" ? 0 : config.count("type_vocab_size", 2),
  };
  const tower: Tower = {
    prefix: "",
    input,
    ...readSizes(config),
    activation: readActivation(config, "hidden_act", "gelu"),
    epsilon: config.positive("layer_norm_eps", 1e-12),
    norms: "after",
    inputNorm: true,
    causal: false,
    attentionBias: true,
    distanceBuckets: buckets,
  };
  const labelled = head === "sequence-classes" || head === "token-classes";
  return checkTowers({
    family: config.family,
    towers: [tower],
    head,
    ...(labelled ? readClasses(config) : { classes: 0, labels: null }),
    projection: 0,
    poolerActivation: "tanh",
    endOfText: null,
    vocabulary: input.vocabulary,
    maximumPositions: padding === null ? positions : positions - padding - 1,
  });
}

/** Old exporters called a norm's gain gamma and its bias beta; every loader renames them. */
function modernName(name: string): string {
  return name.replace(/LayerNorm\.gamma$/, "LayerNorm.weight").replace(/LayerNorm\.beta$/, "LayerNorm.bias");
}

/** Puts a BERT-like model's rows together; `base` precedes the names of the bare model, which some exporters leave out. */
export function bertLike(
  encoder: Encoder,
  base: string,
  rows: (tower: Tower, spaces: ReturnType<typeof towerSpaces>, vocabulary: Space) => { tensors: Table; head: Table },
): EncoderBlueprint {
  const [tower] = encoder.towers as readonly [Tower];
  const { padding } = tower.input as TokenInput;
  const spaces = towerSpaces(tower);
  const vocabulary = vocabularySpace(encoder.vocabulary, padding === null ? [] : [padding]);
  const { tensors, head } = rows(tower, spaces, vocabulary);
  const pooled = neurons("pooled", tower.hidden, "tanh");
  const pooler = dense(`${base}.pooler.dense`, write(pooled), read(spaces.stream));
  const outputs: Readonly<Record<Head, readonly BlueprintOutput[]>> = {
    none: [
      { name: "last_hidden_state", space: spaces.stream },
      { name: "pooler_output", space: pooled, from: `${base}.pooler.dense.weight` },
    ],
    "sequence-classes": [{ name: "logits", space: linear("classes", encoder.classes) }],
    "token-classes": [{ name: "logits", space: linear("classes", encoder.classes) }],
    masked: [{ name: "logits", space: vocabulary }],
    projection: [],
  };
  return {
    kind: "encoder",
    architecture: encoder,
    vocabulary,
    tensors: { ...tensors, ...optional(pooler), ...head },
    outputs: outputs[encoder.head],
    aliases: (name) => {
      const modern = modernName(name);
      return /^(embeddings|encoder|transformer|pooler)\./.test(modern) ? `${base}.${modern}` : modern;
    },
    outputName: modernName,
  };
}

/** The same rows, which not every checkpoint has. */
export function optional(table: Table): Table {
  return Object.fromEntries(Object.entries(table).map(([name, row]): [string, Row] => [name, { ...row, optional: true }]));
}

/** Embeddings and blocks as BERT and RoBERTa name them. */
function bertRows(base: string, tower: Tower, spaces: ReturnType<typeof towerSpaces>, vocabulary: Space): Table {
  const { positions, types } = tower.input as TokenInput;
  const { stream } = spaces;
  const tensors: Record<string, Row> = {
    [`${base}.embeddings.word_embeddings.weight`]: { axes: [write(vocabulary), write(stream)] },
    [`${base}.embeddings.position_embeddings.weight`]: { axes: [write(fixed(positions)), write(stream)] },
    [`${base}.embeddings.token_type_embeddings.weight`]: { axes: [write(fixed(types)), write(stream)] },
    ...norm(`${base}.embeddings.LayerNorm`, stream, "layer"),
  };
  for (let index = 0; index < tower.layers; index += 1) {
    const layer = `${base}.encoder.layer.${index}`;
    Object.assign(
      tensors,
      block(tower, spaces, index, {
        queries: `${layer}.attention.self.query`,
        keys: `${layer}.attention.self.key`,
        values: `${layer}.attention.self.value`,
        output: `${layer}.attention.output.dense`,
        attentionNorm: `${layer}.attention.output.LayerNorm`,
        up: `${layer}.intermediate.dense`,
        down: `${layer}.output.dense`,
        feedForwardNorm: `${layer}.output.LayerNorm`,
      }),
    );
  }
  return tensors;
}

/** A table of words behind a masked head: its own or the embedding's, and one or two names for its bias. */
export function words(vocabulary: Space, stream: Space, names: { decoder: string; bias: string }): Table {
  return {
    ...optional(dense(names.decoder, write(vocabulary), read(stream))),
    [names.bias]: { axes: [write(vocabulary)] },
  };
}

export const bert: EncoderFamily = {
  types: ["bert"],
  architecture: (config) => readBertLike(config, "Bert", null),
  blueprint: (encoder) =>
    bertLike(encoder, "bert", (tower, spaces, vocabulary) => {
      const { stream } = spaces;
      const pooled = neurons("pooled", tower.hidden, "tanh");
      const masked = {
        ...maskedHead(stream, { dense: "cls.predictions.transform.dense", norm: "cls.predictions.transform.LayerNorm" }),
        ...words(vocabulary, stream, { decoder: "cls.predictions.decoder", bias: "cls.predictions.bias" }),
      };
      const classes = linear("classes", encoder.classes);
      const head: Readonly<Record<Head, Table>> = {
        // Checkpoints of the bare model, too, keep what pre-training left.
        none: optional(masked),
        masked,
        "sequence-classes": {
          ...dense("bert.pooler.dense", write(pooled), read(stream)),
          ...dense("classifier", write(classes), read(pooled)),
        },
        "token-classes": dense("classifier", write(classes), read(stream)),
        projection: {},
      };
      const relationship = optional(dense("cls.seq_relationship", write(linear("relationship", 2)), read(pooled)));
      const pretrained = encoder.head === "none" || encoder.head === "masked";
      return {
        tensors: bertRows("bert", tower, spaces, vocabulary),
        head: { ...head[encoder.head], ...(pretrained ? relationship : {}) },
      };
    }),
};

/** `classifier.dense`, tanh, `classifier.out_proj`; or a plain `classifier` for each token. */
export function robertaHead(encoder: Encoder, tower: Tower, stream: Space, vocabulary: Space): Table {
  const classes = linear("classes", encoder.classes);
  const inner = neurons("classifier", tower.hidden, "tanh");
  const masked = {
    ...maskedHead(stream, { dense: "lm_head.dense", norm: "lm_head.layer_norm" }),
    ...words(vocabulary, stream, { decoder: "lm_head.decoder", bias: "lm_head.bias" }),
  };
  const head: Readonly<Record<Head, Table>> = {
    none: optional(masked),
    masked,
    "sequence-classes": {
      ...dense("classifier.dense", write(inner), read(stream)),
      ...dense("classifier.out_proj", write(classes), read(inner)),
    },
    "token-classes": dense("classifier", write(classes), read(stream)),
    projection: {},
  };
  return head[encoder.head];
}

export const roberta: EncoderFamily = {
  types: ["roberta", "xlm-roberta"],
  architecture(config) {
    // Positions count from the padding id on, so it keeps its number: see docs/reference/groups.md.
    const padding = config.value("pad_token_id") === 0 ? 0 : config.count("pad_token_id", 1);
    return readBertLike(config, config.family === "roberta" ? "Roberta" : "XLMRoberta", padding);
  },
  blueprint: (encoder) =>
    bertLike(encoder, "roberta", (tower, spaces, vocabulary) => ({
      tensors: bertRows("roberta", tower, spaces, vocabulary),
      head: robertaHead(encoder, tower, spaces.stream, vocabulary),
    })),
};
