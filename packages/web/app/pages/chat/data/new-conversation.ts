/**
 * The beginning of a conversation.
 * @module
 */
import type { ConversationSettings, Turn } from "../../../../src/protocol/conversations.ts";
import { createConversation, deleteConversation, refreshConversations } from "./conversation-list.ts";
import { ask } from "./vault.ts";

export const NEW_SETTINGS: ConversationSettings = { model: null, system: "", sampling: {} };

/** Says the first words of a new conversation. @returns its id. @throws ConsoleError */
export async function startConversation(settings: ConversationSettings, content: string): Promise<string> {
  const { id } = await createConversation({ settings });
  try {
    await ask<Turn>(`/console/conversations/${id}/turns`, { method: "POST", body: { kind: "say", parent: null, content } });
  } catch (error) {
    // Nothing was said: it would be listed without a title.
    await deleteConversation(id).catch(() => {});
    throw error;
  }
  void refreshConversations().catch(() => {});
  return id;
}
