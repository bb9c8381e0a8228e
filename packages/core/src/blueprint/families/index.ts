/**
 * The families whose exact transformation is known.
 * @module
 */
import { UnseenError } from "../../errors.ts";
import type { JsonObject } from "../config.ts";
import { readBlueprint, type Blueprint, type DecoderBlueprint, type EncoderFamily, type Family } from "../family.ts";
import { bert, roberta } from "./bert.ts";
import { clip, clipText, clipVision } from "./clip.ts";
import { distilbert } from "./distilbert.ts";
import { gemma2, gemma3 } from "./gemma.ts";
import { gpt2 } from "./gpt2.ts";
import { llama, mistral, qwen2, qwen3, smollm3 } from "./llama.ts";
import { mixtral, qwen3Moe } from "./mixture.ts";
import { mpnet } from "./mpnet.ts";
import { phi3 } from "./phi3.ts";
import { vit } from "./vit.ts";

/** Decoders: token ids in, the next token's logits out. */
export const families: readonly Family[] = [llama, mistral, qwen2, qwen3, smollm3, phi3, gemma2, gemma3, mixtral, qwen3Moe, gpt2];

/** Encoders: token ids or pictures in, vectors or classes out. */
export const encoders: readonly EncoderFamily[] = [bert, roberta, distilbert, mpnet, vit, clip, clipText, clipVision];

/** The blueprint of a configuration. Throws `FAMILY_UNKNOWN`, `FAMILY_UNKNOWN_FIELD` or `FAMILY_UNSUPPORTED_VALUE`. */
export function blueprintOf(config: JsonObject): Blueprint {
  return readBlueprint(families, encoders, config);
}

/** The blueprint of a decoder's configuration. Throws as {@link blueprintOf}, and `FAMILY_UNSUPPORTED_VALUE` for an encoder. */
export function decoderOf(config: JsonObject): DecoderBlueprint {
  const blueprint = blueprintOf(config);
  if (blueprint.kind === "decoder") return blueprint;
  throw new UnseenError("FAMILY_UNSUPPORTED_VALUE", `family ${blueprint.architecture.family} is an encoder, and this needs a decoder.`, {
    hint: "GGUF, llama.cpp and text generation are for decoders; use the safetensors directory.",
  });
}
