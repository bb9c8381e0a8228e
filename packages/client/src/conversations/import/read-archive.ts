/**
 * Our own archives.
 * @module
 */
import type { ArchivedConversation } from "../archive.ts";
import type { ForeignConversation } from "./plant.ts";

export function readArchived(conversation: ArchivedConversation): ForeignConversation {
  const { title, folder, created, updated, settings, current, messages } = conversation;
  return {
    title,
    folder,
    settings,
    current,
    created: Date.parse(created),
    updated: Date.parse(updated),
    messages: messages.map(({ state, failure, usage, ...message }) => ({
      ...message,
      created: Date.parse(message.created),
      outcome: { state, failure, usage },
    })),
  };
}
