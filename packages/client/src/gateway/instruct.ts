/**
 * Tells a model in its prompt what form its answer must have. No host can enforce a form here: a grammar is text.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import type { ChatMessage as TemplateMessage } from "../chat-template.ts";
import type { FunctionTool } from "../openai/chat-schema.ts";
import type { TextTokenizer } from "../tokenizer.ts";

/** A conversation ready for the template. */
export interface Dialogue {
  readonly messages: readonly TemplateMessage[];
  readonly tools: readonly FunctionTool[];
  readonly variables: Readonly<Record<string, unknown>>;
  /** Sentences about the form of the answer; empty for a free answer. */
  readonly instructions: readonly string[];
}

export interface Prompt {
  readonly text: string;
  readonly ids: readonly number[];
}

/**
 * Renders a dialogue. Instructions go to the system message, or to the last user message where the template drops or refuses
 * system messages; functions are described in words where the template does not know any.
 *
 * @throws UnseenError REQUEST_INVALID when the template refuses the conversation.
 */
export function renderDialogue(tokenizer: TextTokenizer, dialogue: Dialogue): Prompt {
  const render = (messages: readonly TemplateMessage[]): Prompt =>
    tokenizer.applyChatTemplate({ messages, tools: dialogue.tools.map(templateTool), variables: dialogue.variables });
  const known = dialogue.tools.length === 0 || templateKnowsTools(tokenizer, dialogue);
  const words = [...(known ? [] : [describeTools(dialogue.tools)]), ...dialogue.instructions].join("\n\n").trim();
  if (!words) return render(dialogue.messages);
  try {
    const prompt = render(inSystemMessage(dialogue.messages, words));
    if (prompt.text.includes(words)) return prompt;
  } catch (error) {
    // Gemma and older Mistral templates refuse the system role.
    if (!UnseenError.isInstance(error)) throw error;
  }
  return render(inUserMessage(dialogue.messages, words));
}

function templateKnowsTools(tokenizer: TextTokenizer, { messages, tools, variables }: Dialogue): boolean {
  const withTools = tokenizer.applyChatTemplate({ messages, tools: tools.map(templateTool), variables });
  return withTools.text !== tokenizer.applyChatTemplate({ messages, variables }).text;
}

/** The form that templates know from the `transformers` documentation. */
function templateTool({ function: described }: FunctionTool): unknown {
  const { name, description, parameters } = described;
  return {
    type: "function",
    function: { name, description: description ?? "", parameters: parameters ?? { type: "object", properties: {} } },
  };
}

function describeTools(tools: readonly FunctionTool[]): string {
  const list = tools.map((tool) => JSON.stringify((templateTool(tool) as { function: unknown }).function)).join("\n");
  return `You can call these functions:\n${list}\nTo call one, write <tool_call>{"name": "the function", "arguments": {...}}</tool_call> and nothing else.`;
}

function inSystemMessage(messages: readonly TemplateMessage[], words: string): TemplateMessage[] {
  const [first, ...rest] = messages;
  if (first?.role === "system") return [{ ...first, content: `${String(first.content)}\n\n${words}` }, ...rest];
  return [{ role: "system", content: words }, ...messages];
}

function inUserMessage(messages: readonly TemplateMessage[], words: string): TemplateMessage[] {
  const place = messages.findLastIndex((message) => message.role === "user");
  if (place < 0) return [...messages, { role: "user", content: words }];
  return messages.map((message, index) => (index === place ? { ...message, content: `${String(message.content)}\n\n${words}` } : message));
}
