/**
 * The server's side of llama.cpp: feeds the engine process from a bounded first-in-first-out queue, one entry per sequence.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { EngineKeeper, closing, loading, type Engine, type EngineState } from "./keeper.ts";
import type { Command, GenerateCommand, LoadCommand, Report, TokenEvent } from "./protocol.ts";

/** Receives one sequence's tokens. Exactly one call has `finish` or is `fail`; none follows it. */
export interface SequenceListener {
  token(event: TokenEvent): void;
  fail(error: UnseenError): void;
}

/** A sequence to continue, before it has a number. */
export type Sequence = Omit<GenerateCommand, "type" | "id">;

interface Entry {
  readonly command: GenerateCommand;
  readonly listener: SequenceListener;
}

export interface SupervisorOptions extends Omit<LoadCommand, "type"> {
  /** Sequences that may wait for a slot. */
  readonly maximumQueue: number;
  readonly log: (line: string) => void;
}

export class EngineSupervisor implements Engine {
  readonly #options: SupervisorOptions;
  readonly #keeper: EngineKeeper<Command, Report>;
  readonly #running = new Map<number, Entry>();
  #waiting: Entry[] = [];
  #nextId = 1;
  #drained: PromiseWithResolvers<void> | null = null;
  readonly ready: Promise<void>;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    const { file, threads, sequences, contextLength, batchSize, cacheFormat, log } = options;
    this.#keeper = new EngineKeeper({
      module: new URL("./process.ts", import.meta.url),
      load: { type: "load", file, threads, sequences, contextLength, batchSize, cacheFormat } satisfies LoadCommand,
      engine: "llama.cpp",
      hint: "Check the file, the free memory and --context-size.",
      environment: { GGML_NO_BACKTRACE: "1" },
      // An assertion quotes llama.cpp's source, never data.
      assertion: /GGML_ASSERT\([^\n]{1,200}\) failed/,
      log,
      received: (report) => this.#receive(report),
      lost: (error, isHopeless) => this.#fail(error, isHopeless),
    });
    this.ready = this.#keeper.ready;
  }

  get state(): EngineState {
    return this.#drained ? "closed" : this.#keeper.state;
  }

  get counts(): { running: number; waiting: number; restarts: number } {
    return { running: this.#running.size, waiting: this.#waiting.length, restarts: this.#keeper.restarts };
  }

  get processId(): number | null {
    return this.#keeper.processId;
  }

  /**
   * Queues sequences that belong together, all or none; returns a function that cancels what is left of them.
   * @throws UnseenError `OVERLOADED`, `HOST_LOADING`
   */
  generate(sequences: readonly { sequence: Sequence; listener: SequenceListener }[]): () => void {
    if (this.state === "loading") throw loading();
    if (this.state === "closed") throw closing();
    const free = Math.max(0, this.#options.sequences - this.#running.size - this.#waiting.length);
    if (this.#waiting.length + sequences.length > this.#options.maximumQueue + free) {
      throw new UnseenError("OVERLOADED", `the queue of ${this.#options.maximumQueue} waiting sequences is full.`, {
        hint: "Try again in a moment.",
      });
    }
    const entries = sequences.map(({ sequence, listener }): Entry => ({
      command: { ...sequence, type: "generate", id: this.#nextId++ },
      listener,
    }));
    this.#waiting.push(...entries);
    this.#dispatch();
    return () => this.#cancel(entries);
  }

  drain(): Promise<void> {
    this.#drained ??= Promise.withResolvers();
    this.#noticeDrained();
    return this.#drained.promise;
  }

  close(): Promise<void> {
    return this.#keeper.close();
  }

  #receive(report: Report): void {
    if (report.type === "step") {
      for (const event of report.events) this.#deliver(event);
    } else if (report.type === "failed") {
      for (const id of report.ids)
        this.#take(id)?.listener.fail(
          new UnseenError("ENGINE_CRASHED", "the engine could not evaluate the sequence.", { hint: "Try again." }),
        );
    }
    this.#dispatch();
  }

  #deliver(event: TokenEvent): void {
    const entry = event.finish ? this.#take(event.id) : this.#running.get(event.id);
    entry?.listener.token(event);
  }

  #take(id: number): Entry | undefined {
    const entry = this.#running.get(id);
    this.#running.delete(id);
    return entry;
  }

  #dispatch(): void {
    while (this.#keeper.state === "ready" && this.#waiting.length > 0 && this.#running.size < this.#options.sequences) {
      const entry = this.#waiting.shift()!;
      this.#running.set(entry.command.id, entry);
      this.#keeper.send(entry.command);
    }
    this.#noticeDrained();
  }

  #noticeDrained(): void {
    if (this.#running.size + this.#waiting.length === 0) this.#drained?.resolve();
  }

  #cancel(entries: readonly Entry[]): void {
    this.#waiting = this.#waiting.filter((entry) => !entries.includes(entry));
    for (const { command } of entries) if (this.#take(command.id)) this.#keeper.send({ type: "cancel", id: command.id });
    this.#dispatch();
  }

  /** What was in flight fails; what waits waits for the next engine, where there will be one. */
  #fail(error: UnseenError, isHopeless: boolean): void {
    const entries = [...this.#running.values(), ...(isHopeless ? this.#waiting : [])];
    this.#running.clear();
    if (isHopeless) this.#waiting = [];
    for (const { listener } of entries) listener.fail(error);
    this.#noticeDrained();
  }
}
