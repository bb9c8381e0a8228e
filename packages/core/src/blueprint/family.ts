/**
 * What a model family is: data. A reading of its configuration, and a table from tensor names to
 * the spaces of their axes. After git-re-basin's `PermutationSpec` (Ainsworth et al., 2209.04836).
 * @module
 */
import { quote } from "../checkpoint/checks.ts";
import { UnseenError } from "../errors.ts";
import type { Architecture } from "./architecture.ts";
import { ConfigReader, type JsonObject } from "./config.ts";
import type { Encoder } from "./encoder.ts";
import type { Axis, Space } from "./space.ts";

/** One tensor of a family: the axes as stored, outermost first. */
export interface Row {
  readonly axes: readonly [Axis] | readonly [Axis, Axis];
  /** As stored, where that is not the sizes of the axes: a convolution's kernels, leading ones, a single number. */
  readonly shape?: readonly number[];
  /** Biases that not every checkpoint of the family has. */
  readonly optional?: true;
  /** Stored as (in, out); GGUF stores the same weights as (out, in). */
  readonly conv1d?: true;
  /** For a tensor of one expert: whose place in the checkpoint the key permutes. */
  readonly expert?: { readonly space: Space; readonly index: number; name(index: number): string };
}

/** Tensor names and their rows; names as Hugging Face stores them. */
export type Table = Readonly<Record<string, Row>>;

/** What a model gives that a client has to decipher. */
export interface BlueprintOutput {
  /** As `transformers` calls it: "logits", "last_hidden_state", "image_embeds". */
  readonly name: string;
  /** Of its last axis. */
  readonly space: Space;
  /** Name (without `.weight`) of the norm that it leaves: folding takes the gain away, so the client has to put it back. */
  readonly after?: string;
  /** A tensor of the table without which the model does not give it. */
  readonly from?: string;
}

interface AnyBlueprint {
  readonly tensors: Table;
  /** Of the token ids; null for a model that takes none. */
  readonly vocabulary: Space | null;
  readonly outputs: readonly BlueprintOutput[];
  /** A stored tensor's name in the table, where exporters differ. */
  readonly aliases?: (name: string) => string;
}

export interface DecoderBlueprint extends AnyBlueprint {
  readonly kind: "decoder";
  readonly architecture: Architecture;
  /** The tensor that turns token ids into the hidden stream. */
  readonly embedding: string;
  /** The tensor that turns the hidden stream into logits; absent from the file where weights are tied. */
  readonly head: string;
}

export interface EncoderBlueprint extends AnyBlueprint {
  readonly kind: "encoder";
  readonly architecture: Encoder;
  /** What to call a stored tensor in the output: as before, so that whatever loaded the plain model loads this one. */
  readonly outputName: (stored: string) => string;
  /** The configuration as it should be published, ids still plain: what a loader would fill in or guess, said outright. */
  readonly prepare?: (config: JsonObject) => JsonObject;
}

export type Blueprint = DecoderBlueprint | EncoderBlueprint;

/** The table of one family, from its configuration. */
interface FamilyOf<A, B extends Blueprint> {
  /** The `model_type`s it covers. */
  readonly types: readonly string[];
  /** Reads a configuration; throws `FAMILY_UNSUPPORTED_VALUE` for what the table does not cover. */
  architecture(config: ConfigReader): A;
  blueprint(architecture: A): B;
}

export type Family = FamilyOf<Architecture, DecoderBlueprint>;
export type EncoderFamily = FamilyOf<Encoder, EncoderBlueprint>;

/** Looks up a configuration's family, reads it, and refuses fields of unknown effect. Throws `FAMILY_*`. */
export function readBlueprint(families: readonly Family[], encoders: readonly EncoderFamily[], config: JsonObject): Blueprint {
  const reader = new ConfigReader(config);
  const encoder = encoders.find((candidate) => candidate.types.includes(reader.family));
  if (encoder) {
    const architecture = encoder.architecture(reader);
    reader.finish();
    return encoder.blueprint(architecture);
  }
  const family = families.find((candidate) => candidate.types.includes(reader.family));
  if (!family) {
    const known = [...families, ...encoders].flatMap((candidate) => candidate.types).join(", ");
    throw new UnseenError("FAMILY_UNKNOWN", `model_type ${quote(reader.family)} is not a known family.`, {
      hint: `Known: ${known}. A model of another family is never transformed by guess.`,
    });
  }
  const architecture = family.architecture(reader);
  reader.finish();
  checkDimensions(architecture);
  return family.blueprint(architecture);
}

/** Largest odd part of the hidden size. Its rotation is a dense matrix, made in cubic time (CWE-400); known models have up to 25. */
const MAXIMUM_ODD_PART = 1023;

/** Most experts in all layers together; each has its rows in the table (CWE-770). The largest known models have about 16,000. */
const MAXIMUM_EXPERTS = 1 << 16;

/** What must hold of the dimensions of every family. Throws `FAMILY_UNSUPPORTED_VALUE`. */
function checkDimensions({ family, heads, kvHeads, hidden, layers }: Architecture): void {
  const refuse = (field: string, expected: string): never => {
    throw new UnseenError("FAMILY_UNSUPPORTED_VALUE", `config.json field ${field} of family ${family} must be ${expected}.`, {
      hint: "config.json is damaged, or describes a model of another family.",
    });
  };
  if (heads % kvHeads !== 0) refuse("num_attention_heads", `a multiple of num_key_value_heads, got ${heads} and ${kvHeads}`);
  checkRotated(family, "hidden_size", hidden);
  let experts = 0;
  for (const layer of layers) {
    const { count = 0, perToken = 0 } = layer.experts ?? {};
    experts += count;
    if (perToken > count) refuse("num_experts_per_tok", `at most the number of experts, got ${perToken} of ${count}`);
  }
  if (experts > MAXIMUM_EXPERTS) refuse("num_experts", `such that all layers have at most ${MAXIMUM_EXPERTS} experts, got ${experts}`);
}

/** What is left of a size when it is halved as long as it is even; 0 for 0. */
export function oddPart(size: number): number {
  let odd = size;
  while (odd > 0 && odd % 2 === 0) odd /= 2;
  return odd;
}

/** Throws `FAMILY_UNSUPPORTED_VALUE` for a size that cannot be rotated in reasonable time. */
export function checkRotated(family: string, field: string, size: number): void {
  if (oddPart(size) <= MAXIMUM_ODD_PART) return;
  throw new UnseenError(
    "FAMILY_UNSUPPORTED_VALUE",
    `config.json field ${field} of family ${family} must be a power of two times at most ${MAXIMUM_ODD_PART}, got ${size}.`,
    { hint: "config.json is damaged, or describes a model of another family." },
  );
}
