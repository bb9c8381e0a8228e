/**
 * `POST /v1/completions`: the fields that are honoured.
 * @module
 */
import { z } from "zod";
import { samplingFields } from "./sampling-schema.ts";

const MAXIMUM_PROMPTS = 64;

const ids = z.array(z.int().nonnegative()).min(1);

export const completionSchema = z.object({
  ...samplingFields,
  prompt: z.union([z.string(), ids, z.array(z.string()).min(1).max(MAXIMUM_PROMPTS), z.array(ids).min(1).max(MAXIMUM_PROMPTS)]),
  max_tokens: z.int().min(1).nullish(),
  logprobs: z.int().min(0).max(20).nullish(),
  echo: z.boolean().nullish(),
  suffix: z.string().nullish(),
  add_special_tokens: z.boolean().nullish(),
});

export type CompletionRequest = z.output<typeof completionSchema>;

/** The prompts of a request, one or many. Ids are plain ids. */
export function listPrompts(prompt: CompletionRequest["prompt"]): (string | number[])[] {
  if (typeof prompt === "string") return [prompt];
  return typeof prompt[0] === "number" ? [prompt as number[]] : (prompt as (string | number[])[]);
}
