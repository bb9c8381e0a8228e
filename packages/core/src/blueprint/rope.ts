/**
 * Reads rotary settings in both spellings of `config.json`: `rope_parameters` (transformers 5) and
 * `rope_theta` with `rope_scaling` (before).
 * @module
 */
import { UnseenError } from "../errors.ts";
import type { Rope, RopeScaling } from "./architecture.ts";
import { isObject, type ConfigReader, type Json, type JsonObject } from "./config.ts";

/** The rotary settings of a model with one kind of layer. Throws `FAMILY_UNSUPPORTED_VALUE`. */
export function readRope(config: ConfigReader, headSize: number, positions: number, defaults: { theta?: number } = {}): Rope {
  const theta = config.value("rope_theta");
  const scaling = config.value("rope_scaling");
  const partial = config.value("partial_rotary_factor");
  const parameters = config.value("rope_parameters");
  const originalTop = config.value("original_max_position_embeddings");
  const settings: Record<string, Json> = {
    ...(isObject(scaling) ? scaling : {}),
    ...(isObject(parameters) ? parameters : {}),
  };
  if (typeof originalTop === "number") settings["original_max_position_embeddings"] ??= originalTop;
  settings["rope_theta"] ??= theta ?? defaults.theta ?? 10000;
  settings["partial_rotary_factor"] ??= partial ?? 1;
  return ropeFrom(settings, headSize, positions);
}

/** Rotary settings from one `rope_parameters` object. Throws `FAMILY_UNSUPPORTED_VALUE`. */
export function ropeFrom(settings: JsonObject, headSize: number, positions: number): Rope {
  const known = new Set(["rope_theta", "partial_rotary_factor", "rope_type", "type"]);
  const number = (name: string, fallback?: number): number => {
    known.add(name);
    const value = settings[name] ?? fallback;
    if (typeof value !== "number" || !Number.isFinite(value) || value < 0) {
      throw new UnseenError("FAMILY_UNSUPPORTED_VALUE", `rope_parameters.${name} must be a number, got ${JSON.stringify(value ?? null)}.`);
    }
    return value;
  };
  const factors = (name: string): readonly number[] => {
    known.add(name);
    const value = settings[name];
    if (!Array.isArray(value) || value.length !== dimensions / 2 || value.some((entry) => typeof entry !== "number")) {
      throw new UnseenError("FAMILY_UNSUPPORTED_VALUE", `rope_parameters.${name} must list ${dimensions / 2} numbers.`);
    }
    return value as readonly number[];
  };
  const theta = number("rope_theta");
  const dimensions = Math.floor(headSize * number("partial_rotary_factor", 1));
  if (theta <= 0 || dimensions < 2 || dimensions > headSize || dimensions % 2 !== 0) {
    throw new UnseenError(
      "FAMILY_UNSUPPORTED_VALUE",
      `rotary dimensions must be even and within the head of ${headSize}, got ${dimensions}.`,
    );
  }
  const type = settings["rope_type"] ?? settings["type"] ?? "default";
  const scaling = readScaling();
  const unknown = Object.keys(settings).filter((name) => !known.has(name) && settings[name] !== null);
  // Fields of other scaling types are inert for this one; only a plain rope must not carry a factor.
  if (type === "default" && unknown.includes("factor") && settings["factor"] !== 1) {
    throw new UnseenError("FAMILY_UNSUPPORTED_VALUE", "rope_parameters has a factor but no rope_type.");
  }
  return { theta, dimensions, scaling };

  function readScaling(): RopeScaling | null {
    switch (type) {
      case "default":
        return null;
      case "linear":
        return { type, factor: number("factor") };
      case "factors":
        return { type, factors: factors("factors") };
      case "llama3":
        return {
          type,
          factor: number("factor"),
          lowFrequencyFactor: number("low_freq_factor"),
          highFrequencyFactor: number("high_freq_factor"),
          originalPositions: number("original_max_position_embeddings"),
        };
      case "yarn": {
        const factor = number("factor");
        const magnitude = (mscale: number): number => (factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1);
        const plain =
          settings["mscale"] && settings["mscale_all_dim"]
            ? magnitude(number("mscale")) / magnitude(number("mscale_all_dim"))
            : magnitude(1);
        return {
          type,
          factor,
          originalPositions: number("original_max_position_embeddings", positions),
          betaFast: number("beta_fast", 32),
          betaSlow: number("beta_slow", 1),
          attentionFactor: number("attention_factor", plain),
          truncate: settings["truncate"] !== false,
        };
      }
      case "longrope": {
        const originalPositions = number("original_max_position_embeddings", positions);
        const factor = positions / originalPositions;
        const attentionFactor = number("attention_factor", factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(originalPositions)));
        return { type, shortFactors: factors("short_factor"), longFactors: factors("long_factor"), originalPositions, attentionFactor };
      }
      default:
        throw new UnseenError("FAMILY_UNSUPPORTED_VALUE", `rope_type ${JSON.stringify(type)} is not supported.`, {
          hint: "Supported: default, linear, llama3, yarn, longrope.",
        });
    }
  }
}
