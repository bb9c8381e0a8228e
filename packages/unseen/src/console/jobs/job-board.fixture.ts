/**
 * A home in a temporary directory, and a board of jobs on it, for tests.
 * @module
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Home } from "@unseen/client/home.ts";
import type { Job, NewJob } from "@unseen/web/protocol/jobs.ts";
import { temporaryHome } from "../console.fixture.ts";
import { JobBoard } from "./job-board.ts";
import { planJob } from "./plan-job.ts";

export interface TestBoard {
  readonly home: Home;
  readonly board: JobBoard;
  start(job: NewJob): Promise<Job>;
  /** Waits until a job is as it should be. */
  until(id: string, condition: (job: Job) => boolean): Promise<Job>;
  /** Ends all processes. */
  close(): Promise<void>;
}

export function testBoard(): TestBoard {
  const home = temporaryHome();
  const board = new JobBoard(home.root);
  return {
    home,
    board,
    start: (job) => board.start(job.kind, (taken) => planJob(job, home, taken)),
    async until(id, condition) {
      for (const end = Date.now() + 60_000; Date.now() < end; await sleep(5)) {
        const job = board.find(id).snapshot();
        if (condition(job)) return job;
      }
      return assert.fail(`job ${JSON.stringify(board.find(id).snapshot()).slice(0, 2000)} did not become so in time`);
    },
    close: () => board.close(),
  };
}

/** Whether a process is there and no corpse that waits for its parent. */
export function isRunning(processId: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${processId}/status`, "utf8"));
  } catch {
    return false;
  }
}

/** Waits until processes have ended. */
export async function untilGone(processIds: readonly number[], milliseconds = 15_000): Promise<void> {
  for (const end = Date.now() + milliseconds; Date.now() < end; await sleep(10)) if (!processIds.some(isRunning)) return;
  assert.fail(`process ${processIds.filter(isRunning).join(", ")} is still there`);
}
