/**
 * Conversations as a file, in clear.
 * @module
 */
import { z } from "zod";
import type { ConversationTree } from "./conversation-tree.ts";
import { messageSchema, saidOf, settingsSchema } from "./message.ts";
import type { ConversationStore } from "./store.ts";

export const ARCHIVE_FORMAT = "unseen-conversations";

const archivedSchema = z.object({
  id: z.string().max(64),
  title: z.string(),
  folder: z.string().nullable(),
  created: z.iso.datetime(),
  updated: z.iso.datetime(),
  settings: settingsSchema,
  /** Parents before children. */
  messages: z.array(messageSchema),
  /** Id of the current leaf; null for an empty conversation. */
  current: z.string().nullable(),
});

export const archiveSchema = z.object({
  format: z.literal(ARCHIVE_FORMAT),
  version: z.literal(1),
  exported: z.iso.datetime(),
  conversations: z.array(archivedSchema),
});

export type ArchivedConversation = z.output<typeof archivedSchema>;

/** The archive's text, piece by piece, so that all conversations need not be in memory at once. Damaged ones are not in it. */
export async function* exportConversations(store: ConversationStore, ids: readonly string[]): AsyncGenerator<string> {
  yield `{"format":"${ARCHIVE_FORMAT}","version":1,"exported":"${new Date().toISOString()}","conversations":[`;
  let separator = "\n";
  for (const id of ids) {
    const text = await store.with(id, async ({ tree }) => JSON.stringify(archived(id, tree))).catch(() => null);
    if (text === null) continue;
    yield separator + text;
    separator = ",\n";
  }
  yield "\n]}\n";
}

function archived(id: string, tree: ConversationTree): ArchivedConversation {
  return { ...tree.head, id, updated: tree.updated, messages: [...tree.messages()].map(saidOf), current: tree.current };
}
