/**
 * The job of a private picture: what a page is told while it runs, and what is left of its parties when it is killed.
 * @module
 */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import type { Job } from "@unseen/web/protocol/jobs.ts";
import { isRunning, testBoard, untilGone } from "./job-board.fixture.ts";

const EXAMPLE = readFileSync(fileURLToPath(new URL("../../../models/xray-cnn/example.png", import.meta.url)));
const ask = { kind: "private-run", picture: EXAMPLE.toString("base64"), cut: 1 } as const;

const { home, board, start, until, close } = testBoard();
after(close);

// Whatever the parties make lies where this test alone looks.
process.env["TMPDIR"] = home.root;
const leftovers = (): string[] => globSync("unseen-*", { cwd: home.root });

const valuesOf = <T>({ details }: Job, kind: string): T[] =>
  details.filter((detail) => detail.kind === kind).map(({ value }) => value as T);

/** Processes that a process started, by the kernel's list. */
function childrenOf(processId: number): number[] {
  return globSync(`/proc/${processId}/task/*/children`).flatMap((file) =>
    readFileSync(file, "utf8").trim().split(" ").filter(Boolean).map(Number),
  );
}

test("tells each stage as it ends, what each party got, and which enclave it was", async () => {
  const job = await start(ask);
  assert.equal(job.command, "npx unseen private-run --local --cut 1 PICTURE");
  const ended = await until(job.id, (now) => now.ended !== null);
  assert.equal(ended.state, "done", JSON.stringify(ended.failure));
  const result = ended.result as { label: string; plainLabel: string; stages: { name: string }[] };
  assert.equal(result.label, result.plainLabel);
  assert.deepEqual(
    valuesOf<{ name: string }>(ended, "stage").map(({ name }) => name),
    result.stages.map(({ name }) => name),
  );
  assert.equal(result.stages[0]?.name, "start hub, enclave and creator");
  assert.deepEqual(
    valuesOf<{ kind: string; simulated: boolean }>(ended, "enclave").map(({ kind, simulated }) => [kind, simulated]),
    [["simulator", true]],
  );
  const views = valuesOf<{ party: string; png: string; bytes: number }>(ended, "view");
  assert.deepEqual(
    views.map(({ party }) => party),
    ["user", "hub", "enclave", "creator"],
  );
  for (const { png, bytes } of views) {
    assert.ok(bytes > 0);
    assert.ok((await sharp(Buffer.from(png, "base64")).metadata()).width > 100);
  }
});

test("killed, it leaves no party behind", async () => {
  const job = await start(ask);
  await until(job.id, (now) => valuesOf(now, "stage").length > 0);
  const processId = board.processOf(job.id) as number;
  const parties = childrenOf(processId);
  assert.ok(parties.length >= 3 && parties.every(isRunning), "control: hub, enclave and creator run");
  assert.equal(leftovers().length, 1, "control: their files are in one place");
  process.kill(processId, "SIGKILL");
  await untilGone(parties);
  assert.equal((await until(job.id, (now) => now.ended !== null)).state, "failed");
  await until(job.id, () => leftovers().length === 0);
});

test("stopped while its parties start, it ends them", async () => {
  const job = await start(ask);
  const processId = board.processOf(job.id) as number;
  await until(job.id, () => childrenOf(processId).length > 0);
  const parties = childrenOf(processId);
  assert.equal((await board.remove(job.id)).state, "stopped");
  await untilGone(parties);
  assert.deepEqual(leftovers(), []);
});
