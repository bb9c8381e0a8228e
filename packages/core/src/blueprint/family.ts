/**
 * What a model family is: data. A reading of its configuration, and a table from tensor names to
 * the spaces of their axes. After git-re-basin's `PermutationSpec` (Ainsworth et al., 2209.04836).
 * @module
 */
import { UnseenError } from "../errors.ts";
import type { Architecture } from "./architecture.ts";
import { ConfigReader, type JsonObject } from "./config.ts";
import type { Axis, Space } from "./space.ts";

/** One tensor of a family: the axes as stored, outermost first. */
export interface Row {
  readonly axes: readonly [Axis] | readonly [Axis, Axis];
  /** Biases that not every checkpoint of the family has. */
  readonly optional?: true;
  /** Stored as (in, out); GGUF stores the same weights as (out, in). */
  readonly conv1d?: true;
  /** For a tensor of one expert: whose place in the checkpoint the key permutes. */
  readonly expert?: { readonly space: Space; readonly index: number; name(index: number): string };
}

/** Tensor names and their rows; names as Hugging Face stores them. */
export type Table = Readonly<Record<string, Row>>;

export interface Blueprint {
  readonly architecture: Architecture;
  readonly tensors: Table;
  /** The tensor that turns token ids into the hidden stream. */
  readonly embedding: string;
  /** The tensor that turns the hidden stream into logits; absent from the file where weights are tied. */
  readonly head: string;
  /** The same tensor under another name, as some exporters write it. */
  readonly aliases?: (name: string) => string;
}

export interface Family {
  /** The `model_type`s it covers. */
  readonly types: readonly string[];
  /** Reads a configuration; throws `FAMILY_UNSUPPORTED_VALUE` for what the table does not cover. */
  architecture(config: ConfigReader): Architecture;
  blueprint(architecture: Architecture): Blueprint;
}

/** Looks up a configuration's family, reads it, and refuses fields of unknown effect. Throws `FAMILY_*`. */
export function readBlueprint(families: readonly Family[], config: JsonObject): Blueprint {
  const reader = new ConfigReader(config);
  const family = families.find((candidate) => candidate.types.includes(reader.family));
  if (!family) {
    const known = families.flatMap((candidate) => candidate.types).join(", ");
    throw new UnseenError("FAMILY_UNKNOWN", `model_type ${JSON.stringify(reader.family)} is not a known family.`, {
      hint: `Known: ${known}. A model of another family is never transformed by guess.`,
    });
  }
  const architecture = family.architecture(reader);
  reader.finish();
  for (const [dimension, divisor, name] of [
    [architecture.heads, architecture.kvHeads, "num_attention_heads must be a multiple of num_key_value_heads"],
    [architecture.headSize, 1, "head_dim"],
  ] as const) {
    if (dimension % divisor !== 0) throw new UnseenError("FAMILY_UNSUPPORTED_VALUE", `${name}: ${dimension} and ${divisor}.`);
  }
  return family.blueprint(architecture);
}
