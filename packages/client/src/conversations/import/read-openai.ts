/**
 * OpenAI's export: `conversations.json`.
 * @module
 */
import { z } from "zod";
import type { ForeignConversation, ForeignMessage } from "./plant.ts";

const seconds = z.number().nullish();

const node = z.object({
  parent: z.string().nullish(),
  message: z
    .object({
      author: z.object({ role: z.string() }),
      content: z
        .object({ content_type: z.string().nullish(), parts: z.array(z.unknown()).nullish(), text: z.string().nullish() })
        .nullish(),
      create_time: seconds,
      metadata: z.object({ model_slug: z.string().nullish() }).nullish(),
    })
    .nullish(),
});

/** One conversation of the export. */
export const openaiSchema = z.object({
  title: z.string().nullish(),
  create_time: seconds,
  update_time: seconds,
  mapping: z.record(z.string(), node),
  current_node: z.string().nullish(),
});

/** What a person and the model said; pictures, searches and calls of tools are left out. */
export function readOpenai(conversation: z.output<typeof openaiSchema>): ForeignConversation {
  return {
    title: conversation.title ?? "",
    created: milliseconds(conversation.create_time),
    updated: milliseconds(conversation.update_time),
    current: conversation.current_node,
    messages: Object.entries(conversation.mapping).map(([id, { parent, message }]): ForeignMessage => {
      const { content } = message ?? {};
      const said = content?.parts?.filter((part) => typeof part === "string").join("\n") ?? content?.text ?? "";
      // Only these are speech; a search, a tool's output or a summary of thoughts are not.
      const isSpeech = ["text", "multimodal_text", "code"].includes(content?.content_type ?? "text");
      return {
        id,
        parent: parent ?? null,
        role: message?.author.role ?? "none",
        content: isSpeech ? said : "",
        created: milliseconds(message?.create_time),
        model: message?.metadata?.model_slug,
      };
    }),
  };
}

function milliseconds(time: number | null | undefined): number | null {
  return typeof time === "number" ? time * 1000 : null;
}
