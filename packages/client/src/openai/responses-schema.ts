/**
 * `POST /v1/responses`, the stateless flavour: the fields that are honoured, and those that are refused because
 * ignoring them would change what the caller gets.
 * @module
 */
import { z } from "zod";
import { jsonSchema } from "./chat-schema.ts";
import { samplingFields } from "./sampling-schema.ts";

const MAXIMUM_ITEMS = 10_000;

const part = z.looseObject({ type: z.string() });

/** Items are told apart by `type` and checked where they are translated, so that an unknown one can be named. */
const inputItem = z.looseObject({
  type: z.string().nullish(),
  role: z.string().nullish(),
  content: z.union([z.string(), z.array(part)]).nullish(),
});

export const responsesSchema = z.object({
  model: samplingFields.model,
  temperature: samplingFields.temperature,
  top_p: samplingFields.top_p,
  stream: samplingFields.stream,
  user: samplingFields.user,
  input: z.union([z.string(), z.array(inputItem).min(1).max(MAXIMUM_ITEMS)]),
  instructions: z.string().nullish(),
  max_output_tokens: z.int().min(1).nullish(),
  tools: z
    .array(
      z.object({
        type: z.literal("function", { error: "only tools of type function can be called through a blind host" }),
        name: z.string(),
        description: z.string().nullish(),
        parameters: jsonSchema.nullish(),
        strict: z.boolean().nullish(),
      }),
    )
    .nullish(),
  tool_choice: z.union([z.enum(["none", "auto", "required"]), z.object({ type: z.literal("function"), name: z.string() })]).nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  text: z
    .object({
      format: z
        .discriminatedUnion("type", [
          z.object({ type: z.literal("text") }),
          z.object({ type: z.literal("json_object") }),
          z.object({
            type: z.literal("json_schema"),
            name: z.string().nullish(),
            description: z.string().nullish(),
            schema: jsonSchema,
            strict: z.boolean().nullish(),
          }),
        ])
        .nullish(),
    })
    .nullish(),
  reasoning: z.object({ effort: z.string().max(32).nullish() }).nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  include: z.array(z.string()).nullish(),
  metadata: z.record(z.string(), z.string()).nullish(),
  previous_response_id: z.string().nullish(),
  conversation: z.unknown().optional(),
  prompt: z.unknown().optional(),
  background: z.boolean().nullish(),
});

export type ResponsesRequest = z.output<typeof responsesSchema>;
export type InputItem = z.output<typeof inputItem>;
