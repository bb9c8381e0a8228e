/**
 * A Responses request as a chat request: the same work, other words.
 * @module
 */
import { joinText } from "../gateway/messages.ts";
import type { ChatMessage, ChatRequest } from "./chat-schema.ts";
import { RequestError } from "./errors.ts";
import type { InputItem, ResponsesRequest } from "./responses-schema.ts";

/**
 * Translates a request.
 * @throws RequestError REQUEST_UNSUPPORTED for whatever needs a memory or a tool of OpenAI's servers.
 */
export function toChatRequest(request: ResponsesRequest): ChatRequest {
  refuse(request.previous_response_id, "previous_response_id", "This gateway keeps no conversations: send the whole input each time.");
  refuse(request.conversation, "conversation", "This gateway keeps no conversations: send the whole input each time.");
  refuse(request.prompt, "prompt", "Stored prompts live at OpenAI: send instructions and input.");
  refuse(request.background || undefined, "background", "Keep the connection open, or use stream.");
  const format = request.text?.format;
  const choice = request.tool_choice;
  const logprobs = request.include?.includes("message.output_text.logprobs") || typeof request.top_logprobs === "number";
  return {
    model: request.model,
    messages: [...(request.instructions ? [{ role: "system" as const, content: request.instructions }] : []), ...toMessages(request.input)],
    temperature: request.temperature,
    top_p: request.top_p,
    max_completion_tokens: request.max_output_tokens,
    tools: request.tools?.map(({ name, description, parameters, strict }) => ({
      type: "function",
      function: { name, description, parameters, strict },
    })),
    tool_choice: typeof choice === "object" && choice !== null ? { type: "function", function: { name: choice.name } } : choice,
    parallel_tool_calls: request.parallel_tool_calls,
    response_format:
      format?.type === "json_schema"
        ? {
            type: "json_schema",
            json_schema: { name: format.name, description: format.description, schema: format.schema, strict: format.strict },
          }
        : format,
    reasoning_effort: request.reasoning?.effort,
    logprobs,
    top_logprobs: request.top_logprobs,
    user: request.user,
    stream: request.stream,
  };
}

function refuse(value: unknown, param: string, hint: string): void {
  if (value === undefined || value === null) return;
  throw new RequestError("REQUEST_UNSUPPORTED", param, `${param} is not supported.`, { hint });
}

function toMessages(input: ResponsesRequest["input"]): ChatMessage[] {
  if (typeof input === "string") return [{ role: "user", content: input }];
  const messages: ChatMessage[] = [];
  for (const [index, item] of input.entries()) {
    const place = `input[${index}]`;
    const kind = item.type ?? (item.role ? "message" : "");
    if (kind === "message") messages.push({ role: role(item, place), content: joinText(item.content, `${place}.content`) });
    else if (kind === "function_call") {
      const call = {
        id: text(item, "call_id", place),
        type: "function",
        function: { name: text(item, "name", place), arguments: text(item, "arguments", place) },
      };
      const last = messages.at(-1);
      // What belongs to one turn of the model goes into one message, as templates expect.
      if (last?.role === "assistant") last.tool_calls = [...(last.tool_calls ?? []), call];
      else messages.push({ role: "assistant", content: null, tool_calls: [call] });
    } else if (kind === "function_call_output") {
      const output = item["output"] as string | { type: string }[];
      if (typeof output !== "string" && !Array.isArray(output))
        throw new RequestError("REQUEST_INVALID", `${place}.output`, `${place}.output: expected a string or text parts.`);
      messages.push({ role: "tool", tool_call_id: text(item, "call_id", place), content: joinText(output, `${place}.output`) });
    } else if (kind !== "reasoning") {
      throw new RequestError(
        "REQUEST_UNSUPPORTED",
        place,
        `${place}.type: expected message, function_call, function_call_output or reasoning, got ${kind.slice(0, 40) || "none"}.`,
      );
    }
  }
  return messages;
}

function role(item: InputItem, place: string): ChatMessage["role"] {
  const { role: given } = item;
  if (given === "user" || given === "assistant" || given === "system" || given === "developer") return given;
  throw new RequestError("REQUEST_INVALID", `${place}.role`, `${place}.role: expected user, assistant, system or developer.`);
}

function text(item: InputItem, field: string, place: string): string {
  const value = item[field];
  if (typeof value === "string") return value;
  throw new RequestError("REQUEST_INVALID", `${place}.${field}`, `${place}.${field}: expected a string.`);
}
