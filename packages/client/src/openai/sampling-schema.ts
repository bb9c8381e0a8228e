/**
 * The fields that chat completions and completions share.
 * @module
 */
import { z } from "zod";

/** Answers per prompt (CWE-770): each one is a generation of its own at the host. */
export const MAXIMUM_ANSWERS = 16;
const MAXIMUM_STOPS = 16;
const MAXIMUM_STOP_CHARACTERS = 512;
const MAXIMUM_BIASES = 1024;

const stopText = z.string().max(MAXIMUM_STOP_CHARACTERS);

/** Request fields that steer sampling; `null` means absent, as the official clients send it. */
export const samplingFields = {
  model: z.string().max(256).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  top_k: z.int().min(-1).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  repetition_penalty: z.number().positive().max(2).nullish(),
  seed: z.int().nullish(),
  n: z.int().min(1).max(MAXIMUM_ANSWERS).nullish(),
  stop: z.union([stopText, z.array(stopText).max(MAXIMUM_STOPS)]).nullish(),
  logit_bias: z
    .record(z.string().regex(/^\d{1,9}$/, "keys must be token ids"), z.number().min(-100).max(100))
    .refine((bias) => Object.keys(bias).length <= MAXIMUM_BIASES, `at most ${MAXIMUM_BIASES} entries`)
    .nullish(),
  ignore_eos: z.boolean().nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  return_token_ids: z.boolean().nullish(),
  user: z.string().nullish(),
};

export type SamplingRequest = z.output<z.ZodObject<typeof samplingFields>>;

/** The stop strings of a request, empty ones dropped. */
export function stopStrings(stop: SamplingRequest["stop"]): string[] {
  return (typeof stop === "string" ? [stop] : (stop ?? [])).filter((text) => text.length > 0);
}
