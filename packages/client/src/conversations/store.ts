/**
 * All conversations of a home: each in a file of its own, a few of them in memory.
 * @module
 */
import { randomUUID } from "node:crypto";
import { readdir } from "node:fs/promises";
import { explainSystemError, UnseenError } from "@unseen/core/errors.ts";
import { ConversationFile, type ConversationPlace } from "./conversation-file.ts";
import { ConversationTree } from "./conversation-tree.ts";
import type { HostView } from "./host-view.ts";
import { UNTITLED, type ConversationEvent, type ConversationSettings } from "./message.ts";
import { conversationNotFound, pageOf, summaryOf, type ConversationPage, type ConversationSummary } from "./present.ts";
import { finishStaging, stage } from "./staging.ts";

/** Conversations of a home (CWE-770). */
export const MAXIMUM_CONVERSATIONS = 10_000;
/** Bytes of text that stay in memory of conversations that nobody uses just now. */
const REMEMBERED_BYTES = 128 * 1024 * 1024;

const LOG_NAME = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.log$/;

/** Every conversation's summary, and the damaged ones counted. */
export interface ConversationList {
  /** Latest first. */
  readonly conversations: readonly ConversationSummary[];
  /** By name; a folder exists as long as a conversation is in it. */
  readonly folders: readonly string[];
  readonly damaged: number;
}

/** What may be given to a conversation. */
export interface ConversationChange {
  readonly title?: string | undefined;
  readonly folder?: string | null | undefined;
  readonly settings?: ConversationSettings | undefined;
}

export class ConversationStore {
  readonly #place: ConversationPlace;
  readonly #summaries = new Map<string, ConversationSummary>();
  readonly #damaged = new Set<string>();
  /** The one used last is last. */
  readonly #remembered = new Map<string, ConversationFile>();
  readonly #pinned = new Set<string>();
  readonly #queues = new Map<string, Promise<unknown>>();

  #closed = false;

  private constructor({ directory, secret }: ConversationPlace) {
    // A copy: the vault overwrites its own when it is locked, and what runs then is still to be saved.
    this.#place = { directory, secret: Uint8Array.from(secret) };
  }

  /** Reads every conversation once; the caller holds the directory's lock. @throws UnseenError PERMISSION_DENIED, DISK_FULL. */
  static async open(place: ConversationPlace): Promise<ConversationStore> {
    const store = new ConversationStore(place);
    await finishStaging(place.directory);
    const names = await readdir(place.directory).catch((error: unknown) => {
      throw explainSystemError(error, place.directory);
    });
    for (const name of names) {
      const id = LOG_NAME.exec(name)?.[1];
      if (id !== undefined) await store.#exclusively(id, () => store.#load(id)).catch(ignoreDamage);
    }
    return store;
  }

  /** Waits for what is being written, forgets all content and overwrites the key. Nothing works afterwards. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#queues.values());
    this.#summaries.clear();
    this.#remembered.clear();
    this.#place.secret.fill(0);
  }

  /** Ids of all that can be read. */
  get ids(): readonly string[] {
    return [...this.#summaries.values()].toSorted(latestFirst).map(({ id }) => id);
  }

  list(): ConversationList {
    const conversations = [...this.#summaries.values()].toSorted(latestFirst);
    const folders = new Set(conversations.flatMap(({ folder }) => folder ?? []));
    return { conversations, folders: [...folders].toSorted((one, other) => one.localeCompare(other)), damaged: this.#damaged.size };
  }

  /** Begins an empty conversation. @throws UnseenError REQUEST_TOO_LARGE, DISK_FULL. */
  async create({ title, folder, settings }: ConversationChange): Promise<ConversationSummary> {
    this.#checkRoom(1);
    const now = new Date().toISOString();
    const tree = new ConversationTree({
      title: title ?? UNTITLED,
      folder: folder ?? null,
      created: now,
      updated: now,
      settings: settings ?? { model: null, system: "", sampling: {} },
    });
    const id = randomUUID();
    return this.#exclusively(id, async () => this.#remember(await ConversationFile.create(this.#place, id, tree)));
  }

  /** Adds conversations that are whole: all of them or, whatever ends the process, none. @throws UnseenError REQUEST_TOO_LARGE, DISK_FULL. */
  async createAll(trees: readonly ConversationTree[]): Promise<void> {
    this.#checkRoom(trees.length);
    const ids = await this.#exclusively("", () => stage(this.#place, trees));
    for (const id of ids) await this.#exclusively(id, () => this.#load(id));
  }

  /** @throws UnseenError CONVERSATION_NOT_FOUND, DISK_FULL. */
  async change(id: string, change: ConversationChange): Promise<ConversationSummary> {
    return this.with(id, async (file) => {
      const { head } = file.tree;
      const { title = head.title, folder = head.folder, settings = head.settings } = change;
      await this.append(file, [{ kind: "head", head: { ...head, title, folder, settings } }]);
      return this.#summaries.get(id)!;
    });
  }

  /** Renames a folder, or takes its conversations out of it. @throws UnseenError DISK_FULL. */
  async moveFolder(from: string, to: string | null): Promise<ConversationList> {
    for (const { id, folder } of this.#summaries.values()) if (folder === from) await this.change(id, { folder: to });
    return this.list();
  }

  /** Deletes a conversation for ever. @throws UnseenError CONVERSATION_NOT_FOUND. */
  async remove(id: string): Promise<void> {
    await this.with(id, async (file) => {
      await file.remove();
      this.#summaries.delete(id);
      this.#remembered.delete(id);
    });
  }

  /** The end of the shown path, or the part before a message. @throws UnseenError CONVERSATION_NOT_FOUND. */
  page(id: string, range: { readonly before?: string | undefined; readonly limit: number }): Promise<ConversationPage> {
    return this.with(id, async ({ tree }) => pageOf(id, tree, range));
  }

  /** Shows the path to the newest message below this one. @throws UnseenError CONVERSATION_NOT_FOUND, DISK_FULL. */
  async show(id: string, message: string): Promise<void> {
    await this.with(id, async (file) => {
      if (!file.tree.get(message)) throw conversationNotFound("message");
      const newest = file.tree.newestBelow(message);
      if (newest !== file.tree.current) await this.append(file, [{ kind: "current", id: newest }]);
    });
  }

  /** What hosts saw of an answer; nothing where that was not kept. @throws UnseenError CONVERSATION_NOT_FOUND. */
  view(id: string, message: string): Promise<HostView> {
    return this.with(id, async (file) => {
      const found = file.tree.get(message);
      if (!found) throw conversationNotFound("message");
      return (found.wire && (await file.readView(found.wire))) ?? { exchanges: [] };
    });
  }

  /** Works on a conversation while nobody else does. @throws UnseenError CONVERSATION_NOT_FOUND. */
  with<Result>(id: string, work: (file: ConversationFile) => Promise<Result>): Promise<Result> {
    return this.#exclusively(id, async () => {
      if (!this.#summaries.has(id)) throw conversationNotFound(this.#damaged.has(id) ? "damaged" : "conversation");
      const file = this.#remembered.get(id);
      if (!file) return work(await this.#load(id));
      this.#remembered.delete(id);
      this.#remembered.set(id, file);
      return work(file);
    });
  }

  /** Keeps a conversation in memory while an answer to it runs: read anew, the answer would look interrupted. */
  pin(id: string): void {
    this.#pinned.add(id);
  }

  unpin(id: string): void {
    this.#pinned.delete(id);
  }

  /** Notes what happened in a conversation; to be called inside {@link with}. @throws UnseenError DISK_FULL, REQUEST_TOO_LARGE. */
  async append(file: ConversationFile, events: readonly ConversationEvent[]): Promise<void> {
    await file.append(events);
    // What happened is on the disk; a shorter file can wait until there is room for it.
    await file.compact().catch(() => {});
    this.#remember(file);
  }

  async #load(id: string): Promise<ConversationFile> {
    const file = await ConversationFile.read(this.#place, id);
    if (!file) {
      this.#summaries.delete(id);
      this.#damaged.add(id);
      throw conversationNotFound("damaged");
    }
    this.#remember(file);
    return file;
  }

  #remember(file: ConversationFile): ConversationSummary {
    const summary = summaryOf(file.id, file.tree);
    this.#summaries.set(file.id, summary);
    this.#remembered.delete(file.id);
    this.#remembered.set(file.id, file);
    let bytes = 0;
    for (const one of this.#remembered.values()) bytes += one.tree.liveBytes;
    for (const [id, one] of this.#remembered) {
      if (bytes <= REMEMBERED_BYTES || id === file.id) break;
      // Whoever works on it has it in hand; its queue would not be empty.
      if (this.#queues.has(id) || this.#pinned.has(id)) continue;
      bytes -= one.tree.liveBytes;
      this.#remembered.delete(id);
    }
    return summary;
  }

  #checkRoom(added: number): void {
    if (this.#summaries.size + added <= MAXIMUM_CONVERSATIONS) return;
    throw new UnseenError("REQUEST_TOO_LARGE", `there may be at most ${MAXIMUM_CONVERSATIONS} conversations.`, {
      hint: "Export the old ones and delete them.",
    });
  }

  /** Runs alone under this name. */
  async #exclusively<Result>(id: string, work: () => Promise<Result>): Promise<Result> {
    // The key is gone: a file written now would be under a key of zeros.
    if (this.#closed) throw new UnseenError("VAULT_LOCKED", "conversations are locked.", { hint: "Give the passphrase." });
    const result = (this.#queues.get(id) ?? Promise.resolve()).then(work);
    const settled = result.catch(() => {});
    this.#queues.set(id, settled);
    try {
      return await result;
    } finally {
      if (this.#queues.get(id) === settled) this.#queues.delete(id);
    }
  }
}

function latestFirst(one: ConversationSummary, other: ConversationSummary): number {
  return one.updated < other.updated ? 1 : one.updated > other.updated ? -1 : one.id.localeCompare(other.id);
}

/** One damaged conversation hides no others. */
function ignoreDamage(error: unknown): void {
  if (!UnseenError.isInstance(error) || error.code !== "CONVERSATION_NOT_FOUND") throw error;
}
