/**
 * All conversations: their titles and folders, and what is done with one as a whole.
 * @module
 */
import { signal } from "@preact/signals";
import type {
  Archive,
  ConversationChange,
  ConversationList,
  ConversationSummary,
  FolderChange,
  Imported,
  NewConversation,
  SearchResult,
} from "../../../../src/protocol/conversations.ts";
import { download } from "../../../api/console.ts";
import { ask, noticeLock } from "./vault.ts";

const ADDRESS = "/console/conversations";

/** null before the first answer. */
export const conversationList = signal<ConversationList | null>(null);

/** @throws ConsoleError */
export async function refreshConversations(): Promise<void> {
  conversationList.value = await ask<ConversationList>(ADDRESS);
}

/** @throws ConsoleError */
export function createConversation(body: NewConversation): Promise<ConversationSummary> {
  return ask<ConversationSummary>(ADDRESS, { method: "POST", body });
}

/** @throws ConsoleError */
export async function changeConversation(id: string, body: ConversationChange): Promise<ConversationSummary> {
  const changed = await ask<ConversationSummary>(`${ADDRESS}/${id}`, { method: "PATCH", body });
  await refreshConversations();
  return changed;
}

/** @throws ConsoleError */
export async function deleteConversation(id: string): Promise<void> {
  await ask(`${ADDRESS}/${id}`, { method: "DELETE" });
  await refreshConversations();
}

/** Renames a folder, or takes it away from around its conversations. @throws ConsoleError */
export async function changeFolder(body: FolderChange): Promise<void> {
  conversationList.value = await ask<ConversationList>("/console/folders", { method: "POST", body });
}

/** @throws ConsoleError; the signal's reason */
export function searchConversations(text: string, signal: AbortSignal): Promise<SearchResult> {
  return ask<SearchResult>(`${ADDRESS}/search?q=${encodeURIComponent(text)}`, { signal });
}

/** A file of ours, OpenAI's, Open WebUI's or llama.cpp's. @throws ConsoleError */
export async function importConversations(file: Blob): Promise<Imported> {
  const imported = await ask<Imported>(`${ADDRESS}/import`, { method: "POST", body: file });
  await refreshConversations();
  return imported;
}

/** One conversation, or all. @throws ConsoleError */
export async function exportConversations(id?: string): Promise<Blob> {
  try {
    return await download(`${ADDRESS}/export${id === undefined ? "" : `?id=${encodeURIComponent(id)}`}`);
  } catch (error) {
    noticeLock(error);
    throw error;
  }
}

/** @throws ConsoleError */
export async function readArchive(id: string): Promise<Archive> {
  return JSON.parse(await (await exportConversations(id)).text()) as Archive;
}
