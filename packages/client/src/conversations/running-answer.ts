/**
 * One answer while it is written: what came so far, who follows it, and what of it is on the disk.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import type { Delta } from "../gateway/delta.ts";
import type { ServedModel } from "../gateway/model.ts";
import type { ConversationFile } from "./conversation-file.ts";
import { HostViewRecorder, type HostView, type WirePiece } from "./host-view.ts";
import {
  MAXIMUM_CONTENT_BYTES,
  type AnswerFailure,
  type AnswerUsage,
  type ConversationEvent,
  type ConversationSettings,
  type MessageState,
  type StoredMessage,
} from "./message.ts";
import { planTurn, type PlannedTurn, type Said } from "./plan-turn.ts";
import type { Message } from "./present.ts";
import type { ConversationStore } from "./store.ts";

/** Between two savings of an answer that grows, in milliseconds. */
const SAVE_PAUSE = 1_000;

/**
 * Events of an answer, from its beginning whenever one connects: the first is a `snapshot`, so that a page that was loaded again
 * misses nothing.
 */
export type AnswerEvent =
  | { readonly kind: "snapshot"; readonly message: Message; readonly view: HostView }
  | { readonly kind: "delta"; readonly content: string; readonly reasoning: string }
  | ({ readonly kind: "wire" } & WirePiece)
  | { readonly kind: "end"; readonly message: Message };

/** What an answer begins with. */
export interface AnswerTask {
  readonly store: ConversationStore;
  readonly conversation: string;
  readonly model: ServedModel;
  readonly settings: ConversationSettings;
  /** From the first message to the question. */
  readonly path: readonly Said[];
  /** As it is stored now; with content where it goes on. */
  readonly message: StoredMessage;
  readonly view: HostView;
}

/** Why an answer is ended from outside. */
export type EndReason = "stopped" | "interrupted";

export class RunningAnswer {
  readonly #task: AnswerTask;
  readonly #abort = new AbortController();
  readonly #listeners = new Set<(event: AnswerEvent) => void>();
  readonly #recorder: HostViewRecorder;
  readonly #start = performance.now();
  /** What came since the last saving. */
  #content = "";
  #reasoning = "";
  #bytes: number;
  #tokens = 0;
  #firstToken: number | null = null;
  #endReason: EndReason | null = null;
  #planned: PlannedTurn | null = null;
  #cut = false;
  #isOver = false;
  #timer: NodeJS.Timeout | null = null;
  /** What the page shows: all that came. */
  #message: Message;
  /** When it is over and saved: the message as it stayed. */
  readonly ended: Promise<Message>;

  /** Begins at once. @param message - As the page shows it. */
  constructor(task: AnswerTask, message: Message) {
    this.#task = task;
    this.#message = message;
    this.#bytes = Buffer.byteLength(message.content) + Buffer.byteLength(message.reasoning);
    this.#recorder = new HostViewRecorder(task.model.tokenizer!, (piece) => this.#tell({ kind: "wire", ...piece }), task.view);
    this.ended = this.#run();
  }

  get id(): string {
    return this.#task.message.id;
  }

  get view(): HostView {
    return this.#recorder.view;
  }

  /** Tells a listener of all that comes. @returns what has come so far, and how to stop listening. */
  follow(listener: (event: AnswerEvent) => void): { readonly first: AnswerEvent; readonly leave: () => void } {
    this.#listeners.add(listener);
    return { first: { kind: "snapshot", message: this.#message, view: this.view }, leave: () => this.#listeners.delete(listener) };
  }

  /** Ends it; {@link ended} says when it is over. */
  end(reason: EndReason): void {
    this.#endReason ??= reason;
    this.#abort.abort(new DOMException("The answer was ended.", "AbortError"));
  }

  async #run(): Promise<Message> {
    let state: MessageState = "complete";
    let failure: AnswerFailure | null = null;
    try {
      await this.#receive();
    } catch (error) {
      if (this.#endReason) state = this.#endReason;
      else [state, failure] = ["failed", failureOf(error)];
    }
    // Also where a limit of ours ended it: the host stops computing.
    this.#abort.abort(new DOMException("The answer has ended.", "AbortError"));
    this.#recorder.end();
    this.#isOver = true;
    if (this.#timer) clearTimeout(this.#timer);
    const usage = this.#usage();
    let wire: StoredMessage["wire"] = null;
    try {
      wire = await this.#save((file) => this.#finish(file, state, failure, usage));
    } catch (error) {
      // The text is still on the page; after the next start the saved part is shown as interrupted.
      [state, failure] = ["failed", failureOf(error)];
    }
    this.#message = { ...this.#message, state, failure, usage, wire: wire !== null };
    this.#tell({ kind: "end", message: this.#message });
    this.#listeners.clear();
    return this.#message;
  }

  async #receive(): Promise<void> {
    const { model, settings, path, message } = this.#task;
    const { signal } = this.#abort;
    await Promise.race([model.blind.ready(), aborted(signal)]);
    signal.throwIfAborted();
    const begun = message.content === "" && message.reasoning === "" ? undefined : message;
    this.#planned = planTurn(model, settings, path, begun);
    const { onWire, onBytes } = this.#recorder;
    for await (const delta of this.#planned.plan.start(0, { signal, onWire, onBytes })) {
      if (delta.kind === "finish") this.#cut = delta.reason === "length";
      else if (delta.kind !== "tool-call") this.#take(delta);
    }
    signal.throwIfAborted();
  }

  #take({ kind, text, tokens }: Extract<Delta, { readonly tokens: unknown }>): void {
    this.#tokens += tokens.length;
    this.#firstToken ??= (performance.now() - this.#start) / 1000;
    if (text === "") return;
    this.#bytes += Buffer.byteLength(text);
    // A hostile host may go on as long as the context is (CWE-770).
    if (this.#bytes > MAXIMUM_CONTENT_BYTES)
      throw new UnseenError("REQUEST_TOO_LARGE", `the answer: expected at most ${MAXIMUM_CONTENT_BYTES / 1024 / 1024} MiB.`, {
        hint: "What came until then is kept.",
      });
    const [content, reasoning] = kind === "text" ? [text, ""] : ["", text];
    this.#content += content;
    this.#reasoning += reasoning;
    const { content: before, reasoning: thought } = this.#message;
    this.#message = { ...this.#message, content: before + content, reasoning: thought + reasoning };
    this.#tell({ kind: "delta", content, reasoning });
    this.#timer ??= setTimeout(() => void this.#saveSoon(), SAVE_PAUSE);
  }

  /** A full disk stops no answer: it is tried again, and the end tells of it unless there is room then. */
  async #saveSoon(): Promise<void> {
    await this.#save((file) => this.#task.store.append(file, this.#piece())).catch(() => {});
    // What came while this was written waits for the next time.
    this.#timer = this.#piece().length > 0 && !this.#isOver ? setTimeout(() => void this.#saveSoon(), SAVE_PAUSE) : null;
  }

  async #finish(
    file: ConversationFile,
    state: MessageState,
    failure: AnswerFailure | null,
    usage: AnswerUsage | null,
  ): Promise<StoredMessage["wire"]> {
    const { view } = this;
    // The text comes first: a disk with little room left has it rather than what the host saw.
    const wire = view.exchanges.length === 0 ? null : await file.keepView(view).catch(() => null);
    const { id, cut } = { id: this.id, cut: this.#cut };
    await this.#task.store.append(file, [...this.#piece(), { kind: "state", id, state, failure, usage, cut, wire }]);
    return wire;
  }

  #piece(): ConversationEvent[] {
    if (this.#content === "" && this.#reasoning === "") return [];
    return [{ kind: "piece", id: this.id, content: this.#content, reasoning: this.#reasoning }];
  }

  /** Saves, and forgets what is then on the disk; nothing comes in between that would be forgotten with it. */
  async #save<Result>(write: (file: ConversationFile) => Promise<Result>): Promise<Result> {
    return this.#task.store.with(this.#task.conversation, async (file) => {
      const [content, reasoning] = [this.#content.length, this.#reasoning.length];
      const result = await write(file);
      this.#content = this.#content.slice(content);
      this.#reasoning = this.#reasoning.slice(reasoning);
      return result;
    });
  }

  /** Of this run and those before it. */
  #usage(): AnswerUsage | null {
    const before = this.#task.message.usage;
    if (!this.#planned) return before;
    const seconds = (performance.now() - this.#start) / 1000;
    return {
      promptTokens: this.#planned.plan.prompt.ids.length + (before?.promptTokens ?? 0),
      completionTokens: this.#tokens + (before?.completionTokens ?? 0),
      firstTokenSeconds: before?.firstTokenSeconds || (this.#firstToken ?? seconds),
      seconds: seconds + (before?.seconds ?? 0),
      forgotten: Math.max(this.#planned.forgotten, before?.forgotten ?? 0),
    };
  }

  #tell(event: AnswerEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/** What the page is told; a defect of ours says nothing about itself. */
function failureOf(error: unknown): AnswerFailure {
  if (!UnseenError.isInstance(error))
    return { code: "INTERNAL", message: "the gateway failed.", hint: "Report it with the steps that lead here." };
  const message = error.message.slice(0, 4096);
  return { code: error.code, message, ...(error.hint === undefined ? {} : { hint: error.hint.slice(0, 4096) }) };
}
