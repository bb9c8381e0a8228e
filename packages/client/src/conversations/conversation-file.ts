/**
 * One conversation: its tree in memory, its log on the disk, and its host views beside it.
 * @module
 */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { UnseenError } from "@unseen/core/errors.ts";
import { ConversationTree } from "./conversation-tree.ts";
import { hostViewSchema, type HostView } from "./host-view.ts";
import { MAXIMUM_MESSAGES, decodeEvents, encodeEvents, type ConversationEvent } from "./message.ts";
import { SealedLog, type RecordPlace, type SealedFile } from "./sealed-log.ts";

/** A log below this is never worth writing anew. */
const SMALL_LOG_BYTES = 256 * 1024;
/** Characters of the events of one record, where many are written at once. */
const BATCH_CHARACTERS = 1024 * 1024;

/** Where conversations lie, and the key they are under. */
export interface ConversationPlace {
  readonly directory: string;
  readonly secret: Uint8Array;
}

/** The files of a conversation. */
export function conversationPaths(directory: string, id: string): { readonly log: string; readonly wire: string } {
  return { log: join(directory, `${id}.log`), wire: join(directory, `${id}.wire`) };
}

export class ConversationFile {
  readonly id: string;
  readonly tree: ConversationTree;
  readonly #place: ConversationPlace;
  #log: SealedLog;
  #wire: SealedLog | null = null;
  /** Bytes that the log takes when nothing of it is superseded. */
  #compactBytes: number;

  private constructor(place: ConversationPlace, id: string, tree: ConversationTree, log: SealedLog) {
    this.#place = place;
    this.id = id;
    this.tree = tree;
    this.#log = log;
    this.#compactBytes = 0;
  }

  /** Writes a conversation that is whole already. @throws UnseenError DISK_FULL, PERMISSION_DENIED, REQUEST_TOO_LARGE. */
  static async create(place: ConversationPlace, id: string, tree: ConversationTree): Promise<ConversationFile> {
    return new ConversationFile(place, id, tree, await SealedLog.create(logFile(place, id), batches(tree)));
  }

  /** @returns null where its file is damaged. @throws UnseenError PERMISSION_DENIED. */
  static async read(place: ConversationPlace, id: string): Promise<ConversationFile | null> {
    let tree: ConversationTree | null = null;
    let sound = true;
    const log = await SealedLog.read(logFile(place, id), (content) => {
      const events = sound ? decodeEvents(content) : null;
      if (!events) sound = false;
      for (const event of events ?? []) {
        if (tree) sound &&= tree.apply(event);
        else if (event.kind === "head") tree = new ConversationTree(event.head);
        else sound = false;
      }
    });
    if (!log || !sound || !tree) return null;
    (tree as ConversationTree).interrupt();
    return new ConversationFile(place, id, tree, log);
  }

  /**
   * Notes what happened, on the disk first. One call at a time.
   * @throws UnseenError as {@link SealedLog.append}; REQUEST_TOO_LARGE for too many messages.
   */
  async append(events: readonly ConversationEvent[]): Promise<void> {
    if (events.length === 0) return;
    if (!this.tree.accepts(events))
      throw new UnseenError("REQUEST_TOO_LARGE", `a conversation has at most ${MAXIMUM_MESSAGES} messages.`, {
        hint: "Go on in a new conversation.",
      });
    await this.#log.append(encodeEvents(events));
    for (const event of events) this.tree.apply(event);
  }

  /** Writes the log anew where most of it is superseded: old titles, the pieces of answers. One call at a time. */
  async compact(): Promise<void> {
    const { bytes } = this.#log;
    // Measured against the last time as well, so that an estimate that is wrong does not write the same file again and again.
    if (bytes < SMALL_LOG_BYTES || bytes < 2 * Math.max(this.tree.liveBytes, this.#compactBytes)) return;
    this.#log = await SealedLog.create(logFile(this.#place, this.id), batches(this.tree));
    this.#compactBytes = this.#log.bytes;
  }

  /** Keeps what hosts saw of an answer. @returns null where there is no more room for such views. */
  async keepView(view: HostView): Promise<RecordPlace | null> {
    const content = Buffer.from(JSON.stringify(view), "utf8");
    const file = wireFile(this.#place, this.id);
    if (!this.#wire && existsSync(file.path)) {
      this.#wire = await SealedLog.read(file);
      if (!this.#wire) return null;
    }
    try {
      if (this.#wire) return await this.#wire.append(content);
      this.#wire = await SealedLog.create(file, []);
      return await this.#wire.append(content);
    } catch (error) {
      // The answer matters more than its view.
      if ((error as { code?: unknown }).code === "REQUEST_TOO_LARGE") return null;
      throw error;
    }
  }

  /** What hosts saw; null where it was not kept or is damaged. */
  async readView(place: RecordPlace): Promise<HostView | null> {
    const file = wireFile(this.#place, this.id);
    if (!this.#wire && existsSync(file.path)) this.#wire = await SealedLog.read(file);
    const content = await this.#wire?.readRecord(place);
    if (!content) return null;
    const parsed = hostViewSchema.safeParse(JSON.parse(Buffer.from(content).toString("utf8")));
    return parsed.success ? parsed.data : null;
  }

  /** Deletes the files. */
  async remove(): Promise<void> {
    const { log, wire } = conversationPaths(this.#place.directory, this.id);
    await rm(log, { force: true });
    await rm(wire, { force: true });
  }
}

function logFile({ directory, secret }: ConversationPlace, id: string): SealedFile {
  return { path: conversationPaths(directory, id).log, secret, purpose: `log ${id}` };
}

function wireFile({ directory, secret }: ConversationPlace, id: string): SealedFile {
  return { path: conversationPaths(directory, id).wire, secret, purpose: `wire ${id}` };
}

/** A tree's events as contents of records. */
function batches(tree: ConversationTree): Uint8Array[] {
  const contents: Uint8Array[] = [];
  let batch: ConversationEvent[] = [];
  let characters = 0;
  for (const event of tree.events()) {
    batch.push(event);
    if (event.kind === "message") characters += event.message.content.length + event.message.reasoning.length;
    if (characters < BATCH_CHARACTERS) continue;
    contents.push(encodeEvents(batch));
    batch = [];
    characters = 0;
  }
  if (batch.length > 0) contents.push(encodeEvents(batch));
  return contents;
}
