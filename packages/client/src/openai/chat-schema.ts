/**
 * `POST /v1/chat/completions`: the fields that are honoured.
 * @module
 */
import { z } from "zod";
import { samplingFields } from "./sampling-schema.ts";

const MAXIMUM_MESSAGES = 10_000;
const MAXIMUM_TOOLS = 256;

const functionName = z.string().regex(/^[a-zA-Z0-9_.-]{1,128}$/, "must be 1 to 128 of a-z, A-Z, 0-9, _, . and -");

/** A JSON Schema; checked when it is compiled. */
export const jsonSchema = z.record(z.string(), z.unknown());

const message = z.object({
  role: z.enum(["system", "developer", "user", "assistant", "tool", "function"]),
  content: z.union([z.string(), z.array(z.looseObject({ type: z.string() }))]).nullish(),
  name: z.string().nullish(),
  reasoning_content: z.string().nullish(),
  tool_calls: z
    .array(z.object({ id: z.string(), type: z.string().nullish(), function: z.object({ name: z.string(), arguments: z.string() }) }))
    .nullish(),
  tool_call_id: z.string().nullish(),
});

export const functionTool = z.object({
  type: z.literal("function", { error: "only tools of type function can be called through a blind host" }),
  function: z.object({
    name: functionName,
    description: z.string().nullish(),
    parameters: jsonSchema.nullish(),
    strict: z.boolean().nullish(),
  }),
});

export const chatSchema = z.object({
  ...samplingFields,
  messages: z.array(message).min(1).max(MAXIMUM_MESSAGES),
  tools: z.array(functionTool).max(MAXIMUM_TOOLS).nullish(),
  tool_choice: z
    .union([z.enum(["none", "auto", "required"]), z.object({ type: z.literal("function"), function: z.object({ name: z.string() }) })])
    .nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  response_format: z
    .discriminatedUnion("type", [
      z.object({ type: z.literal("text") }),
      z.object({ type: z.literal("json_object") }),
      z.object({
        type: z.literal("json_schema"),
        json_schema: z.object({
          name: z.string().nullish(),
          description: z.string().nullish(),
          schema: jsonSchema.nullish(),
          strict: z.boolean().nullish(),
        }),
      }),
    ])
    .nullish(),
  max_tokens: z.int().min(1).nullish(),
  max_completion_tokens: z.int().min(1).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  reasoning_effort: z.string().max(32).nullish(),
  chat_template_kwargs: z.record(z.string(), z.unknown()).nullish(),
});

export type ChatRequest = z.output<typeof chatSchema>;
export type ChatMessage = ChatRequest["messages"][number];
export type FunctionTool = z.output<typeof functionTool>;
export type ToolChoice = ChatRequest["tool_choice"];
