/**
 * OpenAI's messages as chat templates expect them.
 * @module
 */
import type { ChatMessage as TemplateMessage } from "../chat-template.ts";
import type { ChatMessage } from "../openai/chat-schema.ts";
import { RequestError } from "../openai/errors.ts";

const textParts = new Set(["text", "input_text", "output_text", "refusal"]);

/**
 * Translates a conversation: text parts are joined, `developer` is `system`, a tool's answer names its function.
 * @throws RequestError REQUEST_UNSUPPORTED for images, audio and files.
 */
export function toTemplateMessages(messages: readonly ChatMessage[]): TemplateMessage[] {
  const functionNames = new Map<string, string>();
  return messages.map((message, index) => {
    for (const call of message.tool_calls ?? []) functionNames.set(call.id, call.function.name);
    const content = joinText(message.content, `messages[${index}].content`);
    const name = message.name ?? (message.tool_call_id ? functionNames.get(message.tool_call_id) : undefined);
    return {
      role: message.role === "developer" ? "system" : message.role === "function" ? "tool" : message.role,
      content,
      ...(name ? { name } : {}),
      ...(message.reasoning_content ? { reasoning_content: message.reasoning_content } : {}),
      ...(message.tool_calls?.length
        ? { tool_calls: message.tool_calls.map(({ id, function: called }) => ({ id, type: "function", function: called })) }
        : {}),
      ...(message.tool_call_id ? { tool_call_id: message.tool_call_id } : {}),
    };
  });
}

/** The text of a message's content. @throws RequestError REQUEST_UNSUPPORTED, REQUEST_INVALID. */
export function joinText(
  content: string | readonly { readonly type: string; readonly [field: string]: unknown }[] | null | undefined,
  param: string,
): string {
  if (typeof content === "string") return content;
  const texts = (content ?? []).map((part, index) => {
    const place = `${param}[${index}]`;
    if (!textParts.has(part.type)) {
      throw new RequestError("REQUEST_UNSUPPORTED", place, `${place}.type: expected text, got ${part.type.slice(0, 40)}.`, {
        hint: "This model reads text only.",
      });
    }
    const text = part["text"] ?? part["refusal"];
    if (typeof text !== "string") throw new RequestError("REQUEST_INVALID", place, `${place}.text: expected a string.`);
    return text;
  });
  return texts.join("\n");
}
