/**
 * The server's side of ONNX Runtime: rows wait in a bounded queue, and whenever the engine is free those that fit together make one run.
 * Nothing waits for company: batches form while the engine is busy (as in continuous batching, Orca, Yu et al., OSDI 2022).
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import type { PublicInterface } from "@unseen/core/blueprint/interface.ts";
import { EngineKeeper, closing, loading, type Engine, type EngineState } from "../keeper.ts";
import { chooseRows, groupOf, type BatchLimits } from "./choose.ts";
import { planBatches, type BatchPlan } from "./plan.ts";
import { probe } from "./probe.ts";
import type { Command, LoadCommand, Output, PoolCommand, Report, RunFailure } from "./protocol.ts";
import { assemble, byteLengthOf, takeApart, tokensOf, type Batch, type Row } from "./rows.ts";

/** Bytes of all rows that wait (CWE-770). */
const MAXIMUM_WAITING_BYTES = 256 << 20;
/** Oldest rows that are looked through for those that fit a run; a longer look would cost more than it finds. */
const LOOKAHEAD = 512;
/** A row whose runs have ended the engine twice is what ends it. */
const MAXIMUM_ATTEMPTS = 2;

/** Receives one row's result; exactly one call comes. */
export interface RowListener {
  done(output: Output): void;
  fail(error: UnseenError): void;
}

/** What a run was made of, for the metrics. */
export interface RunRecord {
  readonly rows: number;
  /** 0 for tensors. */
  readonly tokens: number;
  readonly padding: number;
  readonly seconds: number;
}

export interface SessionSupervisorOptions extends Omit<LoadCommand, "type" | "output"> {
  readonly interface: PublicInterface;
  /** Padding behind a row of ids cannot matter but through the mask. */
  readonly idsAreCausal: boolean;
  readonly isHalf: boolean;
  readonly maximumLength: number;
  readonly limits: BatchLimits;
  /** Rows that may wait. */
  readonly maximumQueue: number;
  readonly log: (line: string) => void;
  onRun(record: RunRecord): void;
}

interface Entry {
  readonly row: Row;
  readonly group: string;
  readonly listener: RowListener;
  attempts: number;
  /** A run that it was part of failed: it must show whether it is the cause. */
  isAlone: boolean;
  isCancelled: boolean;
}

/** A run that the engine refused, as against one that ended it. */
class RefusedRun extends Error {
  readonly reason: RunFailure;

  constructor(reason: RunFailure) {
    super(reason);
    this.reason = reason;
  }
}

export class SessionSupervisor implements Engine {
  readonly #options: SessionSupervisorOptions;
  readonly #keeper: EngineKeeper<Command, Report>;
  readonly #runs = new Map<number, PromiseWithResolvers<Output>>();
  #plan: BatchPlan;
  #isProbed = false;
  #waiting: Entry[] = [];
  #waitingBytes = 0;
  #running: readonly Entry[] = [];
  #nextId = 1;
  #drained: PromiseWithResolvers<void> | null = null;
  readonly ready: Promise<void>;

  constructor(options: SessionSupervisorOptions) {
    this.#options = options;
    this.#plan = planBatches(options.interface, options.idsAreCausal);
    const { file, threads, provider, log } = options;
    this.#keeper = new EngineKeeper({
      module: new URL("./process.ts", import.meta.url),
      load: { type: "load", file, threads, provider, output: options.interface.outputs[0]!.name } satisfies LoadCommand,
      engine: "ONNX Runtime",
      hint: "Check the file, the free memory and --provider.",
      log,
      received: (report) => this.#receive(report),
      lost: (error, isHopeless) => this.#lose(error, isHopeless),
    });
    this.ready = this.#keeper.ready.then(() => this.#probe());
    this.ready.catch(() => {}); // also reported to whoever awaits it
  }

  get state(): EngineState {
    if (this.#drained) return "closed";
    return this.#isProbed || this.#keeper.state === "closed" ? this.#keeper.state : "loading";
  }

  get counts(): { running: number; waiting: number; restarts: number } {
    return { running: this.#running.length, waiting: this.#waiting.length, restarts: this.#keeper.restarts };
  }

  get processId(): number | null {
    return this.#keeper.processId;
  }

  /** What holds of the model, once it is loaded. */
  get plan(): BatchPlan {
    return this.#plan;
  }

  /**
   * Queues rows that belong together, all or none; returns a function that cancels what is left of them.
   * @throws UnseenError `OVERLOADED`, `HOST_LOADING`
   */
  submit(rows: readonly { readonly row: Row; readonly listener: RowListener }[]): () => void {
    if (this.state === "loading") throw loading();
    if (this.state === "closed") throw closing();
    const { maximumQueue, limits } = this.#options;
    const free = Math.max(0, limits.rows - this.#running.length - this.#waiting.length);
    const bytes = rows.reduce((sum, { row }) => sum + byteLengthOf(row), 0);
    if (this.#waiting.length + rows.length > maximumQueue + free || this.#waitingBytes + bytes > MAXIMUM_WAITING_BYTES) {
      throw new UnseenError("OVERLOADED", `the queue of ${maximumQueue} waiting rows is full.`, { hint: "Try again in a moment." });
    }
    const entries = rows.map(({ row, listener }): Entry => ({
      row,
      listener,
      group: groupOf(row, this.#plan),
      attempts: 0,
      isAlone: false,
      isCancelled: false,
    }));
    this.#enqueue(entries);
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

  /** Rows go to the end; those that come back from a failed run to the front, where they were. */
  #enqueue(entries: readonly Entry[], { first = false } = {}): void {
    if (first) this.#waiting.unshift(...entries);
    else this.#waiting.push(...entries);
    for (const { row } of entries) this.#waitingBytes += byteLengthOf(row);
  }

  #take(entries: ReadonlySet<Entry>): void {
    this.#waiting = this.#waiting.filter((entry) => !entries.has(entry));
    for (const { row } of entries) this.#waitingBytes -= byteLengthOf(row);
  }

  #cancel(entries: readonly Entry[]): void {
    for (const entry of entries) entry.isCancelled = true;
    this.#take(new Set(this.#waiting.filter(({ isCancelled }) => isCancelled)));
    this.#noticeDrained();
  }

  #noticeDrained(): void {
    if (this.#running.length + this.#waiting.length === 0) this.#drained?.resolve();
  }

  #dispatch(): void {
    if (this.#keeper.state === "ready" && this.#isProbed && this.#running.length === 0 && this.#waiting.length > 0) {
      const [oldest] = this.#waiting as [Entry];
      // A suspect runs alone; nobody joins it, and it joins nobody.
      const candidates = oldest.isAlone ? [oldest] : this.#waiting.slice(0, LOOKAHEAD).filter(({ isAlone }) => !isAlone);
      const chosen = chooseRows(candidates, this.#plan, this.#options.limits).map((index) => candidates[index]!);
      this.#take(new Set(chosen));
      this.#running = chosen;
      void this.#run(chosen);
    }
    this.#noticeDrained();
  }

  async #run(entries: readonly Entry[]): Promise<void> {
    const started = performance.now();
    let again: readonly Entry[] = [];
    try {
      const rows = entries.map(({ row }) => row);
      const batch = assemble(rows, this.#options.interface, this.#plan);
      const kind = rows[0]!.pool;
      const output = await this.#execute(batch, kind && { kind, lengths: batch.lengths, masks: batch.masks });
      const tokens = rows.reduce((sum, row) => sum + tokensOf(row), 0);
      const seconds = (performance.now() - started) / 1000;
      this.#options.onRun({ rows: entries.length, tokens, padding: batch.rows * batch.length - tokens, seconds });
      takeApart(output, entries.length, batch, this.#plan).forEach((part, index) => this.#deliver(entries[index]!, part));
    } catch (error) {
      again = this.#sortOut(entries, error);
    }
    this.#running = [];
    this.#enqueue(again, { first: true });
    this.#dispatch();
  }

  #deliver(entry: Entry, output: Output): void {
    if (!entry.isCancelled) entry.listener.done(output);
  }

  /** Fails the rows of a failed run that have had their chance, and returns those that may try once more, each alone. */
  #sortOut(entries: readonly Entry[], error: unknown): readonly Entry[] {
    const again: Entry[] = [];
    for (const entry of entries) {
      if (entry.isCancelled) continue;
      entry.attempts++;
      const isSuspect = error instanceof RefusedRun ? entries.length > 1 : entry.attempts < MAXIMUM_ATTEMPTS;
      if (isSuspect && this.#keeper.state !== "closed") {
        entry.isAlone = true;
        again.push(entry);
      } else entry.listener.fail(failure(error));
    }
    return again;
  }

  #execute(batch: Batch, pool: PoolCommand | null): Promise<Output> {
    const id = this.#nextId++;
    const run = Promise.withResolvers<Output>();
    this.#runs.set(id, run);
    this.#keeper.send({ type: "run", id, feeds: batch.feeds, pool });
    return run.promise;
  }

  async #probe(): Promise<void> {
    const { interface: described, maximumLength, provider, isHalf, log } = this.#options;
    const tolerance = provider === "cpu" && !isHalf ? 1e-4 : 5e-3;
    const plan = await probe(this.#plan, {
      interface: described,
      maximumLength,
      tolerance,
      run: (batch) => this.#execute(batch, null),
    });
    this.#plan = plan;
    this.#isProbed = true;
    const batches = plan.hasRows && plan.mixesRows ? (plan.pads ? "any lengths" : "equal shapes") : "single rows";
    log(
      `engine batches ${batches}${plan.fixedRows === null ? "" : `, ${plan.fixedRows} rows fixed`}${plan.fixedLength === null ? "" : `, ${plan.fixedLength} tokens fixed`}`,
    );
    this.#dispatch();
  }

  #receive(report: Report): void {
    if (report.type === "output") this.#takeRun(report.id)?.resolve(report.output);
    else if (report.type === "failed") this.#takeRun(report.id)?.reject(new RefusedRun(report.reason));
    else this.#dispatch();
  }

  #takeRun(id: number): PromiseWithResolvers<Output> | undefined {
    const run = this.#runs.get(id);
    this.#runs.delete(id);
    return run;
  }

  /** The run in flight is lost; its rows come back to the queue by {@link #sortOut}. */
  #lose(error: UnseenError, isHopeless: boolean): void {
    const runs = [...this.#runs.values()];
    this.#runs.clear();
    for (const run of runs) run.reject(error);
    if (isHopeless) {
      const entries = this.#waiting;
      this.#take(new Set(entries));
      for (const { listener } of entries) listener.fail(error);
    }
    this.#noticeDrained();
  }
}

function failure(error: unknown): UnseenError {
  if (UnseenError.isInstance(error)) return error;
  if (!(error instanceof RefusedRun)) return new UnseenError("INTERNAL", "the run failed.");
  if (error.reason === "memory") {
    return new UnseenError("REQUEST_TOO_LARGE", "the input: the engine's memory does not suffice for it.", { hint: "Send less at once." });
  }
  if (error.reason === "large") {
    return new UnseenError("REQUEST_TOO_LARGE", "the input: the answer would hold too many numbers.", { hint: "Send a shorter input." });
  }
  return new UnseenError("REQUEST_INVALID", "the input: the model cannot be run on it.", {
    hint: "Compare lengths, shapes and values with the interface that GET /v1/models tells.",
  });
}
