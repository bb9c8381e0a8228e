/**
 * Takes conversations out of a file, whoever wrote it.
 * @module
 */
import type { z } from "zod";
import { ARCHIVE_FORMAT, archiveSchema } from "../archive.ts";
import type { ConversationTree } from "../conversation-tree.ts";
import { MAXIMUM_CONVERSATIONS, type ConversationStore } from "../store.ts";
import { plantConversation, unfit, type ForeignConversation } from "./plant.ts";
import { readArchived } from "./read-archive.ts";
import { llamaCppSchema, readLlamaCpp } from "./read-llama-cpp.ts";
import { openWebuiSchema, readOpenWebui } from "./read-open-webui.ts";
import { openaiSchema, readOpenai } from "./read-openai.ts";

/** What was imported. */
export interface Imported {
  /** Whose export it was. */
  readonly format: "unseen" | "openai" | "open-webui" | "llama.cpp";
  readonly conversations: number;
  readonly messages: number;
}

interface Reading {
  readonly format: Imported["format"];
  readonly conversations: readonly ForeignConversation[];
}

/**
 * Imports a file's text: all of it or nothing.
 * @throws UnseenError REQUEST_INVALID for anything but a whole export of a known kind; REQUEST_TOO_LARGE, DISK_FULL.
 */
export async function importConversations(store: ConversationStore, text: string): Promise<Imported> {
  const { format, conversations } = readExport(text);
  const trees: ConversationTree[] = conversations.map((one, index) => plantConversation(one, placeOf(index)));
  await store.createAll(trees);
  return { format, conversations: trees.length, messages: trees.reduce((sum, tree) => sum + tree.size, 0) };
}

function readExport(text: string): Reading {
  let value: unknown;
  try {
    // Programs of Windows begin a file with a mark that JSON does not know.
    value = JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch {
    throw unfit("the file is not JSON.");
  }
  if (isRecord(value) && value["format"] === ARCHIVE_FORMAT) {
    if (value["version"] !== 1) throw unfit("the archive was written by a later version.");
    return { format: "unseen", conversations: check(archiveSchema, value, "the archive").conversations.map(readArchived) };
  }
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (list.length > MAXIMUM_CONVERSATIONS) throw unfit(`expected at most ${MAXIMUM_CONVERSATIONS} conversations, got ${list.length}.`);
  const [first] = list;
  if (isRecord(first) && "mapping" in first) return readAll("openai", list, openaiSchema, readOpenai);
  if (isRecord(first) && "chat" in first) return readAll("open-webui", list, openWebuiSchema, readOpenWebui);
  if (isRecord(first) && "conv" in first) return readAll("llama.cpp", list, llamaCppSchema, readLlamaCpp);
  throw unfit("the file is no export of Unseen, OpenAI (conversations.json), Open WebUI or llama.cpp.");
}

function readAll<Schema extends z.ZodType>(
  format: Imported["format"],
  list: readonly unknown[],
  schema: Schema,
  read: (conversation: z.output<Schema>) => ForeignConversation,
): Reading {
  return { format, conversations: list.map((one, index) => read(check(schema, one, placeOf(index)))) };
}

/** Says where a value does not fit, and never quotes it. */
function check<Schema extends z.ZodType>(schema: Schema, value: unknown, place: string): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const path = (result.error.issues[0]?.path ?? []).map((part) => String(part).slice(0, 64)).join(".");
  throw unfit(`${place}: ${path ? `${path} has` : "it has"} another form than expected.`);
}

function placeOf(index: number): string {
  return `conversation ${index + 1}`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
