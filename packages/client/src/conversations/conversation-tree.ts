/**
 * A conversation in memory: a tree of messages, built from what its file tells, event by event.
 * @module
 */
import { MAXIMUM_MESSAGES, type ConversationEvent, type Head, type StoredMessage } from "./message.ts";

interface Node {
  message: StoredMessage;
  /** Place in the order of arrival. */
  readonly order: number;
  /** Of what its file holds of it and would still hold if it were written anew. */
  bytes: number;
}

/** About what one event costs beside its texts. */
const EVENT_BYTES = 120;

export class ConversationTree {
  readonly #nodes = new Map<string, Node>();
  readonly #children = new Map<string | null, string[]>();
  #head: Head;
  #headBytes: number;
  #current: string | null = null;
  #updated: string;
  #liveBytes: number;

  constructor(head: Head) {
    this.#head = head;
    this.#updated = head.updated;
    this.#headBytes = this.#liveBytes = textBytes(JSON.stringify(head));
  }

  get head(): Head {
    return this.#head;
  }

  /** Of the latest message, or the head. */
  get updated(): string {
    return this.#updated;
  }

  /** Leaf of the shown path. */
  get current(): string | null {
    return this.#current;
  }

  get size(): number {
    return this.#nodes.size;
  }

  /** Roughly what the conversation takes, written anew. */
  get liveBytes(): number {
    return this.#liveBytes;
  }

  /** Whether all of these can be taken, one after another. */
  accepts(events: readonly ConversationEvent[]): boolean {
    const added = new Set<string>();
    const knows = (id: string): boolean => this.#nodes.has(id) || added.has(id);
    for (const event of events) {
      if (event.kind === "message") {
        const { id, parent } = event.message;
        if (knows(id) || (parent !== null && !knows(parent))) return false;
        added.add(id);
      } else if (event.kind !== "head" && !knows(event.id)) return false;
    }
    return this.#nodes.size + added.size <= MAXIMUM_MESSAGES;
  }

  /** Takes what happened. @returns false, and nothing taken, where it does not fit what happened before. */
  apply(event: ConversationEvent): boolean {
    switch (event.kind) {
      case "head":
        this.#head = event.head;
        if (event.head.updated > this.#updated) this.#updated = event.head.updated;
        this.#liveBytes -= this.#headBytes;
        this.#headBytes = textBytes(JSON.stringify(event.head));
        this.#liveBytes += this.#headBytes;
        return true;
      case "message":
        return this.#add(event.message);
      case "piece":
        return this.#change(event.id, (message) => ({
          ...message,
          content: message.content + event.content,
          reasoning: message.reasoning + event.reasoning,
        }));
      case "state": {
        const { state, failure, usage, cut, wire } = event;
        return this.#change(event.id, (message) => ({ ...message, state, failure, usage, cut, wire }));
      }
      case "current":
        if (!this.#nodes.has(event.id)) return false;
        this.#current = event.id;
        return true;
    }
  }

  /** Answers that nobody writes any more were interrupted. */
  interrupt(): void {
    for (const node of this.#nodes.values())
      if (node.message.state === "streaming") node.message = { ...node.message, state: "interrupted" };
  }

  get(id: string): StoredMessage | undefined {
    return this.#nodes.get(id)?.message;
  }

  /** Every message, parents before children. */
  *messages(): Generator<StoredMessage> {
    for (const { message } of this.#nodes.values()) yield message;
  }

  /** Messages with this parent, oldest first. */
  children(parent: string | null): readonly string[] {
    return this.#children.get(parent) ?? [];
  }

  /** From a message back to the first one. */
  *ancestors(id: string | null): Generator<StoredMessage> {
    for (let node = this.#nodes.get(id ?? ""); node; node = this.#nodes.get(node.message.parent ?? "")) yield node.message;
  }

  /** The latest message below this one, or itself. */
  newestBelow(id: string): string {
    let newest = this.#nodes.get(id)!;
    const waiting = [id];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const node = this.#nodes.get(next)!;
      if (node.order > newest.order) newest = node;
      for (const child of this.children(next)) waiting.push(child);
    }
    return newest.message.id;
  }

  /** What would rebuild this tree. */
  *events(): Generator<ConversationEvent> {
    yield { kind: "head", head: { ...this.#head, updated: this.#updated } };
    for (const message of this.messages()) yield { kind: "message", message };
    if (this.#current !== null) yield { kind: "current", id: this.#current };
  }

  #add(message: StoredMessage): boolean {
    const { id, parent } = message;
    // A parent comes first, so there is no cycle.
    if (this.#nodes.has(id) || (parent !== null && !this.#nodes.has(parent)) || this.#nodes.size >= MAXIMUM_MESSAGES) return false;
    const bytes = textBytes(message.content) + textBytes(message.reasoning) + 3 * EVENT_BYTES;
    this.#nodes.set(id, { message, order: this.#nodes.size, bytes });
    this.#liveBytes += bytes;
    const siblings = this.#children.get(parent);
    if (siblings) siblings.push(id);
    else this.#children.set(parent, [id]);
    if (message.created > this.#updated) this.#updated = message.created;
    return true;
  }

  #change(id: string, change: (message: StoredMessage) => StoredMessage): boolean {
    const node = this.#nodes.get(id);
    if (!node) return false;
    const { content, reasoning } = node.message;
    node.message = change(node.message);
    const added = textBytes(node.message.content.slice(content.length)) + textBytes(node.message.reasoning.slice(reasoning.length));
    node.bytes += added;
    this.#liveBytes += added;
    return true;
  }
}

function textBytes(text: string): number {
  return Buffer.byteLength(text, "utf8");
}
