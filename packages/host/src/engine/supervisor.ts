/**
 * The server's side of the engine: starts the process, feeds it from a bounded first-in-first-out queue, and starts it again after a native abort.
 * @module
 */
import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { UnseenError } from "@unseen/core/errors.ts";
import type { GenerateCommand, LoadCommand, Report, TokenEvent } from "./protocol.ts";

const FIRST_RESTART_DELAY = 200; // ms
const LONGEST_RESTART_DELAY = 30_000; // ms
/** An engine that lived this long was healthy: the next restart is immediate again. */
const HEALTHY_AFTER = 30_000; // ms
/** Waiting requests are refused after this many starts in a row that never became ready. */
const TOLERATED_FAILED_STARTS = 3;
const KILL_AFTER = 2_000; // ms

export type EngineState = "loading" | "ready" | "restarting" | "closed";

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

export class EngineSupervisor {
  readonly #options: SupervisorOptions;
  readonly #running = new Map<number, Entry>();
  #waiting: Entry[] = [];
  #child: ChildProcess | null = null;
  #state: EngineState = "loading";
  #nextId = 1;
  #startedAt = 0;
  #failedStarts = 0;
  #restartDelay = FIRST_RESTART_DELAY;
  #restartTimer: NodeJS.Timeout | null = null;
  #restarts = 0;
  #firstLoad: PromiseWithResolvers<void> | null = Promise.withResolvers();
  #drained: PromiseWithResolvers<void> | null = null;
  /** Resolves when the model is loaded for the first time. @throws UnseenError `CHECKPOINT_MALFORMED`, `ENGINE_CRASHED` */
  readonly ready: Promise<void> = this.#firstLoad!.promise;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.ready.catch(() => {}); // also reported to whoever awaits it
    this.#start();
  }

  /** "closed" as soon as nothing new is taken, though running sequences may still end well. */
  get state(): EngineState {
    return this.#drained ? "closed" : this.#state;
  }

  get counts(): { running: number; waiting: number; restarts: number } {
    return { running: this.#running.size, waiting: this.#waiting.length, restarts: this.#restarts };
  }

  /** The engine's process id, or null between two engines. */
  get processId(): number | null {
    return this.#child?.pid ?? null;
  }

  /**
   * Queues sequences that belong together, all or none; returns a function that cancels what is left of them.
   * @throws UnseenError `OVERLOADED`, `HOST_LOADING`
   */
  generate(sequences: readonly { sequence: Sequence; listener: SequenceListener }[]): () => void {
    if (this.#state === "loading") throw loading();
    if (this.#state === "closed" || this.#drained) throw closing();
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

  /** Takes nothing new from now on; resolves when all that was taken is done. */
  drain(): Promise<void> {
    this.#drained ??= Promise.withResolvers();
    this.#noticeDrained();
    return this.#drained.promise;
  }

  /** Ends the engine; whatever still runs fails. */
  async close(): Promise<void> {
    if (this.#state === "closed") return;
    this.#state = "closed";
    if (this.#restartTimer) clearTimeout(this.#restartTimer);
    this.#firstLoad?.reject(new UnseenError("HOST_LOADING", "the server was closed while it loaded its model."));
    this.#failAll(closing());
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => child.kill("SIGKILL"), KILL_AFTER);
      child.once("exit", () => {
        clearTimeout(timer);
        resolve();
      });
      if (child.connected) child.disconnect();
      else child.kill("SIGKILL");
    });
  }

  #start(): void {
    this.#startedAt = Date.now();
    const { PATH = "", HOME = "", TMPDIR = "/tmp", LD_LIBRARY_PATH = "" } = process.env;
    const child = fork(fileURLToPath(new URL("./process.ts", import.meta.url)), [], {
      serialization: "advanced",
      execArgv: [],
      // Only what loading a library needs: no API key, no paths of the server's owner.
      env: { PATH, HOME, TMPDIR, LD_LIBRARY_PATH, GGML_NO_BACKTRACE: "1" },
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    this.#child = child;
    let assertion = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      // An assertion quotes llama.cpp's source, never data; everything else is dropped unread.
      assertion ||= /GGML_ASSERT\([^\n]{1,200}\) failed/.exec(text)?.[0] ?? "";
    });
    child.on("message", (report: Report) => this.#child === child && this.#receive(report));
    child.once("error", () => child.kill("SIGKILL"));
    child.once("exit", (code, signal) => this.#ended(child, `${signal ?? `exit code ${code}`}${assertion && `, ${assertion}`}`));
    const { file, threads, sequences, contextLength, batchSize, cacheFormat } = this.#options;
    child.send(
      { type: "load", file, threads, sequences, contextLength, batchSize, cacheFormat } satisfies LoadCommand,
      ignoreClosedChannel,
    );
  }

  #receive(report: Report): void {
    switch (report.type) {
      case "step":
        for (const event of report.events) this.#deliver(event);
        this.#dispatch();
        return;
      case "failed":
        for (const id of report.ids)
          this.#take(id)?.listener.fail(
            new UnseenError("ENGINE_CRASHED", "the engine could not evaluate the sequence.", { hint: "Try again." }),
          );
        this.#dispatch();
        return;
      case "ready":
        this.#state = "ready";
        this.#failedStarts = 0;
        this.#options.log(`engine ready process=${this.processId} seconds=${((Date.now() - this.#startedAt) / 1000).toFixed(1)}`);
        this.#firstLoad?.resolve();
        this.#firstLoad = null;
        this.#dispatch();
        return;
      case "unusable":
        this.#options.log(`engine cannot load the model: ${report.reason}`);
        this.#firstLoad?.reject(
          new UnseenError("CHECKPOINT_MALFORMED", `llama.cpp cannot load the model: ${report.reason}`, {
            hint: "Check the file, the free memory and --context-size.",
          }),
        );
        this.#child?.kill("SIGKILL");
    }
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
    while (this.#state === "ready" && this.#waiting.length > 0 && this.#running.size < this.#options.sequences) {
      const entry = this.#waiting.shift()!;
      this.#running.set(entry.command.id, entry);
      this.#child!.send(entry.command, ignoreClosedChannel);
    }
    this.#noticeDrained();
  }

  #noticeDrained(): void {
    if (this.#running.size + this.#waiting.length === 0) this.#drained?.resolve();
  }

  #cancel(entries: readonly Entry[]): void {
    this.#waiting = this.#waiting.filter((entry) => !entries.includes(entry));
    for (const { command } of entries) {
      if (this.#take(command.id) && this.#child?.connected) this.#child.send({ type: "cancel", id: command.id }, ignoreClosedChannel);
    }
    this.#dispatch();
  }

  #failAll(error: UnseenError): void {
    const entries = [...this.#running.values(), ...this.#waiting];
    this.#running.clear();
    this.#waiting = [];
    for (const { listener } of entries) listener.fail(error);
    this.#noticeDrained();
  }

  /** The engine is gone: requests in flight fail, waiting ones wait for the next engine. */
  #ended(child: ChildProcess, cause: string): void {
    if (this.#child !== child) return;
    this.#child = null;
    if (this.#state === "closed") return;
    this.#options.log(`engine ended (${cause})`);
    const error = new UnseenError("ENGINE_CRASHED", `the engine process ended (${cause}).`, {
      hint: "It is being restarted; send the request again.",
    });
    const wasReady = this.#state === "ready";
    const lived = Date.now() - this.#startedAt;
    const inFlight = [...this.#running.values()];
    this.#running.clear();
    if (this.#firstLoad) {
      // A model that never loaded will not load by trying again.
      this.#firstLoad.reject(error);
      this.#firstLoad = null;
      this.#state = "closed";
      this.#failAll(error);
      return;
    }
    this.#state = "restarting";
    for (const { listener } of inFlight) listener.fail(error);
    this.#noticeDrained();
    if (!wasReady && ++this.#failedStarts >= TOLERATED_FAILED_STARTS) this.#failAll(error);
    this.#restartDelay = wasReady && lived > HEALTHY_AFTER ? FIRST_RESTART_DELAY : Math.min(this.#restartDelay * 2, LONGEST_RESTART_DELAY);
    this.#restartTimer = setTimeout(() => {
      this.#restarts++;
      this.#start();
    }, this.#restartDelay);
  }
}

function closing(): UnseenError {
  return new UnseenError("HOST_LOADING", "the server is shutting down.", { hint: "Use another host." });
}

/** The answer to everything that comes before the model is loaded. */
export function loading(): UnseenError {
  return new UnseenError("HOST_LOADING", "Loading model", { hint: "Try again in a moment." });
}

/** The channel may close between a check and a send; the exit event then reports it. */
function ignoreClosedChannel(): void {}
