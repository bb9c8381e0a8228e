/**
 * One open conversation: the end of its shown path, answers as they come, and what hosts saw of each.
 * @module
 */
import { computed, signal, type ReadonlySignal, type Signal } from "@preact/signals";
import type {
  AnswerEvent,
  ConversationPage,
  ConversationSummary,
  HostView,
  Message,
  NewTurn,
  Turn,
} from "../../../../src/protocol/conversations.ts";
import type { Failure } from "../../../../src/protocol/failure.ts";
import { ConsoleError, events, failureOf } from "../../../api/console.ts";
import { refreshConversations } from "./conversation-list.ts";
import { batchDeltas } from "./batch-deltas.ts";
import { exchangesOf, type Exchange } from "./host-views.ts";
import { ask, noticeLock } from "./vault.ts";

/** Messages that are read and shown at first, added when one scrolls on, and read at once on the way to an old one. */
const FIRST = 60;
const OLDER = 100;
const MOST = 500;
const RETRY = 700; // ms

export interface Thread {
  readonly id: string;
  /** null before it was read. */
  readonly summary: Signal<ConversationSummary | null>;
  /** The end of the path, as far as it was read. Each is a signal of its own, so that a growing answer draws itself alone again. */
  readonly messages: ReadonlySignal<readonly Signal<Message>[]>;
  /** The part of them that is on the page: ten thousand at once would freeze it. */
  readonly shown: ReadonlySignal<readonly Signal<Message>[]>;
  /** Whether there are messages before those that are shown, and after them. */
  readonly older: ReadonlySignal<boolean>;
  readonly newer: ReadonlySignal<boolean>;
  readonly failure: ReadonlySignal<Failure | null>;
  /** Id of the answer that comes just now. */
  readonly streaming: ReadonlySignal<string | null>;
  load(): Promise<void>;
  /** Shows more of what was said before. @throws ConsoleError */
  showOlder(): Promise<void>;
  /** Shows more of what was said after, or the very end. */
  showNewer(): void;
  showEnd(): void;
  /** Shows the branch of a message, and all messages from it on. @throws ConsoleError */
  reveal(message: string): Promise<void>;
  /** Shows another branch. @throws ConsoleError */
  choose(message: string): Promise<void>;
  /** Says something, or asks for another or a longer answer. @throws ConsoleError */
  take(turn: NewTurn): Promise<void>;
  /** @throws ConsoleError */
  stop(): Promise<void>;
  /** What hosts saw for an answer; null while it is not known. */
  hostSide(message: string): ReadonlySignal<readonly Exchange[] | null>;
  /** Asks for it where it is kept and not known. */
  loadHostSide(message: Message): Promise<void>;
  /** Follows no more; answers go on in the gateway. */
  close(): void;
}

/** Opens a conversation; `load` reads it. */
export function openThread(id: string): Thread {
  const address = `/console/conversations/${encodeURIComponent(id)}`;
  const messageAddress = (message: string): string => `${address}/messages/${encodeURIComponent(message)}`;
  const summary = signal<ConversationSummary | null>(null);
  const messages = signal<readonly Signal<Message>[]>([]);
  /** Whether the gateway has messages before those that were read. */
  const more = signal(false);
  const from = signal(0);
  const to = signal(Number.POSITIVE_INFINITY);
  const failure = signal<Failure | null>(null);
  const hostSides = new Map<string, Signal<readonly Exchange[] | null>>();
  const loading = new Map<string, Promise<HostView>>();
  const closing = new AbortController();
  const followed = new Set<string>();
  let reading: Promise<void> | null = null;
  let readingOlder: Promise<void> | null = null;

  const hostSide = (message: string): Signal<readonly Exchange[] | null> => {
    let side = hostSides.get(message);
    if (!side) hostSides.set(message, (side = signal<readonly Exchange[] | null>(null)));
    return side;
  };

  const showPart = (start: number, end: number): void => {
    from.value = Math.max(0, start);
    to.value = end >= messages.value.length ? Number.POSITIVE_INFINITY : end;
  };

  const show = (page: ConversationPage): void => {
    showPart(0, Number.POSITIVE_INFINITY);
    summary.value = page.conversation;
    more.value = page.more;
    messages.value = page.messages.map((message) => entryOf(message));
    failure.value = null;
  };

  /** Messages that are shown already stay the same signals. */
  const entryOf = (message: Message): Signal<Message> => {
    const known = messages.value.find((entry) => entry.peek().id === message.id);
    const entry = known ?? signal(message);
    entry.value = message;
    if (message.state === "streaming") void follow(entry);
    return entry;
  };

  const follow = async (entry: Signal<Message>): Promise<void> => {
    const { id: message } = entry.peek();
    if (followed.has(message)) return;
    followed.add(message);
    while (entry.peek().state === "streaming" && !closing.signal.aborted) {
      const drawing = batchDeltas(entry, hostSide(message));
      try {
        for await (const event of events<AnswerEvent>(`${messageAddress(message)}/stream`, closing.signal)) drawing.add(event);
      } catch (error) {
        noticeLock(error);
        if (closing.signal.aborted || (error instanceof ConsoleError && error.status > 0)) break;
      }
      drawing.flush();
      if (entry.peek().state === "streaming") await new Promise((resolve) => setTimeout(resolve, RETRY));
    }
    followed.delete(message);
    if (closing.signal.aborted) return;
    if (entry.peek().state === "streaming") {
      // The gateway knows nothing of it any more: the conversation tells what became of it.
      await new Promise((resolve) => setTimeout(resolve, RETRY));
      await load();
    }
    await refreshConversations().catch(() => {});
  };

  const read = async (): Promise<void> => {
    try {
      show(await ask<ConversationPage>(`${address}?limit=${FIRST}`, { signal: closing.signal }));
    } catch (error) {
      if (!closing.signal.aborted) failure.value = failureOf(error);
    }
  };
  const load = (): Promise<void> => (reading ??= read().finally(() => (reading = null)));

  /** Reads messages before those that were read, until there are none, or until one of an id. */
  const readOlder = async (limit: number, until?: string): Promise<void> => {
    const first = messages.value[0]?.peek().id;
    const read: Message[] = [];
    if (first === undefined) return;
    while (more.value) {
      const before = encodeURIComponent(read[0]?.id ?? first);
      const page = await ask<ConversationPage>(`${address}?before=${before}&limit=${limit}`, { signal: closing.signal });
      // Another branch may have been chosen meanwhile.
      if (messages.value[0]?.peek().id !== first) return;
      read.unshift(...page.messages);
      if (!page.more || until === undefined || page.messages.some(({ id: found }) => found === until)) {
        more.value = page.more;
        messages.value = [...read.map((message) => signal(message)), ...messages.value];
        showPart(from.value, to.value + read.length);
        return;
      }
    }
  };

  const indexOf = (message: string): number => messages.value.findIndex((entry) => entry.peek().id === message);

  const choose = async (message: string): Promise<void> => {
    show(await ask<ConversationPage>(`${address}/current`, { method: "PUT", body: { message } }));
  };

  return {
    id,
    summary,
    messages,
    shown: computed(() => messages.value.slice(from.value, to.value)),
    older: computed(() => more.value || from.value > 0),
    newer: computed(() => to.value < messages.value.length),
    failure,
    streaming: computed(() => messages.value.findLast((entry) => entry.value.state === "streaming")?.value.id ?? null),
    load,
    async showOlder() {
      if (from.value > 0) showPart(from.value - OLDER, to.value);
      else await (readingOlder ??= readOlder(OLDER).finally(() => (readingOlder = null)));
    },
    showNewer: () => showPart(from.value, to.value + OLDER),
    showEnd: () => showPart(messages.value.length - FIRST, Number.POSITIVE_INFINITY),
    async reveal(message) {
      if (indexOf(message) < 0) await readOlder(MOST, message);
      if (indexOf(message) < 0) {
        await choose(message);
        if (indexOf(message) < 0) await readOlder(MOST, message);
      }
      const index = indexOf(message);
      if (index >= 0) showPart(index - FIRST, index + FIRST);
    },
    choose,
    async take(turn) {
      const { question, answer } = await ask<Turn>(`${address}/turns`, { method: "POST", body: turn });
      const entries = messages.value;
      const parent = turn.kind === "say" ? turn.parent : answer.parent;
      const parentIndex = entries.findIndex((entry) => entry.peek().id === parent);
      const kept = entries.slice(0, parentIndex + 1);
      if (parent === null) more.value = false;
      messages.value = [...kept, ...(question ? [entryOf(question)] : []), entryOf(answer)];
      showPart(Math.min(from.value, messages.value.length - FIRST), Number.POSITIVE_INFINITY);
      void refreshConversations().catch(() => {});
    },
    async stop() {
      const running = messages.value.findLast((entry) => entry.peek().state === "streaming");
      if (running) running.value = await ask<Message>(`${messageAddress(running.peek().id)}/stop`, { method: "POST" });
    },
    hostSide,
    async loadHostSide({ id: message, wire, state }) {
      if (!wire || state === "streaming" || hostSide(message).peek() !== null) return;
      // It stands beside the question and beside the answer, and both ask.
      const underWay = loading.get(message) ?? ask<HostView>(`${messageAddress(message)}/wire`, { signal: closing.signal });
      loading.set(message, underWay);
      const view = await underWay.finally(() => loading.delete(message));
      hostSide(message).value ??= exchangesOf(view);
    },
    close: () => closing.abort(),
  };
}
