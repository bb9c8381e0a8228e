/**
 * Sampling settings as they are typed.
 * @module
 */
import type { Sampling } from "../../../../src/protocol/conversations.ts";

export type SamplingName = keyof Sampling;
export type SamplingTexts = Readonly<Partial<Record<SamplingName, string>>>;

export interface SamplingField {
  readonly name: SamplingName;
  readonly label: string;
  readonly hint: string;
  readonly minimum: number;
  readonly maximum: number;
  readonly whole: boolean;
  /** What stands for "not set", where the model has no default. */
  readonly initial: string;
}

/** In the order in which they are shown. */
export const samplingFields: readonly SamplingField[] = [
  {
    name: "temperature",
    label: "Temperature",
    hint: "0: always the likeliest word. Higher: more surprising.",
    minimum: 0,
    maximum: 2,
    whole: false,
    initial: "1",
  },
  {
    name: "max_tokens",
    label: "Most tokens",
    hint: "Length of an answer at most.",
    minimum: 1,
    maximum: 1e6,
    whole: true,
    initial: "as fit",
  },
  { name: "top_p", label: "Top p", hint: "Likeliest words up to this sum.", minimum: 0, maximum: 1, whole: false, initial: "1" },
  { name: "top_k", label: "Top k", hint: "This many likeliest words.", minimum: 0, maximum: 1e6, whole: true, initial: "all" },
  { name: "min_p", label: "Min p", hint: "Words this likely, beside the likeliest.", minimum: 0, maximum: 1, whole: false, initial: "0" },
  {
    name: "seed",
    label: "Seed",
    hint: "The same number: the same choice.",
    minimum: 0,
    maximum: 2 ** 31 - 1,
    whole: true,
    initial: "random",
  },
  {
    name: "repetition_penalty",
    label: "Repetition penalty",
    hint: "Above 1: fewer repeated words.",
    minimum: 0.01,
    maximum: 2,
    whole: false,
    initial: "1",
  },
  {
    name: "presence_penalty",
    label: "Presence penalty",
    hint: "Above 0: more new words.",
    minimum: -2,
    maximum: 2,
    whole: false,
    initial: "0",
  },
  {
    name: "frequency_penalty",
    label: "Frequency penalty",
    hint: "Above 0: fewer frequent words.",
    minimum: -2,
    maximum: 2,
    whole: false,
    initial: "0",
  },
];

/** Reads what was typed; a mistake says what is allowed. */
export function samplingFrom(texts: SamplingTexts): {
  readonly sampling: Sampling;
  readonly mistakes: Readonly<Partial<Record<SamplingName, string>>>;
} {
  const sampling: Partial<Record<SamplingName, number>> = {};
  const mistakes: Partial<Record<SamplingName, string>> = {};
  for (const { name, minimum, maximum, whole } of samplingFields) {
    const text = texts[name]?.trim().replace(",", ".") ?? "";
    if (text === "") continue;
    const value = Number(text);
    if (Number.isNaN(value) || value < minimum || value > maximum || (whole && !Number.isInteger(value)))
      mistakes[name] = `A ${whole ? "whole number" : "number"} from ${minimum} to ${maximum.toLocaleString("en")}.`;
    else sampling[name] = value;
  }
  return { sampling, mistakes };
}
