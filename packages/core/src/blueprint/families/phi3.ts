/**
 * Phi-3 and Phi-3.5: a Llama with fused projections and partly rotated heads. Source: docs/reference/groups.md.
 * @module
 */
import { decoderBlueprint, decoderSpaces, ends, fusedAttention, fusedGated, norm } from "../decoder.ts";
import type { Family, Table } from "../family.ts";
import { readCommon, readUniformWindow } from "./llama.ts";

export const phi3: Family = {
  types: ["phi3"],
  architecture(config) {
    const common = readCommon(config, { epsilon: 1e-5 });
    return { ...common, layers: readUniformWindow(config, common.layers) };
  },
  blueprint(architecture) {
    const spaces = decoderSpaces(architecture, { foldable: true });
    const tensors: Record<string, Table[string]> = {
      ...ends(spaces, { embedding: "model.embed_tokens.weight", norm: "model.norm", head: "lm_head.weight" }, true),
    };
    for (let index = 0; index < architecture.layers.length; index += 1) {
      const prefix = `model.layers.${index}`;
      Object.assign(
        tensors,
        norm(`${prefix}.input_layernorm`, spaces.stream),
        fusedAttention(spaces, index, `${prefix}.self_attn`, `${prefix}.input_layernorm`),
        norm(`${prefix}.post_attention_layernorm`, spaces.stream),
        fusedGated(spaces, index, `${prefix}.mlp`, `${prefix}.post_attention_layernorm`),
      );
    }
    return decoderBlueprint(spaces, { architecture, tensors, embedding: "model.embed_tokens.weight", head: "lm_head.weight" });
  },
};
