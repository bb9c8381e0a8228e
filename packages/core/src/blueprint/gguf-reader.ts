/**
 * Reads a GGUF's metadata so that no key of its architecture goes unnoticed: each is used, known to be
 * without effect, or refused by name.
 * @module
 */
import { quote } from "../checkpoint/checks.ts";
import type { GgufValue } from "../checkpoint/gguf.ts";
import { UnseenError } from "../errors.ts";

/** Largest dimension that the metadata may name. Guards against absurd allocations (CWE-789). */
const MAXIMUM_DIMENSION = 1 << 24;

/** Keys below the architecture's name that llama.cpp does not compute with. */
const WITHOUT_EFFECT = ["tensor_data_layout", "rope.scaling.finetuned"];

/** Keys that llama.cpp reads for every architecture, and the one value that leaves a decoder a decoder. */
const MUST_BE: Readonly<Record<string, readonly (number | boolean)[]>> = {
  "attention.causal": [true],
  pooling_type: [0],
  nextn_predict_layers: [0],
  expert_count: [0],
  expert_used_count: [0],
  expert_group_count: [0, 1],
  expert_group_used_count: [0, 1],
};

/** The metadata of one architecture, ticked off as it is read; keys are given without the architecture's name. */
export class GgufReader {
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly architecture: string;
  readonly #seen = new Set<string>();

  /** Throws `CHECKPOINT_MALFORMED` without `general.architecture`, `FAMILY_UNSUPPORTED_VALUE` for adapters and projectors. */
  constructor(metadata: ReadonlyMap<string, GgufValue>) {
    this.metadata = metadata;
    const architecture = metadata.get("general.architecture")?.value;
    if (typeof architecture !== "string") {
      throw new UnseenError("CHECKPOINT_MALFORMED", "the GGUF has no general.architecture.", {
        hint: "Download or convert the file again.",
      });
    }
    this.architecture = architecture;
    const kind = metadata.get("general.type")?.value ?? "model";
    if (kind !== "model") throw new UnseenError("FAMILY_UNSUPPORTED_VALUE", `the GGUF holds ${quote(String(kind))}, not a model.`);
  }

  /** A whole number up to `maximum`; lists of one repeated number count as that number. Throws `CHECKPOINT_MALFORMED`, `FAMILY_UNSUPPORTED_VALUE`. */
  count(key: string, fallback?: number, maximum = MAXIMUM_DIMENSION): number {
    const value = this.#value(key);
    const list = Array.isArray(value) ? (value as readonly unknown[]) : [value];
    const first = list[0];
    if (value === undefined) {
      if (fallback !== undefined) return fallback;
      throw this.#missing(key);
    }
    if (list.some((entry) => entry !== first)) throw this.#refusal(key, "varies from layer to layer", "the same number for all layers");
    const number = typeof first === "bigint" ? Number(first) : first;
    if (typeof number !== "number" || !Number.isSafeInteger(number) || number < 0 || (number === 0 && fallback !== 0) || number > maximum) {
      throw this.#refusal(key, quote(String(number)), `a whole number up to ${maximum}`);
    }
    return number;
  }

  /** A finite number that is not negative. Throws `CHECKPOINT_MALFORMED`, `FAMILY_UNSUPPORTED_VALUE`. */
  number(key: string, fallback?: number): number {
    const entry = this.metadata.get(`${this.architecture}.${key}`);
    const value = this.#value(key);
    if (value === undefined) {
      if (fallback !== undefined) return fallback;
      throw this.#missing(key);
    }
    if (typeof value !== "number" || !Number.isFinite(value) || value < 0)
      throw this.#refusal(key, quote(String(value)), "a number that is not negative");
    return entry?.type === "f32" ? shortest(value) : value;
  }

  /** A string. Throws `FAMILY_UNSUPPORTED_VALUE`. */
  text(key: string, fallback: string): string {
    const value = this.#value(key) ?? fallback;
    if (typeof value !== "string") throw this.#refusal(key, typeof value, "a string");
    return value;
  }

  /** A list of numbers or booleans, one a layer; null where the key is absent or holds a single number. */
  list(key: string): readonly (number | boolean)[] | null {
    const value = this.#value(key);
    return Array.isArray(value) ? (value as readonly (number | boolean)[]) : null;
  }

  /** Refuses every value but the given ones, to seven digits; absent is allowed. Throws `FAMILY_UNSUPPORTED_VALUE`. */
  only(key: string, expected: readonly (number | boolean)[]): void {
    const value = this.#value(key);
    if (value === undefined) return;
    const same = (wanted: number | boolean): boolean =>
      typeof wanted === "number" && typeof value === "number" ? Math.abs(value - wanted) <= 1e-6 * Math.abs(wanted) : value === wanted;
    const list = Array.isArray(value) ? value : null;
    if (list ? list.length > 0 && list.every((entry) => expected.includes(entry as number)) : expected.some(same)) return;
    throw this.#refusal(key, quote(String(value)), expected.join(" or "));
  }

  /** Ticks off a key that has no effect. */
  ignore(key: string): void {
    this.#seen.add(key);
  }

  /** Refuses keys of the architecture that nobody ticked off. Call last. Throws `FAMILY_UNKNOWN_FIELD`, `FAMILY_UNSUPPORTED_VALUE`. */
  finish(): void {
    for (const key of WITHOUT_EFFECT) this.ignore(key);
    for (const [key, expected] of Object.entries(MUST_BE)) if (!this.#seen.has(key)) this.only(key, expected);
    const prefix = `${this.architecture}.`;
    const unknown = [...this.metadata.keys()].filter((key) => key.startsWith(prefix) && !this.#seen.has(key.slice(prefix.length)));
    if (unknown.length === 0) return;
    throw new UnseenError(
      "FAMILY_UNKNOWN_FIELD",
      `the GGUF has metadata of unknown effect: ${unknown.slice(0, 8).map(quote).join(", ")}.`,
      {
        hint: "Convert the model again with a current llama.cpp; a model is never transformed by guess.",
      },
    );
  }

  #value(key: string): GgufValue["value"] | undefined {
    this.#seen.add(key);
    return this.metadata.get(`${this.architecture}.${key}`)?.value;
  }

  #missing(key: string): UnseenError {
    return new UnseenError("CHECKPOINT_MALFORMED", `the GGUF has no ${this.architecture}.${key}.`, {
      hint: "Download or convert the file again.",
    });
  }

  #refusal(key: string, got: string, expected: string): UnseenError {
    return new UnseenError("FAMILY_UNSUPPORTED_VALUE", `GGUF metadata ${this.architecture}.${key} must be ${expected}, got ${got}.`, {
      hint: "This variant of the architecture has no proven transformation.",
    });
  }
}

/** The shortest decimal that rounds to the same 32-bit float: 1e-6, not 9.999999974752427e-7. */
function shortest(value: number): number {
  for (let digits = 1; digits < 9; digits += 1) {
    const candidate = Number(value.toPrecision(digits));
    if (Math.fround(candidate) === Math.fround(value)) return candidate;
  }
  return value;
}
