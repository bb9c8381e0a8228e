/**
 * Conversations as they are shown.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import type { ConversationTree } from "./conversation-tree.ts";
import { saidOf, type ConversationSettings, type SaidMessage, type StoredMessage } from "./message.ts";

/** Characters of one page (CWE-770): it ends earlier where messages are long, after one of them at least. */
const PAGE_CHARACTERS = 16 * 1024 * 1024;

export interface ConversationSummary {
  readonly id: string;
  readonly title: string;
  /** null: in no folder. */
  readonly folder: string | null;
  /** ISO 8601, UTC. */
  readonly created: string;
  readonly updated: string;
  /** In all branches. */
  readonly messages: number;
  readonly settings: ConversationSettings;
}

/** A message with those that stand beside it. */
export interface Message extends SaidMessage {
  /** Every message with this parent, this one included, oldest first. */
  readonly siblings: readonly string[];
  /** Whether a host view is kept. */
  readonly wire: boolean;
}

/** The end of the shown path, or the part before a message. */
export interface ConversationPage {
  readonly conversation: ConversationSummary;
  /** Oldest first. */
  readonly messages: readonly Message[];
  /** Whether there are older ones on the path. */
  readonly more: boolean;
}

export function summaryOf(id: string, tree: ConversationTree): ConversationSummary {
  const { title, folder, created, settings } = tree.head;
  return { id, title, folder, created, updated: tree.updated, messages: tree.size, settings };
}

export function messageOf(tree: ConversationTree, message: StoredMessage): Message {
  return { ...saidOf(message), siblings: tree.children(message.parent), wire: message.wire !== null };
}

/** @throws UnseenError CONVERSATION_NOT_FOUND for a message that is not there. */
export function pageOf(
  id: string,
  tree: ConversationTree,
  { before, limit }: { readonly before?: string | undefined; readonly limit: number },
): ConversationPage {
  const first = before === undefined ? undefined : tree.get(before);
  if (before !== undefined && !first) throw conversationNotFound("message");
  const messages: Message[] = [];
  let characters = 0;
  let more = false;
  for (const message of tree.ancestors(first ? first.parent : tree.current)) {
    characters += message.content.length + message.reasoning.length;
    more = messages.length === limit || (characters > PAGE_CHARACTERS && messages.length > 0);
    if (more) break;
    messages.push(messageOf(tree, message));
  }
  return { conversation: summaryOf(id, tree), messages: messages.toReversed(), more };
}

export function conversationNotFound(what: "conversation" | "message" | "damaged"): UnseenError {
  const message = {
    conversation: "there is no such conversation.",
    message: "there is no such message in the conversation.",
    damaged: "the conversation's file is damaged; it was left alone.",
  }[what];
  const hint = what === "damaged" ? "Restore it from a backup, and start the gateway again." : "Load the list again.";
  return new UnseenError("CONVERSATION_NOT_FOUND", message, { hint });
}
