/**
 * Open WebUI's export of chats.
 * @module
 */
import { z } from "zod";
import type { ForeignConversation } from "./plant.ts";

const message = z.object({
  parentId: z.string().nullish(),
  role: z.string(),
  content: z.string().nullish(),
  /** Seconds. */
  timestamp: z.number().nullish(),
  model: z.string().nullish(),
});

/** One chat of the export. */
export const openWebuiSchema = z.object({
  title: z.string().nullish(),
  folder: z.string().nullish(),
  /** Seconds. */
  created_at: z.number().nullish(),
  updated_at: z.number().nullish(),
  chat: z.object({
    title: z.string().nullish(),
    system: z.string().nullish(),
    history: z.object({ messages: z.record(z.string(), message), currentId: z.string().nullish() }),
  }),
});

export function readOpenWebui({ chat, ...item }: z.output<typeof openWebuiSchema>): ForeignConversation {
  return {
    title: item.title ?? chat.title ?? "",
    folder: item.folder,
    created: milliseconds(item.created_at),
    updated: milliseconds(item.updated_at),
    current: chat.history.currentId,
    messages: Object.entries(chat.history.messages).map(([id, { parentId, role, content, timestamp, model }]) => ({
      id,
      parent: parentId ?? null,
      role,
      content: content ?? "",
      created: milliseconds(timestamp),
      model,
    })),
  };
}

function milliseconds(time: number | null | undefined): number | null {
  return typeof time === "number" ? time * 1000 : null;
}
