/**
 * What a conversation's file tells: its settings, and messages piece by piece.
 * @module
 */
import { z } from "zod";
import { samplingFields } from "../openai/sampling-schema.ts";

/** Bytes of one message, as UTF-8 (CWE-770). */
export const MAXIMUM_CONTENT_BYTES = 8 * 1024 * 1024;
/** Messages of one conversation (CWE-770). */
export const MAXIMUM_MESSAGES = 100_000;
/** Characters. */
export const MAXIMUM_TITLE = 200;
export const MAXIMUM_FOLDER = 100;
export const MAXIMUM_SYSTEM = 1_000_000;

/** Of a conversation that has no title yet. */
export const UNTITLED = "New conversation";

/** Sampling fields as OpenAI names them; absent ones are the model's own. */
export const samplingSchema = z.object({
  temperature: samplingFields.temperature.unwrap().unwrap().exactOptional(),
  top_p: samplingFields.top_p.unwrap().unwrap().exactOptional(),
  top_k: samplingFields.top_k.unwrap().unwrap().exactOptional(),
  min_p: samplingFields.min_p.unwrap().unwrap().exactOptional(),
  max_tokens: z.int().min(1).exactOptional(),
  seed: samplingFields.seed.unwrap().unwrap().exactOptional(),
  presence_penalty: samplingFields.presence_penalty.unwrap().unwrap().exactOptional(),
  frequency_penalty: samplingFields.frequency_penalty.unwrap().unwrap().exactOptional(),
  repetition_penalty: samplingFields.repetition_penalty.unwrap().unwrap().exactOptional(),
});

export const settingsSchema = z.object({
  /** Id of an offered model; null: the only one, or the first. */
  model: z.string().max(256).nullable(),
  /** Empty: none. */
  system: z.string().max(MAXIMUM_SYSTEM),
  sampling: samplingSchema,
});

export type ConversationSettings = z.output<typeof settingsSchema>;

export const titleSchema = z.string().trim().min(1).max(MAXIMUM_TITLE);
export const folderSchema = z.string().trim().min(1).max(MAXIMUM_FOLDER);

const headSchema = z.object({
  title: z.string().max(MAXIMUM_TITLE),
  folder: z.string().max(MAXIMUM_FOLDER).nullable(),
  /** ISO 8601, UTC. */
  created: z.iso.datetime(),
  updated: z.iso.datetime(),
  settings: settingsSchema,
});

/** All of a conversation but its messages. */
export type Head = z.output<typeof headSchema>;

const failureSchema = z.object({ code: z.string().max(64), message: z.string().max(4096), hint: z.string().max(4096).exactOptional() });

/** Why an answer failed. */
export type AnswerFailure = z.output<typeof failureSchema>;

const count = z.int().nonnegative();
const usageSchema = z.object({
  promptTokens: count,
  completionTokens: count,
  /** To the first token, and in all. */
  firstTokenSeconds: z.number().nonnegative(),
  seconds: z.number().nonnegative(),
  /** Oldest messages that did not fit the model's context and were left out. */
  forgotten: count,
});

export type AnswerUsage = z.output<typeof usageSchema>;

const outcome = {
  state: z.enum(["streaming", "complete", "stopped", "interrupted", "failed"]),
  failure: failureSchema.nullable(),
  usage: usageSchema.nullable(),
};

/** A message as files of ours hold it, archives included. */
export const messageSchema = z.object({
  id: z.string().min(1).max(64),
  /** null for a first message. */
  parent: z.string().min(1).max(64).nullable(),
  role: z.enum(["user", "assistant"]),
  content: z.string(),
  reasoning: z.string(),
  created: z.iso.datetime(),
  ...outcome,
  model: z.string().max(256).nullable(),
});

const ending = {
  ...outcome,
  /** Its length ended it, not the model. */
  cut: z.boolean(),
  /** Where its host view lies. */
  wire: z.object({ offset: count, number: count }).nullable(),
};

const storedSchema = z.object({ ...messageSchema.shape, ...ending });

/** A message as it is stored. */
export type StoredMessage = Readonly<z.output<typeof storedSchema>>;
export type MessageState = StoredMessage["state"];

/** A message as anyone is shown it. */
export type SaidMessage = Readonly<z.output<typeof messageSchema>>;

/** What is shown of a stored message. */
export function saidOf({ id, parent, role, content, reasoning, created, state, failure, usage, model }: StoredMessage): SaidMessage {
  return { id, parent, role, content, reasoning, created, state, failure, usage, model };
}

const eventSchema = z.discriminatedUnion("kind", [
  /** Replaces what the head was before. */
  z.object({ kind: z.literal("head"), head: headSchema }),
  z.object({ kind: z.literal("message"), message: storedSchema }),
  /** Text that follows what an answer had. */
  z.object({ kind: z.literal("piece"), id: z.string(), content: z.string(), reasoning: z.string() }),
  z.object({ kind: z.literal("state"), id: z.string(), ...ending }),
  z.object({ kind: z.literal("current"), id: z.string() }),
]);

/** Something that happened in a conversation. */
export type ConversationEvent = z.output<typeof eventSchema>;

const eventsSchema = z.array(eventSchema);

/** A record's content. */
export function encodeEvents(events: readonly ConversationEvent[]): Uint8Array {
  return Buffer.from(JSON.stringify(events), "utf8");
}

/** @returns null for what no gateway of this version wrote. */
export function decodeEvents(content: Uint8Array): ConversationEvent[] | null {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(content.buffer, content.byteOffset, content.length).toString("utf8"));
  } catch {
    return null;
  }
  const parsed = eventsSchema.safeParse(value);
  return parsed.success ? parsed.data : null;
}
