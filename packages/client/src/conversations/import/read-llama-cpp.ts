/**
 * The export of llama.cpp's pages.
 * @module
 */
import { z } from "zod";
import type { ForeignConversation } from "./plant.ts";

/** Earlier versions numbered messages, later ones name them. */
const identifier = z.union([z.string(), z.number()]).transform(String);

const message = z.object({
  id: identifier,
  type: z.string().nullish(),
  role: z.string(),
  content: z.string().nullish(),
  thinking: z.string().nullish(),
  /** Milliseconds. */
  timestamp: z.number().nullish(),
  parent: identifier.nullish(),
  model: z.string().nullish(),
});

/** One conversation of the export. */
export const llamaCppSchema = z.object({
  conv: z.object({
    id: z.string().nullish(),
    name: z.string().nullish(),
    /** Milliseconds. */
    lastModified: z.number().nullish(),
    currNode: identifier.nullish(),
  }),
  messages: z.array(message),
});

/** A `root` message only holds the first ones together. */
export function readLlamaCpp({ conv, messages }: z.output<typeof llamaCppSchema>): ForeignConversation {
  const times = messages.flatMap(({ timestamp }) => timestamp ?? []);
  return {
    title: conv.name ?? "",
    created: times[0],
    updated: conv.lastModified,
    current: conv.currNode,
    messages: messages.map(({ id, type, role, content, thinking, timestamp, parent, model }) => ({
      id,
      // The first message's parent is written in several ways that all mean none.
      parent: parent === undefined || parent === null || parent === "" || parent === "-1" ? null : parent,
      role: type === "root" ? "none" : role,
      content: content ?? "",
      reasoning: thinking ?? "",
      created: timestamp,
      model,
    })),
  };
}
