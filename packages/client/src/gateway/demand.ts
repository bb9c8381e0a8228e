/**
 * Answers that must have a form: written, checked, and asked for again when wrong.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import type { ChatMessage as TemplateMessage } from "../chat-template.ts";
import type { ChatRequest, FunctionTool } from "../openai/chat-schema.ts";
import { RequestError } from "../openai/errors.ts";
import { collect, replay, type Answer, type Delta } from "./delta.ts";
import { tryJson, unfence, valueLength } from "./json-values.ts";

/** Each attempt is a whole generation (CWE-770). */
const MAXIMUM_ATTEMPTS = 3;

/** The form that an answer must have. */
export interface Demand {
  /** What the prompt says about it. */
  readonly instruction: string;
  /** The answer as it is handed out, or why it is not. */
  check(answer: Answer): { readonly answer: Answer } | { readonly reason: string };
}

/** The demand of `response_format`, or null for free text. @throws RequestError REQUEST_INVALID for a schema that does not compile. */
export function demandJson(format: ChatRequest["response_format"]): Demand | null {
  if (!format || format.type === "text") return null;
  const schema = format.type === "json_schema" ? format.json_schema.schema : undefined;
  const validate = schema ? compile(schema, "response_format.json_schema.schema") : null;
  const shape = schema ? ` that is valid under this JSON Schema:\n${JSON.stringify(schema)}` : ".";
  const instruction = `Answer with one JSON object and nothing else, without a code fence${shape}`;
  const check = (answer: Answer): ReturnType<Demand["check"]> => {
    if (answer.toolCalls.length > 0) return { answer };
    const text = unfence(answer.text);
    const length = valueLength(text);
    const value = length === null ? undefined : tryJson(text.slice(0, length));
    if (length === null || value === undefined)
      return { reason: answer.reason === "length" ? "it ended before the JSON was complete" : "it was not JSON" };
    if (Array.isArray(value) && !validate) return { reason: "it was a list, not an object" };
    if (validate && !validate(value)) return { reason: explain(validate) };
    return { answer: { ...answer, text: text.slice(0, length), reason: "stop" } };
  };
  return { instruction, check };
}

/** The demand of `tool_choice` "required" or a named function. @throws RequestError REQUEST_INVALID for parameters that do not compile. */
export function demandCall(tools: readonly FunctionTool[]): Demand {
  const validators = new Map(
    tools.map((tool, index) => [
      tool.function.name,
      tool.function.parameters ? compile(tool.function.parameters, `tools[${index}].function.parameters`) : null,
    ]),
  );
  const names = tools.map((tool) => tool.function.name).join(", ");
  const check = (answer: Answer): ReturnType<Demand["check"]> => {
    if (answer.toolCalls.length === 0) return { reason: "it called no function" };
    for (const call of answer.toolCalls) {
      const validate = validators.get(call.name);
      if (validate && !validate(tryJson(call.arguments)))
        return { reason: `the arguments of ${call.name} were wrong: ${explain(validate)}` };
    }
    // What small models say beside the call was not asked for.
    return { answer: { ...answer, text: "", tokens: [], reason: "tool_calls" } };
  };
  return { instruction: `Answer this turn with a function call (${names}) and nothing else.`, check };
}

/**
 * Asks until the answer has the demanded form, each time with the wrong answer and the reason in the conversation.
 *
 * @param attempt - Starts one generation; `corrections` follow the conversation.
 * @throws UnseenError OUTPUT_INVALID after the last attempt.
 */
export async function* satisfy(
  attempt: (corrections: readonly TemplateMessage[], number: number) => AsyncIterable<Delta>,
  demand: Demand,
): AsyncGenerator<Delta> {
  let corrections: TemplateMessage[] = [];
  for (let number = 1; ; number += 1) {
    const answer = await collect(attempt(corrections, number));
    const verdict = demand.check(answer);
    if ("answer" in verdict) return yield* replay(verdict.answer);
    if (number === MAXIMUM_ATTEMPTS) {
      throw new UnseenError(
        "OUTPUT_INVALID",
        `the model's answer did not have the requested form after ${MAXIMUM_ATTEMPTS} attempts: ${verdict.reason}.`,
        {
          hint:
            answer.reason === "length"
              ? "Raise max_tokens, simplify the form or choose a larger model."
              : "Simplify the form or choose a larger model.",
        },
      );
    }
    const said = answer.text || JSON.stringify(answer.toolCalls.map(({ name, arguments: given }) => ({ name, arguments: tryJson(given) })));
    corrections = [
      { role: "assistant", content: said },
      { role: "user", content: `That answer cannot be used: ${verdict.reason}. ${demand.instruction}` },
    ];
  }
}

function compile(schema: Record<string, unknown>, param: string): ValidateFunction {
  try {
    // Generators state their draft in $schema, which Ajv would look up; 2020-12 reads what they write.
    const { $schema: _draft, ...rest } = schema;
    return new Ajv2020({ strict: false, validateFormats: false, logger: false }).compile(rest);
  } catch (cause) {
    throw new RequestError("REQUEST_INVALID", param, `${param}: expected a JSON Schema that compiles.`, {
      hint: "Check its $ref and keywords.",
      cause,
    });
  }
}

function explain(validate: ValidateFunction): string {
  const error = validate.errors?.[0];
  return `${error?.instancePath || "the value"} ${error?.message ?? "is not valid"}`;
}
