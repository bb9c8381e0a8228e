/**
 * CLIP: a causal text tower and a vision tower whose vectors meet in one space. The text tower is rotated like GPT-2; the
 * vision tower begins with a norm whose gains enter the stream, which leaves permutations and one sign. Both projections
 * write one orthogonally turned space, so that cosines and `logits_per_image` stay what they were. Pixels stay in clear.
 * Source: docs/reference/groups.md.
 * @module
 */
import { UnseenError } from "../../errors.ts";
import { ConfigReader, isObject, type JsonObject } from "../config.ts";
import { norm } from "../decoder.ts";
import {
  checkTowers,
  patchPositions,
  readActivation,
  readHead,
  readPatches,
  readSizes,
  requireEncoder,
  type Encoder,
  type PatchInput,
  type TokenInput,
  type Tower,
} from "../encoder.ts";
import { block, fixed, isometric, towerSpaces, type TowerSpaces } from "../encoder-spaces.ts";
import type { BlueprintOutput, EncoderBlueprint, EncoderFamily, Row, Table } from "../family.ts";
import { read, write, type Space } from "../space.ts";
import { vocabularySpace } from "../spaces.ts";
import { optional } from "./bert.ts";

/** What `transformers` takes for fields that are left out. */
const TEXT_DEFAULTS = {
  model_type: "clip_text_model",
  vocab_size: 49408,
  hidden_size: 512,
  intermediate_size: 2048,
  num_hidden_layers: 12,
  num_attention_heads: 8,
  max_position_embeddings: 77,
  eos_token_id: 49407,
} as const satisfies JsonObject;
const VISION_DEFAULTS = {
  model_type: "clip_vision_model",
  hidden_size: 768,
  intermediate_size: 3072,
  num_hidden_layers: 12,
  num_attention_heads: 12,
} as const satisfies JsonObject;
const PROJECTION = 512;

/**
 * The value of `eos_token_id` that means something else: old configurations say 2, and `transformers` then takes the
 * text's vector where the id is highest, which is the end token, the last of the vocabulary.
 */
const LEGACY_END = 2;

/** A tower's own configuration. `text_config_dict`, where it is there, replaces `text_config` and all that it says. */
function towerConfig(config: JsonObject, name: "text_config" | "vision_config"): JsonObject {
  const [replaced, stated] = [config[`${name}_dict`], config[name]];
  return isObject(replaced) ? replaced : isObject(stated) ? stated : {};
}

function nested(config: JsonObject, defaults: JsonObject): ConfigReader {
  const stated = Object.entries(config).filter(([field, value]) => value !== null || !Object.hasOwn(defaults, field));
  return new ConfigReader({ ...defaults, ...Object.fromEntries(stated) });
}

/** The plain id that ends every text. Throws `FAMILY_UNSUPPORTED_VALUE`. */
function readEnd(config: ConfigReader, vocabulary: number): number {
  const end = config.whole("eos_token_id", TEXT_DEFAULTS.eos_token_id);
  if (end === LEGACY_END) return vocabulary - 1;
  if (end < vocabulary) return end;
  throw new UnseenError("FAMILY_UNSUPPORTED_VALUE", `config.json field eos_token_id must be below ${vocabulary}, got ${end}.`, {
    hint: "Correct config.json: the id of the token that ends every text.",
  });
}

function readText(config: ConfigReader, prefix: string): { tower: Tower; end: number; vocabulary: number; projection: number } {
  requireEncoder(config);
  const vocabulary = config.count("vocab_size");
  const positions = config.count("max_position_embeddings");
  const tower: Tower = {
    ...readTower(config, prefix),
    input: { kind: "tokens", vocabulary, positions, padding: null, types: 0 },
    inputNorm: false,
    causal: true,
  };
  return { tower, end: readEnd(config, vocabulary), vocabulary, projection: config.count("projection_dim", PROJECTION) };
}

function readVision(config: ConfigReader, prefix: string): { tower: Tower; projection: number } {
  requireEncoder(config);
  const input = readPatches(config, { image: 224, patch: 32 });
  return {
    tower: { ...readTower(config, prefix), input, inputNorm: true, causal: false },
    projection: config.count("projection_dim", PROJECTION),
  };
}

function readTower(config: ConfigReader, prefix: string): Omit<Tower, "input" | "inputNorm" | "causal"> {
  return {
    prefix,
    ...readSizes(config),
    activation: readActivation(config, "hidden_act", "quick_gelu"),
    epsilon: config.positive("layer_norm_eps", 1e-5),
    norms: "before",
    attentionBias: true,
    distanceBuckets: null,
  };
}

const NO_CLASSES = { classes: 0, labels: null, poolerActivation: "tanh" } as const;

/** Blocks, which both towers name alike. */
function blocks(tower: Tower, spaces: TowerSpaces, base: string): Table {
  const tensors: Record<string, Row> = {};
  for (let index = 0; index < tower.layers; index += 1) {
    const layer = `${base}.encoder.layers.${index}`;
    Object.assign(
      tensors,
      block(tower, spaces, index, {
        queries: `${layer}.self_attn.q_proj`,
        keys: `${layer}.self_attn.k_proj`,
        values: `${layer}.self_attn.v_proj`,
        output: `${layer}.self_attn.out_proj`,
        attentionNorm: `${layer}.layer_norm1`,
        up: `${layer}.mlp.fc1`,
        down: `${layer}.mlp.fc2`,
        feedForwardNorm: `${layer}.layer_norm2`,
      }),
    );
  }
  return tensors;
}

const FINAL_NORM = "text_model.final_layer_norm";

function textRows(tower: Tower, vocabulary: Space, embeds: Space): { stream: Space; tensors: Table; projection: Table } {
  const spaces = towerSpaces(tower);
  const { stream } = spaces;
  return {
    stream,
    tensors: {
      "text_model.embeddings.token_embedding.weight": { axes: [write(vocabulary), write(stream)] },
      "text_model.embeddings.position_embedding.weight": {
        axes: [write(fixed((tower.input as TokenInput).positions)), write(stream)],
      },
      ...blocks(tower, spaces, "text_model"),
      ...norm(FINAL_NORM, stream, "layer"),
    },
    projection: { "text_projection.weight": { axes: [write(embeds), read(stream, FINAL_NORM)] } },
  };
}

function visionRows(tower: Tower, embeds: Space): { stream: Space; tensors: Table; projection: Table } {
  const spaces = towerSpaces(tower);
  const { stream } = spaces;
  const input = tower.input as PatchInput;
  const { channels, patchHeight, patchWidth } = input;
  return {
    stream,
    tensors: {
      "vision_model.embeddings.class_embedding": { axes: [write(stream)] },
      "vision_model.embeddings.patch_embedding.weight": {
        axes: [write(stream), write(fixed(channels * patchHeight * patchWidth))],
        shape: [tower.hidden, channels, patchHeight, patchWidth],
      },
      "vision_model.embeddings.position_embedding.weight": { axes: [write(fixed(patchPositions(input))), write(stream)] },
      ...norm("vision_model.pre_layrnorm", stream, "layer"), // spelt so
      ...blocks(tower, spaces, "vision_model"),
      ...norm("vision_model.post_layernorm", stream, "layer"),
    },
    projection: { "visual_projection.weight": { axes: [write(embeds), read(stream)] } },
  };
}

const keepName = (name: string): string => name;
const embedsOf = ({ projection }: Encoder): Space => isometric("embeds", projection);

/** The text's end, said outright; the other special ids of an old configuration stand for ordinary tokens, so they go. */
function prepareText(config: JsonObject): JsonObject {
  const reader = nested(config, TEXT_DEFAULTS);
  const end = readEnd(reader, reader.count("vocab_size"));
  const legacy = reader.whole("eos_token_id", TEXT_DEFAULTS.eos_token_id) === LEGACY_END;
  return { ...config, eos_token_id: end, ...(legacy ? { bos_token_id: null, pad_token_id: null } : {}) };
}

export const clip: EncoderFamily = {
  types: ["clip"],
  architecture(config) {
    requireEncoder(config);
    readHead(config, { CLIPModel: "projection" });
    const [textDict, visionDict] = [config.object("text_config_dict"), config.object("vision_config_dict")];
    const text = nested(textDict ?? config.object("text_config") ?? {}, TEXT_DEFAULTS);
    const vision = nested(visionDict ?? config.object("vision_config") ?? {}, VISION_DEFAULTS);
    config.object("text_config");
    config.object("vision_config");
    config.value("logit_scale_init_value");
    const { tower, end, vocabulary } = readText(text, "text.");
    const seen = readVision(vision, "vision.");
    text.finish();
    vision.finish();
    return checkTowers({
      family: config.family,
      towers: [tower, seen.tower],
      head: "projection",
      ...NO_CLASSES,
      projection: config.count("projection_dim", PROJECTION),
      endOfText: end,
      vocabulary,
      maximumPositions: (tower.input as TokenInput).positions,
    });
  },
  blueprint(encoder) {
    const [textTower, visionTower] = encoder.towers as readonly [Tower, Tower];
    const vocabulary = vocabularySpace(encoder.vocabulary);
    const embeds = embedsOf(encoder);
    const text = textRows(textTower, vocabulary, embeds);
    const vision = visionRows(visionTower, embeds);
    return {
      kind: "encoder",
      architecture: encoder,
      vocabulary,
      tensors: {
        ...text.tensors,
        ...vision.tensors,
        ...text.projection,
        ...vision.projection,
        logit_scale: { axes: [write(fixed(1))], shape: [] },
      },
      outputs: [
        { name: "text_embeds", space: embeds },
        { name: "image_embeds", space: embeds },
      ],
      outputName: keepName,
      prepare(config) {
        const { text_config_dict: _text, vision_config_dict: _vision, ...rest } = config;
        return {
          ...rest,
          text_config: prepareText(towerConfig(config, "text_config")),
          vision_config: towerConfig(config, "vision_config"),
        };
      },
    };
  },
};

/** A single tower as a blueprint. */
function towerBlueprint(
  encoder: Encoder,
  base: string,
  rows: { stream: Space; tensors: Table; projection: Table },
  outputs: readonly BlueprintOutput[],
  more: Partial<EncoderBlueprint>,
): EncoderBlueprint {
  const projected = encoder.head === "projection";
  return {
    kind: "encoder",
    architecture: encoder,
    vocabulary: null,
    tensors: { ...rows.tensors, ...(projected ? rows.projection : optional(rows.projection)) },
    outputs,
    aliases: (name) => (/^(embeddings|encoder|final_layer_norm|pre_layrnorm|post_layernorm)\./.test(name) ? `${base}.${name}` : name),
    outputName: keepName,
    ...more,
  };
}

export const clipText: EncoderFamily = {
  types: ["clip_text_model"],
  architecture(config) {
    const head = readHead(config, { CLIPTextModel: "none", CLIPTextModelWithProjection: "projection" });
    const { tower, end, vocabulary, projection } = readText(config, "text.");
    return checkTowers({
      family: config.family,
      towers: [tower],
      head,
      ...NO_CLASSES,
      projection,
      endOfText: end,
      vocabulary,
      maximumPositions: (tower.input as TokenInput).positions,
    });
  },
  blueprint(encoder) {
    const vocabulary = vocabularySpace(encoder.vocabulary);
    const embeds = embedsOf(encoder);
    const rows = textRows(encoder.towers[0] as Tower, vocabulary, embeds);
    const pooled: BlueprintOutput =
      encoder.head === "projection"
        ? { name: "text_embeds", space: embeds }
        : { name: "pooler_output", space: rows.stream, after: FINAL_NORM };
    const outputs = [pooled, { name: "last_hidden_state", space: rows.stream, after: FINAL_NORM }];
    return towerBlueprint(encoder, "text_model", rows, outputs, { vocabulary, prepare: prepareText });
  },
};

export const clipVision: EncoderFamily = {
  types: ["clip_vision_model"],
  architecture(config) {
    const head = readHead(config, { CLIPVisionModel: "none", CLIPVisionModelWithProjection: "projection" });
    const { tower, projection } = readVision(config, "vision.");
    return checkTowers({
      family: config.family,
      towers: [tower],
      head,
      ...NO_CLASSES,
      projection,
      endOfText: null,
      vocabulary: 0,
      maximumPositions: patchPositions(tower.input as PatchInput),
    });
  },
  blueprint(encoder) {
    const embeds = embedsOf(encoder);
    const rows = visionRows(encoder.towers[0] as Tower, embeds);
    const pooled: BlueprintOutput =
      encoder.head === "projection" ? { name: "image_embeds", space: embeds } : { name: "pooler_output", space: rows.stream };
    return towerBlueprint(encoder, "vision_model", rows, [pooled, { name: "last_hidden_state", space: rows.stream }], {});
  },
};
