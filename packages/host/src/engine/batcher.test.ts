import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { writeTinyModel } from "../tiny-model.fixture.ts";
import { Batcher } from "./batcher.ts";
import { openNative, type NativeEngine } from "./native.ts";
import type { GenerateCommand, Report, TokenEvent } from "./protocol.ts";

const directory = mkdtempSync(join(tmpdir(), "unseen-batcher-"));
const SEQUENCES = 2;
const BATCH = 16;
const none = new Uint32Array();
let engine: NativeEngine;
/** The real engine, counting its decoding steps. */
let counted: NativeEngine;
let batches: number[] = [];
let nextId = 1;

before(async () => {
  const file = join(directory, "tiny.gguf");
  writeTinyModel(file);
  engine = await openNative({
    type: "load",
    file,
    threads: 1,
    sequences: SEQUENCES,
    contextLength: 512,
    batchSize: BATCH,
    cacheFormat: "auto",
  });
  const native = engine.context;
  const context: NativeEngine["context"] = {
    initBatch(size) {
      batches.push(size);
      native.initBatch(size);
    },
    addToBatch: native.addToBatch.bind(native),
    decodeBatch: native.decodeBatch.bind(native),
    sampleToken: native.sampleToken.bind(native),
    disposeSequence: native.disposeSequence.bind(native),
    removeTokenCellsFromSequence: native.removeTokenCellsFromSequence.bind(native),
    getSequenceKvCacheMinPosition: native.getSequenceKvCacheMinPosition.bind(native),
  };
  counted = { ...engine, context };
});
beforeEach(() => (batches = []));
after(() => rmSync(directory, { recursive: true }));

function command(prompt: number[], maximumTokens: number): GenerateCommand {
  const neutral = { presencePenalty: 0, frequencyPenalty: 0, repetitionPenalty: 1, biasIds: none, biasValues: new Float32Array() };
  const sampling = { temperature: 0, topP: 1, topK: 0, minP: 0, seed: 1, ...neutral };
  return {
    type: "generate",
    id: nextId++,
    prompt: Uint32Array.from(prompt),
    maximumTokens,
    minimumTokens: 0,
    stopIds: none,
    salt: `${nextId}`,
    logprobs: null,
    sampling,
  };
}

/** Runs commands at once; `onReport` may interfere. */
function collect(
  commands: GenerateCommand[],
  onReport: (report: Report, batcher: Batcher) => void = () => {},
  use = counted,
): Promise<Map<number, number[]>> {
  const tokens = new Map<number, number[]>(commands.map(({ id }) => [id, []]));
  let open = commands.length;
  const { promise, resolve } = Promise.withResolvers<Map<number, number[]>>();
  const batcher = new Batcher(use, { sequences: SEQUENCES, batchSize: BATCH }, (report) => {
    const events: readonly TokenEvent[] = report.type === "step" ? report.events : [];
    for (const { id, token, finish } of events) {
      tokens.get(id)!.push(token);
      if (finish) open--;
    }
    if (report.type === "failed") open -= report.ids.length;
    onReport(report, batcher);
    if (open === 0) resolve(tokens);
  });
  for (const one of commands) batcher.generate(one);
  return promise;
}

const ramp = (length: number, from = 0): number[] => Array.from({ length }, (_, index) => (from + index * 5) % 96);

test("more sequences than slots all run, and each gives what it gives alone", async () => {
  const commands = [command(ramp(3), 10), command(ramp(40, 1), 5), command(ramp(7, 2), 12), command(ramp(20, 3), 1)];
  const alone = [];
  for (const one of commands) alone.push((await collect([one])).get(one.id));
  assert.deepEqual([...(await collect(commands)).values()], alone);
});

test("a batch never exceeds its size, and running sequences go first", async () => {
  const running = command([1, 2], 30);
  const steps: { hasRunning: boolean }[] = [];
  await collect([running, command(ramp(100), 1)], (report) => {
    if (report.type === "step") steps.push({ hasRunning: report.events.some(({ id }) => id === running.id) });
  });
  assert.ok(Math.max(...batches) <= BATCH);
  // The long prompt takes 7 steps of at most 16 - 1 tokens; the running sequence advances in each of them.
  assert.ok(steps.slice(0, 7).every(({ hasRunning }) => hasRunning));
});

test("a cancelled sequence stops at the next step, also inside its prompt", async () => {
  const running = command([1, 2], 400);
  const reading = command(ramp(400), 5);
  const other = command([1, 3], 6);
  const { promise, resolve } = Promise.withResolvers<void>();
  let steps = 0;
  let stepsAtCancel = Infinity;
  const batcher = new Batcher(counted, { sequences: SEQUENCES, batchSize: BATCH }, (report) => {
    assert.equal(report.type, "step");
    const events = (report as Extract<Report, { type: "step" }>).events;
    if (++steps === 2) {
      batcher.cancel(running.id);
      batcher.cancel(reading.id);
      stepsAtCancel = batches.length;
    } else if (steps > 2) assert.deepEqual(events.map(({ id }) => id), [other.id]); // prettier-ignore
    if (events.some(({ finish }) => finish)) resolve();
  });
  for (const one of [running, reading, other]) batcher.generate(one);
  await promise;
  assert.equal(batches.length - stepsAtCancel, 6, "only the third sequence's steps follow");
});

test("a failed step fails its sequences, and the next ones run", async () => {
  let failures = 1;
  const context: NativeEngine["context"] = {
    ...counted.context,
    decodeBatch: () => (failures-- > 0 ? Promise.reject(new Error("Eval has failed")) : engine.context.decodeBatch()),
  };
  const [first, second, third] = [command(ramp(4), 4), command(ramp(5), 4), command(ramp(6), 4)] as const;
  const failed: number[] = [];
  const tokens = await collect(
    [first, second, third],
    (report) => {
      if (report.type === "failed") failed.push(...report.ids);
    },
    { ...counted, context },
  );
  assert.deepEqual(failed, [first.id], "the second came after the failing step had begun");
  assert.deepEqual(tokens.get(second.id), (await collect([second])).get(second.id));
  assert.deepEqual(tokens.get(third.id), (await collect([third])).get(third.id));
});
