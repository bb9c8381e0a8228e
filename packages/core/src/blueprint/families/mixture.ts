/**
 * Mixtral and Qwen3-MoE: decoders with a router and experts, which change places. Source: literature 4.2.
 * @module
 */
import { UnseenError } from "../../errors.ts";
import type { Layer } from "../architecture.ts";
import { gated, mixture } from "../decoder.ts";
import type { Family } from "../family.ts";
import { llamaTable, readCommon, readQwenWindows, readWindows } from "./llama.ts";

export const mixtral: Family = {
  types: ["mixtral"],
  architecture(config) {
    const common = readCommon(config);
    const experts = {
      count: config.members("num_local_experts"),
      perToken: config.count("num_experts_per_tok"),
      neurons: common.neurons,
      normalise: true,
    };
    return { ...common, layers: readWindows(config, common.layers, true).map((layer) => ({ ...layer, experts })) };
  },
  blueprint: (architecture) =>
    llamaTable(architecture, (spaces, index, prefix, after) =>
      mixture(architecture, spaces, index, after, {
        router: `${prefix}.block_sparse_moe.gate`,
        expert: (expert) => `${prefix}.block_sparse_moe.experts.${expert}`,
        gate: "w1",
        up: "w3",
        down: "w2",
      }),
    ),
};

export const qwen3Moe: Family = {
  types: ["qwen3_moe"],
  architecture(config) {
    const common = readCommon(config);
    const experts = {
      count: config.members(["num_experts", "num_local_experts"]),
      perToken: config.count("num_experts_per_tok"),
      neurons: config.count("moe_intermediate_size"),
      normalise: config.flag("norm_topk_prob", false),
    };
    const dense = config.value("mlp_only_layers") ?? [];
    const step = config.count("decoder_sparse_step", 1);
    if (!Array.isArray(dense)) throw new UnseenError("FAMILY_UNSUPPORTED_VALUE", "mlp_only_layers must be a list.");
    const layers = readQwenWindows(config, common.layers).map((layer, index): Layer => ({
      ...layer,
      experts: !dense.includes(index) && (index + 1) % step === 0 ? experts : null,
    }));
    return { ...common, headNorms: true, layers };
  },
  blueprint: (architecture) =>
    llamaTable(architecture, (spaces, index, prefix, after) =>
      architecture.layers[index]?.experts
        ? mixture(architecture, spaces, index, after, {
            router: `${prefix}.mlp.gate`,
            expert: (expert) => `${prefix}.mlp.experts.${expert}`,
            gate: "gate_proj",
            up: "up_proj",
            down: "down_proj",
          })
        : gated(spaces, index, `${prefix}.mlp`, after),
    ),
};
