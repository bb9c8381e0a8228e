/**
 * What is known of one job, and who is told when it changes.
 * @module
 */
import { randomBytes } from "node:crypto";
import type { Failure } from "@unseen/web/protocol/failure.ts";
import type { Job, JobDetail, JobEvent, JobKind, JobProgress, JobState } from "@unseen/web/protocol/jobs.ts";
import type { ChannelMessage } from "../../channel.ts";
import { EventQueue } from "../event-queue.ts";

/** Lines that are kept, the latest (CWE-770). */
const MAXIMUM_LINES = 500;
/** Details that are kept, the first (CWE-770). */
const MAXIMUM_DETAILS = 1000;
/** Characters of all details of a job, as JSON (CWE-770): a view of a picture takes some hundred thousand. */
const MAXIMUM_DETAIL_CHARACTERS = 16 * 1024 * 1024;
/** Pages that follow one job (CWE-770). */
const MAXIMUM_FOLLOWERS = 32;

type Change = Partial<Pick<Job, "state" | "ended" | "progress" | "result" | "failure">>;

export class JobRecord {
  readonly id = randomBytes(8).toString("hex");
  readonly #facts: Pick<Job, "id" | "kind" | "subject" | "command" | "started">;
  #state: Required<Change> = { state: "running", ended: null, progress: null, result: null, failure: null };
  readonly #lines: string[] = [];
  readonly #details: JobDetail[] = [];
  #detailCharacters = 0;
  readonly #followers = new Set<EventQueue<JobEvent>>();

  constructor(kind: JobKind, subject: string, command: string) {
    this.#facts = { id: this.id, kind, subject, command, started: new Date().toISOString() };
  }

  get state(): JobState {
    return this.#state.state;
  }

  get hasEnded(): boolean {
    return this.#state.ended !== null;
  }

  snapshot(): Job {
    return { ...this.#withoutHistory(), lines: [...this.#lines], details: [...this.#details] };
  }

  /** Takes what the command told. */
  take(message: ChannelMessage): void {
    if (this.hasEnded) return;
    if (message.kind === "progress") this.#progress(message.progress);
    else if (message.kind === "line") this.#line(message.line);
    else this.detail(message.detail.kind, message.detail.value);
  }

  /** Keeps a detail, and tells of it; once there are too many it says so and keeps no more. */
  detail(kind: string, value: unknown): void {
    const characters = JSON.stringify(value)?.length ?? 0;
    if (this.#details.length >= MAXIMUM_DETAILS || this.#detailCharacters + characters > MAXIMUM_DETAIL_CHARACTERS) {
      return this.#line("More happened than is kept for this page.");
    }
    this.#detailCharacters += characters;
    const detail: JobDetail = { kind, value };
    this.#details.push(detail);
    this.#tell({ kind: "detail", detail });
  }

  /** It serves now. */
  becomeReady(result: object): void {
    if (!this.hasEnded) this.#change({ state: "ready", progress: null, result });
  }

  /** It has ended; whoever follows is told, and the streams end. */
  end(state: "done" | "failed" | "stopped", { result, failure }: { result: object | null; failure: Failure | null }): void {
    if (this.hasEnded) return;
    this.#change({ state, ended: new Date().toISOString(), progress: null, result: result ?? this.#state.result, failure });
    for (const follower of this.#followers) follower.end();
    this.#followers.clear();
  }

  /** What is known now, then what happens, until the end. */
  async *follow(signal: AbortSignal): AsyncGenerator<JobEvent> {
    const queue = new EventQueue<JobEvent>();
    if (this.hasEnded) queue.end();
    else {
      this.#followers.add(queue);
      // Whoever has been following for longest has gone, or has the page open elsewhere.
      if (this.#followers.size > MAXIMUM_FOLLOWERS) this.#dismiss([...this.#followers][0] as EventQueue<JobEvent>);
    }
    try {
      yield { kind: "snapshot", job: this.snapshot() };
      yield* queue.read(signal);
    } finally {
      this.#followers.delete(queue);
    }
  }

  #dismiss(follower: EventQueue<JobEvent>): void {
    this.#followers.delete(follower);
    follower.end();
  }

  #progress(progress: JobProgress | null): void {
    this.#state = { ...this.#state, progress };
    this.#tell({ kind: "progress", progress });
  }

  #line(line: string): void {
    if (this.#lines.at(-1) === line) return;
    this.#lines.push(line);
    if (this.#lines.length > MAXIMUM_LINES) this.#lines.shift();
    this.#tell({ kind: "line", line });
  }

  #change(change: Change): void {
    this.#state = { ...this.#state, ...change };
    this.#tell({ kind: "change", job: this.#withoutHistory() });
  }

  #withoutHistory(): Omit<Job, "lines" | "details"> {
    return { ...this.#facts, ...this.#state };
  }

  #tell(event: JobEvent): void {
    for (const follower of this.#followers) follower.push(event, (last) => event.kind === "progress" && last.kind === "progress");
  }
}
