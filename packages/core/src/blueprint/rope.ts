/**
 * Reads rotary settings in both spellings of `config.json`: `rope_parameters` (transformers 5) and
 * `rope_theta` with `rope_scaling` (before).
 * @module
 */
import { quote } from "../checkpoint/checks.ts";
import { UnseenError } from "../errors.ts";
import type { Rope, RopeScaling } from "./architecture.ts";
import type { ConfigReader, Json, JsonObject } from "./config.ts";

/** Every field that some type of scaling reads. Those of another type than the chosen one have no effect. */
const FIELDS: ReadonlySet<string> = new Set([
  "rope_type",
  "type",
  "rope_theta",
  "partial_rotary_factor",
  "factor",
  "factors",
  "original_max_position_embeddings",
  "low_freq_factor",
  "high_freq_factor",
  "beta_fast",
  "beta_slow",
  "attention_factor",
  "mscale",
  "mscale_all_dim",
  "truncate",
  "short_factor",
  "long_factor",
  "finetuned",
]);

/** The rotary settings of a model with one kind of layer; `theta` is the family's own base. Throws `FAMILY_UNSUPPORTED_VALUE`, `FAMILY_UNKNOWN_FIELD`. */
export function readRope(config: ConfigReader, headSize: number, positions: number, theta = 10_000): Rope {
  const settings: Record<string, Json> = { ...config.object("rope_scaling"), ...config.object("rope_parameters") };
  // Before transformers 5 these lay beside the object; what the object says counts.
  const beside = { rope_theta: theta, partial_rotary_factor: 1, original_max_position_embeddings: null };
  for (const [name, fallback] of Object.entries(beside)) {
    const value = config.value(name);
    settings[name] ??= value ?? fallback;
  }
  return ropeFrom(settings, headSize, positions);
}

/** Rotary settings from one `rope_parameters` object. Throws `FAMILY_UNSUPPORTED_VALUE`, `FAMILY_UNKNOWN_FIELD`. */
export function ropeFrom(settings: JsonObject, headSize: number, positions: number): Rope {
  const refuse = (name: string, expected: string): UnseenError =>
    new UnseenError(
      "FAMILY_UNSUPPORTED_VALUE",
      `rope_parameters.${name} must be ${expected}, got ${JSON.stringify(settings[name] ?? null).slice(0, 80)}.`,
      { hint: "Compare rope_parameters or rope_scaling of config.json with those of the original model." },
    );
  const isPositive = (value: Json | undefined): value is number => typeof value === "number" && Number.isFinite(value) && value > 0;
  const number = (name: string, fallback?: number): number => {
    const value = settings[name] ?? fallback;
    if (!isPositive(value)) throw refuse(name, "a positive number");
    return value;
  };
  const factors = (name: string): readonly number[] => {
    const value = settings[name];
    if (!Array.isArray(value) || value.length !== dimensions / 2 || !value.every(isPositive))
      throw refuse(name, `a list of ${dimensions / 2} positive numbers`);
    return value;
  };
  const unknown = Object.keys(settings).filter((name) => !FIELDS.has(name) && settings[name] !== null);
  if (unknown.length > 0) {
    throw new UnseenError(
      "FAMILY_UNKNOWN_FIELD",
      `rope_parameters has fields of unknown effect: ${unknown.slice(0, 8).map(quote).join(", ")}.`,
      {
        hint: "If they do not change the forward pass, remove them from config.json and try again.",
      },
    );
  }
  const theta = number("rope_theta");
  const dimensions = Math.floor(headSize * number("partial_rotary_factor", 1));
  if (dimensions < 2 || dimensions > headSize || dimensions % 2 !== 0)
    throw refuse("partial_rotary_factor", `such that an even number of a head's ${headSize} dimensions rotates (${dimensions} would)`);
  const type = settings["rope_type"] ?? settings["type"] ?? "default";
  // A plain rope must not carry a factor: somebody meant another type.
  if (type === "default" && (settings["factor"] ?? 1) !== 1) throw refuse("rope_type", "stated where there is a factor");
  return { theta, dimensions, scaling: readScaling() };

  function readScaling(): RopeScaling | null {
    switch (type) {
      case "default":
        return null;
      case "linear":
        return { type, factor: number("factor") };
      case "factors":
        return { type, factors: factors("factors") };
      case "llama3": {
        const lowFrequencyFactor = number("low_freq_factor");
        const highFrequencyFactor = number("high_freq_factor");
        // Between the two, factors are blended by their difference.
        if (highFrequencyFactor <= lowFrequencyFactor)
          throw refuse("high_freq_factor", `greater than low_freq_factor, ${lowFrequencyFactor}`);
        const originalPositions = number("original_max_position_embeddings");
        return { type, factor: number("factor"), lowFrequencyFactor, highFrequencyFactor, originalPositions };
      }
      case "yarn": {
        const factor = number("factor");
        const truncate = settings["truncate"] ?? true;
        if (typeof truncate !== "boolean") throw refuse("truncate", "true or false");
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
          truncate,
        };
      }
      case "longrope": {
        // No fallback: where the long factors begin decides what the model computes.
        const originalPositions = number("original_max_position_embeddings");
        if (originalPositions <= 1) throw refuse("original_max_position_embeddings", "more than 1");
        const factor = positions / originalPositions;
        const attentionFactor = number("attention_factor", factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(originalPositions)));
        return { type, shortFactors: factors("short_factor"), longFactors: factors("long_factor"), originalPositions, attentionFactor };
      }
      default:
        throw new UnseenError("FAMILY_UNSUPPORTED_VALUE", `rope_type ${JSON.stringify(type).slice(0, 80)} is not supported.`, {
          hint: "Supported: default, linear, llama3, yarn, longrope.",
        });
    }
  }
}
