/**
 * Keeps one engine process alive: starts it, hands on what it reports, and starts it again after a native abort, with growing delays.
 * Which work it gets, and what becomes of work that a dead engine had, is its owner's business.
 * @module
 */
import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { UnseenError } from "@unseen/core/errors.ts";

const FIRST_RESTART_DELAY = 200; // ms
const LONGEST_RESTART_DELAY = 30_000; // ms
/** An engine that lived this long was healthy: the next restart is immediate again. */
const HEALTHY_AFTER = 30_000; // ms
/** Waiting requests are refused after this many starts in a row that never became ready. */
const TOLERATED_FAILED_STARTS = 3;
const KILL_AFTER = 2_000; // ms

export type EngineState = "loading" | "ready" | "restarting" | "closed";

/** What a server needs of any engine, whatever it computes. */
export interface Engine {
  /** "closed" as soon as nothing new is taken, though running work may still end well. */
  readonly state: EngineState;
  /** In sequences. */
  readonly counts: { readonly running: number; readonly waiting: number; readonly restarts: number };
  /** The engine's process id, or null between two engines. */
  readonly processId: number | null;
  /** Resolves when the model is loaded for the first time. @throws UnseenError `CHECKPOINT_MALFORMED`, `USAGE`, `ENGINE_CRASHED` */
  readonly ready: Promise<void>;
  /** Takes nothing new from now on; resolves when all that was taken is done. */
  drain(): Promise<void>;
  /** Ends the engine; whatever still runs fails. */
  close(): Promise<void>;
}

/** What every engine process says of itself, beside the reports of its work. */
export type LifeReport =
  | { readonly type: "ready" }
  /** The model cannot be loaded; the process ends. `USAGE`: the options are to blame, not the file. */
  | { readonly type: "unusable"; readonly reason: string; readonly code?: "CHECKPOINT_MALFORMED" | "USAGE" };

export interface KeeperOptions<Report> {
  /** Module that the engine process runs. */
  readonly module: URL;
  /** Sent once to each new process. */
  readonly load: object;
  /** For messages: "llama.cpp". */
  readonly engine: string;
  /** What to try when the model cannot be loaded. */
  readonly hint: string;
  /** Variables of the process beside those that loading a library needs. */
  readonly environment?: Readonly<Record<string, string>>;
  /** The only part of the process's error stream that may be repeated: it must quote source code, never data. */
  readonly assertion?: RegExp;
  readonly log: (line: string) => void;
  /** A report of work, or "ready", after which commands may be sent. */
  received(report: Report): void;
  /** The engine is gone, and with it all that was sent. `isHopeless`: what waits must not go on waiting either. */
  lost(error: UnseenError, isHopeless: boolean): void;
}

export class EngineKeeper<Command extends object, Report extends LifeReport | { readonly type: string }> {
  readonly #options: KeeperOptions<Report>;
  #child: ChildProcess | null = null;
  #state: EngineState = "loading";
  #startedAt = 0;
  #failedStarts = 0;
  #restartDelay = FIRST_RESTART_DELAY;
  #restartTimer: NodeJS.Timeout | null = null;
  #restarts = 0;
  #firstLoad: PromiseWithResolvers<void> | null = Promise.withResolvers();
  /** Resolves when the model is loaded for the first time. @throws UnseenError `CHECKPOINT_MALFORMED`, `USAGE`, `ENGINE_CRASHED` */
  readonly ready: Promise<void> = this.#firstLoad!.promise;

  constructor(options: KeeperOptions<Report>) {
    this.#options = options;
    this.ready.catch(() => {}); // also reported to whoever awaits it
    this.#start();
  }

  get state(): EngineState {
    return this.#state;
  }

  get restarts(): number {
    return this.#restarts;
  }

  get processId(): number | null {
    return this.#child?.pid ?? null;
  }

  /** Sends a command to the running engine; where there is none, its end has been or will be reported. */
  send(command: Command): void {
    if (this.#child?.connected) this.#child.send(command, ignoreClosedChannel);
  }

  /** Ends the engine for good. */
  async close(): Promise<void> {
    if (this.#state === "closed") return;
    this.#state = "closed";
    if (this.#restartTimer) clearTimeout(this.#restartTimer);
    this.#firstLoad?.reject(new UnseenError("HOST_LOADING", "the server was closed while it loaded its model."));
    this.#options.lost(closing(), true);
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
    const child = fork(fileURLToPath(this.#options.module), [], {
      serialization: "advanced",
      execArgv: [],
      // Only what loading a library needs: no API key, no paths of the server's owner.
      env: { PATH, HOME, TMPDIR, LD_LIBRARY_PATH, ...this.#options.environment },
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    this.#child = child;
    let assertion = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      // Everything else is dropped unread: an engine's remarks may quote a request.
      assertion ||= this.#options.assertion?.exec(text)?.[0] ?? "";
    });
    child.on("message", (report: Report) => this.#child === child && this.#receive(report));
    child.once("error", () => child.kill("SIGKILL"));
    child.once("exit", (code, signal) => this.#ended(child, `${signal ?? `exit code ${code}`}${assertion && `, ${assertion}`}`));
    child.send(this.#options.load, ignoreClosedChannel);
  }

  #receive(report: Report): void {
    if (report.type === "unusable") {
      const { reason, code = "CHECKPOINT_MALFORMED" } = report as Extract<LifeReport, { type: "unusable" }>;
      const { engine, hint, log } = this.#options;
      log(`engine cannot load the model: ${reason}`);
      this.#firstLoad?.reject(new UnseenError(code, `${engine} cannot load the model: ${reason}`, { hint }));
      this.#child?.kill("SIGKILL");
      return;
    }
    if (report.type === "ready") {
      this.#state = "ready";
      this.#failedStarts = 0;
      this.#options.log(`engine ready process=${this.processId} seconds=${((Date.now() - this.#startedAt) / 1000).toFixed(1)}`);
      this.#firstLoad?.resolve();
      this.#firstLoad = null;
    }
    this.#options.received(report);
  }

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
    if (this.#firstLoad) {
      // A model that never loaded will not load by trying again.
      this.#firstLoad.reject(error);
      this.#firstLoad = null;
      this.#state = "closed";
      this.#options.lost(error, true);
      return;
    }
    this.#state = "restarting";
    this.#options.lost(error, !wasReady && ++this.#failedStarts >= TOLERATED_FAILED_STARTS);
    this.#restartDelay = wasReady && lived > HEALTHY_AFTER ? FIRST_RESTART_DELAY : Math.min(this.#restartDelay * 2, LONGEST_RESTART_DELAY);
    this.#restartTimer = setTimeout(() => {
      this.#restarts++;
      this.#start();
    }, this.#restartDelay);
  }
}

/** The answer of a server that takes nothing new. */
export function closing(): UnseenError {
  return new UnseenError("HOST_LOADING", "the server is shutting down.", { hint: "Use another host." });
}

/** The answer to everything that comes before the model is loaded. */
export function loading(): UnseenError {
  return new UnseenError("HOST_LOADING", "Loading model", { hint: "Try again in a moment." });
}

/** The channel may close between a check and a send; the exit event then reports it. */
function ignoreClosedChannel(): void {}
