// Figures of `npm run prove -- lab/weights`; `npm run build:worth` measures them anew and writes this file.
import type { Strength } from "@unseen/core/blueprint/spaces.ts";

/** The strongest attack of a host that has the public model, on a reference model. */
export interface MeasuredWorth {
  readonly model: string;
  readonly attack: string;
  /** 0..1, mean over keys. */
  readonly vocabularyTop1: number;
  readonly seconds: number;
  readonly keys: number;
}

export const measuredWorth: Readonly<Record<"decoder" | "encoder", Readonly<Record<Strength, MeasuredWorth>>>> = {
  decoder: {
    permute: { model: "story-llama", attack: "sorted-rows", vocabularyTop1: 1, seconds: 2, keys: 5 },
    rotate: { model: "story-llama", attack: "functional-fingerprint", vocabularyTop1: 1, seconds: 9, keys: 5 },
  },
  encoder: {
    permute: { model: "sst2-distilbert", attack: "sorted-rows", vocabularyTop1: 1, seconds: 28, keys: 5 },
    rotate: { model: "sst2-distilbert", attack: "sorted-rows", vocabularyTop1: 1, seconds: 28, keys: 5 },
  },
};
