/**
 * What a model family is: data. A reading of its configuration, and a table from tensor names to
 * the spaces of their axes. After git-re-basin's `PermutationSpec` (Ainsworth et al., 2209.04836).
 * @module
 */
import { quote } from "../checkpoint/checks.ts";
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
  let odd = hidden;
  while (odd % 2 === 0) odd /= 2;
  if (odd > MAXIMUM_ODD_PART) refuse("hidden_size", `a power of two times at most ${MAXIMUM_ODD_PART}, got ${hidden}`);
  let experts = 0;
  for (const layer of layers) {
    const { count = 0, perToken = 0 } = layer.experts ?? {};
    experts += count;
    if (perToken > count) refuse("num_experts_per_tok", `at most the number of experts, got ${perToken} of ${count}`);
  }
  if (experts > MAXIMUM_EXPERTS) refuse("num_experts", `such that all layers have at most ${MAXIMUM_EXPERTS} experts, got ${experts}`);
}
