/**
 * A tree of messages out of somebody else's file, which may hold anything.
 * @module
 */
import { randomUUID } from "node:crypto";
import { UnseenError } from "@unseen/core/errors.ts";
import { ConversationTree } from "../conversation-tree.ts";
import {
  MAXIMUM_CONTENT_BYTES,
  MAXIMUM_FOLDER,
  MAXIMUM_MESSAGES,
  MAXIMUM_SYSTEM,
  MAXIMUM_TITLE,
  UNTITLED,
  type Head,
  type StoredMessage,
} from "../message.ts";
import { titleOf } from "../title.ts";

/** A message as a file of another program has it. */
export interface ForeignMessage {
  readonly id: string;
  readonly parent: string | null;
  /** Those that are neither `user` nor `assistant` give way to their children; a `system` message becomes the conversation's. */
  readonly role: string;
  readonly content: string;
  readonly reasoning?: string | undefined;
  /** Milliseconds since 1970. */
  readonly created?: number | null | undefined;
  readonly model?: string | null | undefined;
  /** What else our own files know of it. */
  readonly outcome?: Pick<StoredMessage, "state" | "failure" | "usage"> | undefined;
}

export interface ForeignConversation {
  readonly title: string;
  readonly folder?: string | null | undefined;
  readonly created?: number | null | undefined;
  readonly updated?: number | null | undefined;
  readonly settings?: Head["settings"] | undefined;
  readonly messages: readonly ForeignMessage[];
  /** Message at the end of the path that was shown. */
  readonly current?: string | null | undefined;
}

/**
 * Builds a conversation with ids of its own.
 * @param place - For messages: `conversation 3`.
 * @throws UnseenError REQUEST_INVALID for a circle, a parent that is missing, an id that occurs twice, or too much of anything.
 */
export function plantConversation(foreign: ForeignConversation, place: string): ConversationTree {
  if (foreign.messages.length > MAXIMUM_MESSAGES) throw unfit(`${place}: expected at most ${MAXIMUM_MESSAGES} messages.`);
  const ordered = arrange(foreign.messages, place);
  const fallback = new Date().toISOString();
  const created = isoTime(foreign.created) ?? fallback;
  const system = ordered.find(({ role, content }) => role === "system" && content.trim() !== "")?.content.slice(0, MAXIMUM_SYSTEM);
  const firstQuestion = ordered.find(({ role }) => role === "user")?.content ?? "";
  const tree = new ConversationTree({
    title: foreign.title.trim().slice(0, MAXIMUM_TITLE) || titleOf(firstQuestion) || UNTITLED,
    folder: foreign.folder?.trim().slice(0, MAXIMUM_FOLDER) || null,
    created,
    updated: isoTime(foreign.updated) ?? created,
    settings: foreign.settings ?? { model: null, system: system ?? "", sampling: {} },
  });
  // A message that is left out stands for the nearest one above it that is not.
  const renamed = new Map<string, string | null>();
  for (const message of ordered) {
    const parent = message.parent === null ? null : (renamed.get(message.parent) ?? null);
    const { role, content, reasoning = "" } = message;
    if ((role !== "user" && role !== "assistant") || (content === "" && reasoning === "" && !message.outcome)) {
      renamed.set(message.id, parent);
      continue;
    }
    if (Buffer.byteLength(content) > MAXIMUM_CONTENT_BYTES || Buffer.byteLength(reasoning) > MAXIMUM_CONTENT_BYTES)
      throw unfit(`${place}: expected messages of at most ${MAXIMUM_CONTENT_BYTES / 1024 / 1024} MiB.`);
    const id = randomUUID();
    renamed.set(message.id, id);
    tree.apply({
      kind: "message",
      message: {
        id,
        parent,
        role,
        content,
        reasoning,
        created: isoTime(message.created) ?? created,
        model: role === "assistant" ? (message.model?.slice(0, 256) ?? null) : null,
        ...(message.outcome ?? { state: "complete", failure: null, usage: null }),
        cut: false,
        wire: null,
      },
    });
  }
  tree.interrupt();
  const shown = renamed.get(foreign.current ?? "");
  const current = shown ?? [...tree.messages()].at(-1)?.id;
  if (current !== undefined) tree.apply({ kind: "current", id: current });
  return tree;
}

/** Parents before children, each child in its order. */
function arrange(messages: readonly ForeignMessage[], place: string): ForeignMessage[] {
  const known = new Set<string>();
  const children = new Map<string | null, ForeignMessage[]>();
  for (const message of messages) {
    if (known.has(message.id)) throw unfit(`${place}: a message's id occurs twice.`);
    known.add(message.id);
    const siblings = children.get(message.parent);
    if (siblings) siblings.push(message);
    else children.set(message.parent, [message]);
  }
  for (const parent of children.keys())
    if (parent !== null && !known.has(parent)) throw unfit(`${place}: a message answers one that is missing.`);
  const ordered: ForeignMessage[] = [];
  const waiting: ForeignMessage[] = [...(children.get(null) ?? [])].toReversed();
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    ordered.push(next);
    for (const child of (children.get(next.id) ?? []).toReversed()) waiting.push(child);
  }
  // Whatever cannot be reached from a first message goes round in a circle.
  if (ordered.length < messages.length) throw unfit(`${place}: messages answer each other in a circle.`);
  return ordered;
}

/** Years that ISO 8601 writes with four digits; anything else is no date of a conversation. */
function isoTime(milliseconds: number | null | undefined): string | null {
  if (typeof milliseconds !== "number" || !(milliseconds >= 0 && milliseconds < 4e12)) return null;
  return new Date(milliseconds).toISOString();
}

/** What is wrong with an imported file. */
export function unfit(message: string): UnseenError {
  return new UnseenError("REQUEST_INVALID", message, { hint: "Nothing was imported; export the file again." });
}
