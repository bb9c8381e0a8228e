/**
 * Answers that are being written: one at a time in a conversation, whether or not a page looks on.
 * @module
 */
import { randomUUID } from "node:crypto";
import { UnseenError } from "@unseen/core/errors.ts";
import type { OfferedModel, ServedModel } from "../gateway/model.ts";
import type { ConversationFile } from "./conversation-file.ts";
import type { ConversationTree } from "./conversation-tree.ts";
import type { HostView } from "./host-view.ts";
import { MAXIMUM_CONTENT_BYTES, UNTITLED, type ConversationEvent, type StoredMessage } from "./message.ts";
import { conversationNotFound, messageOf, type Message } from "./present.ts";
import { RunningAnswer, type AnswerEvent, type EndReason } from "./running-answer.ts";
import type { ConversationStore } from "./store.ts";
import { titleOf } from "./title.ts";

/** Something to answer. */
export type NewTurn =
  /** Says something after a message; null starts the conversation, or another beginning of it. */
  | { readonly kind: "say"; readonly parent: string | null; readonly content: string }
  /** Another answer to the same question, beside an answer. */
  | { readonly kind: "regenerate"; readonly answer: string }
  /** Goes on with an answer that was stopped, interrupted, failed or ended by its length. */
  | { readonly kind: "continue"; readonly answer: string };

/** What was begun. */
export interface Turn {
  /** null where nothing new was said. */
  readonly question: Message | null;
  readonly answer: Message;
}

interface Beginning {
  readonly question: StoredMessage | null;
  readonly answer: StoredMessage;
  readonly events: readonly ConversationEvent[];
}

export class Turns {
  readonly #store: ConversationStore;
  readonly #models: () => readonly OfferedModel[];
  /** By conversation. */
  readonly #running = new Map<string, RunningAnswer>();
  #closed = false;

  /** @param models - What is offered now. */
  constructor(store: ConversationStore, models: () => readonly OfferedModel[]) {
    this.#store = store;
    this.#models = models;
  }

  /**
   * Notes the question and begins the answer, which then goes on by itself. What goes wrong with the answer, it tells itself.
   * @throws UnseenError CONFLICT while another answer is written, CONVERSATION_NOT_FOUND, MODEL_NOT_FOUND, REQUEST_INVALID, REQUEST_TOO_LARGE, DISK_FULL.
   */
  begin(conversation: string, turn: NewTurn): Promise<Turn> {
    return this.#store.with(conversation, async (file) => {
      if (this.#closed) throw new UnseenError("CONFLICT", "the gateway ends.", { hint: "Start it again." });
      if (this.#running.has(conversation))
        throw new UnseenError("CONFLICT", "another answer is being written in this conversation.", { hint: "Wait for it, or stop it." });
      const { tree } = file;
      const { settings } = tree.head;
      const model = this.#choose(settings.model);
      const { question, answer, events } = beginTurn(tree, turn, model.id);
      const view = answer.wire ? await file.readView(answer.wire) : null;
      await this.#store.append(file, events);
      this.#start(file, {
        store: this.#store,
        conversation,
        model,
        settings,
        path: [...tree.ancestors(answer.parent)].toReversed(),
        message: answer,
        view: view ?? { exchanges: [] },
      });
      return { question: question && messageOf(tree, question), answer: messageOf(tree, answer) };
    });
  }

  /**
   * Follows an answer; of one that is over there is a snapshot and nothing else.
   * @param listener - Gets what comes after `first`, as long as `leave` was not called. It must be quick and not throw.
   * @throws UnseenError CONVERSATION_NOT_FOUND.
   */
  async follow(
    conversation: string,
    message: string,
    listener: (event: AnswerEvent) => void,
  ): Promise<{ readonly first: readonly AnswerEvent[]; readonly leave: () => void }> {
    const running = this.#find(conversation, message);
    if (running) {
      const { first, leave } = running.follow(listener);
      return { first: [first], leave };
    }
    const found = await this.#message(conversation, message);
    const view = await this.#store.view(conversation, message);
    return {
      first: [
        { kind: "snapshot", message: found, view },
        { kind: "end", message: found },
      ],
      leave: () => {},
    };
  }

  /** What hosts received and sent for an answer. @throws UnseenError CONVERSATION_NOT_FOUND. */
  async view(conversation: string, message: string): Promise<HostView> {
    return this.#find(conversation, message)?.view ?? this.#store.view(conversation, message);
  }

  /** Ends an answer; one that is over stays as it is. @throws UnseenError CONVERSATION_NOT_FOUND. */
  async stop(conversation: string, message: string): Promise<Message> {
    const running = this.#find(conversation, message);
    running?.end("stopped");
    return running ? running.ended : this.#message(conversation, message);
  }

  /** Ends what runs in a conversation that is to be deleted. */
  async stopAll(conversation: string): Promise<void> {
    const running = this.#running.get(conversation);
    running?.end("stopped");
    await running?.ended;
  }

  /** Ends every answer and waits until each is saved. Nothing is begun afterwards. */
  async close(reason: EndReason = "interrupted"): Promise<void> {
    this.#closed = true;
    const running = [...this.#running.values()];
    for (const answer of running) answer.end(reason);
    await Promise.all(running.map(({ ended }) => ended));
  }

  #start(file: ConversationFile, task: ConstructorParameters<typeof RunningAnswer>[0]): void {
    const { conversation } = task;
    this.#store.pin(conversation);
    const running = new RunningAnswer(task, messageOf(file.tree, task.message));
    this.#running.set(conversation, running);
    void running.ended.finally(() => {
      this.#running.delete(conversation);
      this.#store.unpin(conversation);
    });
  }

  #find(conversation: string, message: string): RunningAnswer | undefined {
    const running = this.#running.get(conversation);
    return running?.id === message ? running : undefined;
  }

  #message(conversation: string, message: string): Promise<Message> {
    return this.#store.with(conversation, async ({ tree }) => {
      const found = tree.get(message);
      if (!found) throw conversationNotFound("message");
      return messageOf(tree, found);
    });
  }

  /** The model that a conversation names, or the first that writes text. @throws UnseenError MODEL_NOT_FOUND. */
  #choose(name: string | null): ServedModel {
    const chats = this.#models().filter((model): model is ServedModel => !("encoder" in model) && model.tokenizer !== null);
    const found = name === null ? chats[0] : chats.find(({ id }) => id === name);
    if (found) return found;
    throw new UnseenError(
      "MODEL_NOT_FOUND",
      name === null ? "no model that writes text is offered." : `the conversation's model ${name.slice(0, 100)} is not offered now.`,
      { hint: chats.length > 0 ? "Choose another model for the conversation." : "Add a host that serves one." },
    );
  }
}

/** What a turn adds to a conversation. @throws UnseenError CONVERSATION_NOT_FOUND, REQUEST_INVALID, REQUEST_TOO_LARGE. */
function beginTurn(tree: ConversationTree, turn: NewTurn, model: string): Beginning {
  if (turn.kind === "say") {
    if (turn.parent !== null && !tree.get(turn.parent)) throw conversationNotFound("message");
    checkContent(turn.content);
    const question = newMessage("user", turn.parent, turn.content, null);
    const answer = newMessage("assistant", question.id, "", model);
    const title = tree.head.title === UNTITLED ? titleOf(turn.content) : null;
    return {
      question,
      answer,
      events: [
        ...(title === null ? [] : [{ kind: "head" as const, head: { ...tree.head, title } }]),
        { kind: "message", message: question },
        { kind: "message", message: answer },
        { kind: "current", id: answer.id },
      ],
    };
  }
  const before = tree.get(turn.answer);
  if (!before) throw conversationNotFound("message");
  if (before.role !== "assistant" || before.parent === null)
    throw new UnseenError("REQUEST_INVALID", "answer: expected an answer to a question, got another message.", {
      hint: "Choose an answer.",
    });
  if (turn.kind === "regenerate") {
    const answer = newMessage("assistant", before.parent, "", model);
    return {
      question: null,
      answer,
      events: [
        { kind: "message", message: answer },
        { kind: "current", id: answer.id },
      ],
    };
  }
  if (before.state === "complete" && !before.cut)
    throw new UnseenError("REQUEST_INVALID", "answer: expected one that was not finished, got a whole one.", {
      hint: "Say something, or ask for another answer.",
    });
  const { id, usage, wire, cut } = before;
  const answer: StoredMessage = { ...before, state: "streaming", failure: null };
  return {
    question: null,
    answer,
    events: [
      { kind: "state", id, state: "streaming", failure: null, usage, cut, wire },
      { kind: "current", id: tree.newestBelow(id) },
    ],
  };
}

function newMessage(role: "user" | "assistant", parent: string | null, content: string, model: string | null): StoredMessage {
  return {
    id: randomUUID(),
    parent,
    role,
    content,
    reasoning: "",
    created: new Date().toISOString(),
    state: role === "user" ? "complete" : "streaming",
    model,
    failure: null,
    usage: null,
    cut: false,
    wire: null,
  };
}

function checkContent(content: string): void {
  if (content.trim() === "")
    throw new UnseenError("REQUEST_INVALID", "content: expected something to say, got nothing.", { hint: "Write a question." });
  const bytes = Buffer.byteLength(content);
  if (bytes <= MAXIMUM_CONTENT_BYTES) return;
  throw new UnseenError(
    "REQUEST_TOO_LARGE",
    `content: expected at most ${MAXIMUM_CONTENT_BYTES / 1024 / 1024} MiB, got ${(bytes / 1024 / 1024).toFixed(1)}.`,
    { hint: "Say it in parts, or leave out what does not matter." },
  );
}
