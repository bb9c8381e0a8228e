/**
 * The families whose exact transformation is known.
 * @module
 */
import { readBlueprint, type Blueprint, type Family } from "../family.ts";
import type { JsonObject } from "../config.ts";
import { gemma2, gemma3 } from "./gemma.ts";
import { gpt2 } from "./gpt2.ts";
import { llama, mistral, qwen2, qwen3, smollm3 } from "./llama.ts";
import { mixtral, qwen3Moe } from "./mixture.ts";
import { phi3 } from "./phi3.ts";

export const families: readonly Family[] = [llama, mistral, qwen2, qwen3, smollm3, phi3, gemma2, gemma3, mixtral, qwen3Moe, gpt2];

/** The blueprint of a configuration. Throws `FAMILY_UNKNOWN`, `FAMILY_UNKNOWN_FIELD` or `FAMILY_UNSUPPORTED_VALUE`. */
export function blueprintOf(config: JsonObject): Blueprint {
  return readBlueprint(families, config);
}
