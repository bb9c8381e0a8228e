/**
 * Chat templates as Hugging Face tokenizers carry them: Jinja over messages and tools.
 * @see https://huggingface.co/docs/transformers/chat_templating
 * @module
 */
import { Template } from "@huggingface/jinja";
import { UnseenError } from "@unseen/core/errors.ts";

/** Characters of one template (CWE-770); published ones stay below 30,000. */
const MAXIMUM_TEMPLATE_LENGTH = 1_000_000;
/** Roles that may reach a template, which often spells them inside a marker: `<|user|>`. */
const ROLES = new Set(["system", "developer", "user", "assistant", "tool", "function"]);

/** One message of a conversation, as in OpenAI's API; unknown fields are handed to the template. */
export interface ChatMessage {
  readonly role: string;
  readonly content?: unknown;
  readonly [field: string]: unknown;
}

/** A conversation to put into a model's own form. */
export interface Conversation {
  readonly messages: readonly ChatMessage[];
  readonly tools?: readonly unknown[] | undefined;
  /** End with the marker that opens the assistant's turn; true when absent. */
  readonly addGenerationPrompt?: boolean | undefined;
  /** More variables for the template (`chat_template_kwargs`, e.g. `enable_thinking`). */
  readonly variables?: Readonly<Record<string, unknown>> | undefined;
}

/** The compiled chat template(s) of one model. */
export class ChatTemplate {
  readonly #templates: ReadonlyMap<string, string>;
  readonly #compiled = new Map<string, Template>();
  readonly #constants: Readonly<Record<string, unknown>>;

  /**
   * @param source a template, or a list of named ones (`default`, `tool_use`) as older tokenizer_config.json files have
   * @param constants `bos_token`, `eos_token`, ...: the tokenizer's named tokens
   * @throws UnseenError BUNDLE_INVALID
   */
  constructor(source: unknown, constants: Readonly<Record<string, unknown>>) {
    const named = typeof source === "string" ? [{ name: "default", template: source }] : source;
    if (!Array.isArray(named) || named.length === 0) throw invalid("a template or a list of named templates");
    const templates = new Map<string, string>();
    for (const entry of named as { name?: unknown; template?: unknown }[]) {
      if (typeof entry?.name !== "string" || typeof entry.template !== "string") throw invalid("named templates");
      if (entry.template.length > MAXIMUM_TEMPLATE_LENGTH) throw invalid(`at most ${MAXIMUM_TEMPLATE_LENGTH} characters`);
      templates.set(entry.name, entry.template);
    }
    this.#templates = templates;
    this.#constants = constants;
  }

  /** The source that a conversation with or without tools uses. */
  source(tools: boolean): string {
    return (
      (tools ? this.#templates.get("tool_use") : undefined) ?? this.#templates.get("default") ?? this.#templates.values().next().value!
    );
  }

  /**
   * Renders a conversation that {@link normalizeMessages} has prepared.
   *
   * @throws UnseenError REQUEST_INVALID when the template refuses the conversation, BUNDLE_INVALID when it does not parse
   */
  render(conversation: Conversation): string {
    const tools = conversation.tools?.length ? conversation.tools : null;
    const source = this.source(tools !== null);
    try {
      return this.#compile(source).render({
        documents: null,
        ...this.#constants,
        ...conversation.variables,
        messages: conversation.messages,
        tools,
        add_generation_prompt: conversation.addGenerationPrompt ?? true,
      });
    } catch (error) {
      if (UnseenError.isInstance(error)) throw error;
      // A message that the template's author wrote may be shown; one put together at run time may quote the conversation.
      const reason =
        error instanceof Error && error.message.length <= 300 && source.includes(error.message)
          ? `: ${error.message.replace(/\s+/g, " ")}`
          : "";
      throw new UnseenError("REQUEST_INVALID", `messages: the model's chat template refuses this conversation${reason}.`, {
        hint: "Check the order of the roles and whether the model supports tools.",
      });
    }
  }

  /** Whether the template walks over content parts itself, instead of expecting a string. */
  readsParts(tools: boolean): boolean {
    return /{%-?\s*for\s+\w+\s+in\s+[\w.[\]'"]*content\b['"\]]*\s*-?%}/.test(this.source(tools));
  }

  #compile(source: string): Template {
    let template = this.#compiled.get(source);
    if (!template) {
      try {
        template = new Template(source);
      } catch (error) {
        throw new UnseenError("BUNDLE_INVALID", "chat template: expected Jinja that parses, got a syntax error.", {
          hint: "Replace chat_template.jinja in the bundle by the model's current one.",
          cause: error,
        });
      }
      this.#compiled.set(source, template);
    }
    return template;
  }
}

function invalid(expected: string): UnseenError {
  return new UnseenError("BUNDLE_INVALID", `chat template: expected ${expected}, got something else.`, {
    hint: "Make the bundle again from the model's own files.",
  });
}

/**
 * Messages as templates expect them: known roles, content as one string unless the template reads parts itself,
 * tool-call arguments as objects (OpenAI sends them as JSON text, templates would encode that twice).
 *
 * @throws UnseenError REQUEST_INVALID for an unknown role or a content that is not text
 */
export function normalizeMessages(messages: readonly ChatMessage[], readsParts: boolean): ChatMessage[] {
  return messages.map((message, index) => {
    if (!ROLES.has(message.role)) {
      throw new UnseenError("REQUEST_INVALID", `messages[${index}].role: expected one of ${[...ROLES].join(", ")}, got another value.`);
    }
    const normal: Record<string, unknown> = {
      ...message,
      content: readsParts && Array.isArray(message.content) ? message.content : contentText(message.content, index),
    };
    if (Array.isArray(message["tool_calls"])) normal["tool_calls"] = message["tool_calls"].map(parseArguments);
    return normal as unknown as ChatMessage;
  });
}

function contentText(content: unknown, index: number): string {
  if (typeof content === "string") return content;
  if (content === null || content === undefined) return "";
  if (Array.isArray(content)) {
    const texts = content.map((part: { type?: unknown; text?: unknown } | null) => (typeof part === "string" ? part : part?.text));
    if (texts.every((text) => typeof text === "string")) return texts.join("\n");
  }
  throw new UnseenError("REQUEST_INVALID", `messages[${index}].content: expected a string or text parts, got something else.`, {
    hint: "This model reads text only.",
  });
}

function parseArguments(call: unknown): unknown {
  const named = (call as { function?: { arguments?: unknown } } | null)?.function;
  if (typeof named?.arguments !== "string") return call;
  try {
    const parsed: unknown = JSON.parse(named.arguments);
    if (typeof parsed === "object" && parsed !== null) return { ...(call as object), function: { ...named, arguments: parsed } };
  } catch {
    // Models do write broken JSON; the template then gets the text as it is.
  }
  return call;
}
