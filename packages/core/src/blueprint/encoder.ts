/**
 * What an encoder computes, read from its configuration once, in one vocabulary for all families: token ids or pictures
 * go through one or two towers of blocks, and a head makes classes, words or embeddings of the result.
 * @module
 */
import { UnseenError } from "../errors.ts";
import { quote } from "../checkpoint/checks.ts";
import { isObject, type ConfigReader } from "./config.ts";
import { checkRotated } from "./family.ts";

/** An activation between the two layers of a feed-forward block. */
export type EncoderActivation = "gelu" | "gelu-tanh" | "quick-gelu" | "silu" | "relu" | "tanh";

/** Token ids, their learned positions and types. */
export interface TokenInput {
  readonly kind: "tokens";
  readonly vocabulary: number;
  /** Rows of the position table. */
  readonly positions: number;
  /** RoBERTa and MPNet number positions from this id on, and leave its own occurrences out; null counts from 0. */
  readonly padding: number | null;
  /** Rows of the token type table; 0 without one. */
  readonly types: number;
}

/** A picture, cut into patches, each one a row of numbers (channels, height, width). */
export interface PatchInput {
  readonly kind: "patches";
  readonly channels: number;
  /** Pixels. */
  readonly height: number;
  readonly width: number;
  readonly patchHeight: number;
  readonly patchWidth: number;
}

/** One stack of transformer blocks and what goes into it. */
export interface Tower {
  /** Sets its spaces apart from another tower's: "", "text." or "vision.". */
  readonly prefix: string;
  readonly input: TokenInput | PatchInput;
  readonly hidden: number;
  readonly heads: number;
  readonly headSize: number;
  readonly neurons: number;
  readonly layers: number;
  readonly activation: EncoderActivation;
  /** LayerNorm's. */
  readonly epsilon: number;
  /** Whether a block's norms stand before attention and feed-forward, or after the sums. */
  readonly norms: "before" | "after";
  /** A norm with gains between the input and the first block. */
  readonly inputNorm: boolean;
  /** Each position sees itself and what is before it. */
  readonly causal: boolean;
  /** Whether queries, keys and values have biases. */
  readonly attentionBias: boolean;
  /** Rows of a table of biases by distance that all layers add to their scores (MPNet); null without one. */
  readonly distanceBuckets: number | null;
}

/** What stands on the towers. */
export type Head = "none" | "sequence-classes" | "token-classes" | "masked" | "projection";

export interface Encoder {
  /** `model_type` of the configuration. */
  readonly family: string;
  readonly towers: readonly Tower[];
  readonly head: Head;
  /** Class logits; 0 without. */
  readonly classes: number;
  /** Names of the classes, where the configuration has them. */
  readonly labels: readonly string[] | null;
  /** Width of a pooled vector or a projection where it is not the hidden size; 0 without. */
  readonly projection: number;
  /** What a pooler applies. */
  readonly poolerActivation: EncoderActivation;
  /** Plain id at whose first occurrence CLIP takes a text's vector; null elsewhere. */
  readonly endOfText: number | null;
  /** Token ids in all; 0 for pictures alone. */
  readonly vocabulary: number;
  /** Tokens, or patches and the class token. */
  readonly maximumPositions: number;
}

const ACTIVATIONS: Readonly<Record<string, EncoderActivation>> = {
  gelu: "gelu",
  gelu_new: "gelu-tanh",
  gelu_fast: "gelu-tanh",
  gelu_pytorch_tanh: "gelu-tanh",
  quick_gelu: "quick-gelu",
  silu: "silu",
  swish: "silu",
  relu: "relu",
  tanh: "tanh",
};

/** The activation that a field names. Throws `FAMILY_UNSUPPORTED_VALUE`. */
export function readActivation(config: ConfigReader, field: string, fallback: string): EncoderActivation {
  const name = config.text(field, fallback);
  config.only(field, Object.keys(ACTIVATIONS));
  return ACTIVATIONS[name] as EncoderActivation;
}

/** Largest side of a picture in pixels (CWE-789). */
const MAXIMUM_SIDE = 1 << 14;

/** A picture's and a patch's size; one number stands for both sides. Throws `FAMILY_UNSUPPORTED_VALUE`. */
export function readPatches(config: ConfigReader, defaults: { image: number; patch: number }): PatchInput {
  const [height, width] = readSides(config, "image_size", defaults.image);
  const [patchHeight, patchWidth] = readSides(config, "patch_size", defaults.patch);
  if (patchHeight > height || patchWidth > width)
    throw new UnseenError("FAMILY_UNSUPPORTED_VALUE", `config.json field patch_size must be at most image_size, got ${patchHeight}.`, {
      hint: "config.json is damaged; download it again.",
    });
  return { kind: "patches", channels: config.count("num_channels", 3, 64), height, width, patchHeight, patchWidth };
}

function readSides(config: ConfigReader, field: string, fallback: number): readonly [number, number] {
  const value = config.value(field);
  if (!Array.isArray(value)) {
    const side = config.count(field, fallback, MAXIMUM_SIDE);
    return [side, side];
  }
  const [height, width, ...more] = value as readonly unknown[];
  const isSide = (side: unknown): side is number => Number.isSafeInteger(side) && (side as number) > 0 && (side as number) <= MAXIMUM_SIDE;
  if (isSide(height) && isSide(width) && more.length === 0) return [height, width];
  throw new UnseenError("FAMILY_UNSUPPORTED_VALUE", `config.json field ${field} must be a number of pixels or a pair of them.`, {
    hint: "config.json is damaged; download it again.",
  });
}

/** Patches of a picture, and the class token in front of them. */
export function patchPositions({ height, width, patchHeight, patchWidth }: PatchInput): number {
  return Math.floor(height / patchHeight) * Math.floor(width / patchWidth) + 1;
}

/** Sizes of a tower in the spelling that most families share. Throws `FAMILY_UNSUPPORTED_VALUE`. */
export function readSizes(
  config: ConfigReader,
  names: { hidden?: string; heads?: string; layers?: string; neurons?: string } = {},
): Pick<Tower, "hidden" | "heads" | "headSize" | "layers" | "neurons"> {
  const hidden = config.count(names.hidden ?? "hidden_size");
  const heads = config.count(names.heads ?? "num_attention_heads");
  const headSize = config.headSize(hidden / heads);
  if (headSize * heads !== hidden)
    throw new UnseenError(
      "FAMILY_UNSUPPORTED_VALUE",
      `config.json field ${names.heads ?? "num_attention_heads"} of family ${config.family} must divide the hidden size, got ${heads} and ${hidden}.`,
      { hint: "config.json is damaged, or describes a model of another family." },
    );
  return {
    hidden,
    heads,
    headSize,
    layers: config.members(names.layers ?? "num_hidden_layers"),
    neurons: config.count(names.neurons ?? "intermediate_size"),
  };
}

/**
 * Which head `architectures` asks for; the bare model where the field is absent. Throws `FAMILY_UNSUPPORTED_VALUE` for a
 * class without a table.
 */
export function readHead(config: ConfigReader, classes: Readonly<Record<string, Head>>): Head {
  const value = config.value("architectures");
  const name = Array.isArray(value) ? value[0] : undefined;
  if (name === undefined) return Object.values(classes)[0] as Head;
  if (typeof name === "string" && Object.hasOwn(classes, name)) return classes[name] as Head;
  throw new UnseenError(
    "FAMILY_UNSUPPORTED_VALUE",
    `config.json field architectures of family ${config.family} must be ${Object.keys(classes).join(" or ")}, got ${quote(String(name))}.`,
    { hint: "What another class computes has no proven transformation; export the model to ONNX, which needs no table." },
  );
}

/** Most classes whose logits leave (CWE-770). */
const MAXIMUM_CLASSES = 1 << 17;

/** The number of classes, 2 unless the configuration says otherwise, and their names by index. Throws `FAMILY_UNSUPPORTED_VALUE`. */
export function readClasses(config: ConfigReader): { classes: number; labels: readonly string[] | null } {
  const stated = config.value("num_labels") === undefined ? null : config.count("num_labels", undefined, MAXIMUM_CLASSES);
  const names = config.value("id2label");
  if (!isObject(names) || Object.keys(names).length === 0) return { classes: stated ?? 2, labels: null };
  const classes = Object.keys(names).length;
  const labels = Array.from({ length: Math.min(classes, MAXIMUM_CLASSES) }, (_, index) => names[String(index)]);
  if (classes <= MAXIMUM_CLASSES && labels.every((label) => typeof label === "string" || typeof label === "number"))
    return { classes, labels: labels.map(String) };
  throw new UnseenError(
    "FAMILY_UNSUPPORTED_VALUE",
    `config.json field id2label of family ${config.family} must name the classes from 0 on, at most ${MAXIMUM_CLASSES} of them.`,
    { hint: "config.json is damaged; download it again." },
  );
}

/** Fields of old configurations that describe a decoder or training, and whose usual values change nothing. Throws `FAMILY_UNSUPPORTED_VALUE`. */
export function requireEncoder(config: ConfigReader): void {
  for (const field of ["is_decoder", "add_cross_attention", "is_encoder_decoder", "tie_encoder_decoder"]) config.only(field, [false]);
  config.only("position_embedding_type", ["absolute"]);
  config.only("pruned_heads", [{}]);
  for (const field of WITHOUT_EFFECT) config.value(field);
}

/** Of training, text generation and other frameworks; none enters an encoder's forward pass. */
const WITHOUT_EFFECT: readonly string[] = [
  ..."classifier_dropout dropout qa_dropout seq_classif_dropout initializer_factor _num_labels num_choices output_past".split(" "),
  ..."directionality pooler_fc_size pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head pooler_type".split(" "),
  ..."encoder_stride summary_use_proj num_beams num_beam_groups do_sample early_stopping max_length min_length".split(" "),
  ..."temperature top_k top_p typical_p repetition_penalty length_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size".split(" "),
  ..."num_return_sequences diversity_penalty output_scores return_dict_in_generate remove_invalid_values prefix".split(" "),
  ..."exponential_decay_length_penalty use_bfloat16 tf_legacy_loss cross_attention_hidden_size tie_word_embeddings".split(" "),
];

/** Throws `FAMILY_UNSUPPORTED_VALUE` for what a `rotate` key could not turn in reasonable time. */
export function checkTowers(encoder: Encoder): Encoder {
  for (const tower of encoder.towers) if (tower.norms === "before") checkRotated(encoder.family, "hidden_size", tower.hidden);
  if (encoder.projection > 0) checkRotated(encoder.family, "projection_dim", encoder.projection);
  return encoder;
}
