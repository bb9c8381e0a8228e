/**
 * Mixtral and Qwen3-MoE: decoders with a router and experts, which change places. Source: docs/reference/groups.md.
 * @module
 */
import { UnseenError } from "../../errors.ts";
import type { Layer } from "../architecture.ts";
import type { ConfigReader, Json } from "../config.ts";
import { gated, mixture } from "../decoder.ts";
import type { Family } from "../family.ts";
import { llamaTable, readCommon, readUniformWindow } from "./llama.ts";

export const mixtral: Family = {
  types: ["mixtral"],
  architecture(config) {
    const common = readCommon(config, { kvHeads: 8, epsilon: 1e-5, theta: 1_000_000 });
    const experts = {
      count: config.members("num_local_experts"),
      perToken: config.count("num_experts_per_tok"),
      neurons: common.neurons,
      normalise: true,
    };
    return { ...common, layers: readUniformWindow(config, common.layers).map((layer) => ({ ...layer, experts })) };
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
    const common = readCommon(config, { kvHeads: 4 });
    const experts = {
      count: config.members(["num_experts", "num_local_experts"]),
      perToken: config.count("num_experts_per_tok"),
      neurons: config.count("moe_intermediate_size"),
      normalise: config.flag("norm_topk_prob", false),
    };
    const dense = readDenseLayers(config, common.layers.length);
    const step = config.count("decoder_sparse_step", 1);
    const enabled = config.flag("use_sliding_window", false);
    config.value("max_window_layers"); // of the dense Qwens; here every layer slides or none
    const windowed = readUniformWindow(config, common.layers, { fallback: 4096, enabled });
    const layers = windowed.map((layer, index): Layer => ({
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

/** Numbers of the layers without experts. Throws `FAMILY_UNSUPPORTED_VALUE`. */
function readDenseLayers(config: ConfigReader, layers: number): readonly number[] {
  const value = config.value("mlp_only_layers") ?? [];
  const isLayer = (entry: Json): boolean => Number.isSafeInteger(entry) && (entry as number) >= 0 && (entry as number) < layers;
  if (Array.isArray(value) && value.every(isLayer)) return value as readonly number[];
  throw new UnseenError("FAMILY_UNSUPPORTED_VALUE", `config.json field mlp_only_layers must list layers from 0 to ${layers - 1}.`, {
    hint: "config.json is damaged; download it again.",
  });
}
