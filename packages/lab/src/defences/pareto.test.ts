import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import type { Attack } from "../attack.ts";
import { ToyLanguage } from "../language.fixture.ts";
import type { DefencePoint } from "../lab-report.ts";
import type { AttackResult } from "../result.ts";
import { decoys } from "./decoys.ts";
import { homophones } from "./homophone-defence.ts";
import { measureDefence, type DefenceOptions } from "./pareto.ts";
import { simulatedTuning } from "./private-tuning.ts";
import { temporaryFolder, temporaryLlama } from "./temporary.fixture.ts";
import { toyFrequency, toyNorms } from "./toy-attacks.fixture.ts";
import { tableNoise, weightNoise } from "./weight-noise.ts";

const language = new ToyLanguage(64, 1);
const subject: DefenceOptions["subject"] = {
  texts: { recorded: language.texts(150, 100, 2), heldOut: language.texts(8, 40, 3), prior: language.texts(300, 100, 4) },
  special: new Set(),
  spelling: null,
  knownText: null,
};

/** Measures in a folder that must be empty afterwards. */
async function measure(
  t: TestContext,
  options: Pick<DefenceOptions, "base" | "defence"> & Partial<DefenceOptions>,
): Promise<DefencePoint[]> {
  const temporary = temporaryFolder(t);
  try {
    return await measureDefence({
      attacks: [toyNorms],
      strength: "rotate",
      keys: 2,
      seed: 1,
      positions: 128,
      subject,
      temporary,
      ...options,
    });
  } finally {
    assert.deepEqual(readdirSync(temporary), [], "nothing is left behind");
  }
}

const ids = (points: readonly DefencePoint[], attack: string): number[] => points.map(({ recovery }) => recovery[attack]!.vocabularyTop1);
const texts = (points: readonly DefencePoint[], attack: string): number[] => points.map(({ recovery }) => recovery[attack]!.textTokens!);
const falls = (values: readonly number[]): boolean => values.every((value, at) => at === 0 || value < (values[at - 1] as number));

for (const defence of [weightNoise, tableNoise])
  test(`${defence.name}: none is exact and stops nothing; more costs more and stops more`, async (t) => {
    const points = await measure(t, { base: temporaryLlama(t), defence, dials: [0, 0.02, 0.2, 2] });
    assert.deepEqual(
      points.map(({ x }) => x),
      [0, 0.02, 0.2, 2],
    );
    assert.ok(points.every((point) => point.defence === defence.name && point.keys === 2 && point.cost === 1));
    assert.deepEqual(points[0]!.fidelity, { meanKl: 0, top1: 1 });
    assert.ok(falls(points.map(({ fidelity }) => -fidelity!.meanKl)));
    assert.ok(falls(points.map(({ fidelity }) => fidelity!.top1)));
    assert.equal(points[0]!.recovery["toy-norms"]!.vocabularyTop1, 1);
    assert.ok(falls(ids(points, "toy-norms")));
    assert.ok(ids(points, "toy-norms").at(-1)! < 0.1, "chance level under noise of twice the weights");
  });

test("a simulated tune leaves a good part to match", async (t) => {
  const points = await measure(t, { base: temporaryLlama(t), defence: simulatedTuning, dials: [0, 0.02] });
  assert.equal(ids(points, "toy-norms")[0], 1);
  assert.ok(ids(points, "toy-norms")[1]! > 0.3);
});

test("the same seed gives the same points, another seed others", async (t) => {
  const base = temporaryLlama(t);
  for (const defence of [simulatedTuning, homophones, decoys]) {
    const options = { base, defence, dials: [defence.dials[1]!], attacks: [toyNorms, toyFrequency] };
    const [first, again, other] = [await measure(t, options), await measure(t, options), await measure(t, { ...options, seed: 2 })];
    assert.deepEqual(first, again);
    assert.notDeepEqual(first, other);
  }
});

test("the control is run once, on the exact model, and stands however large the noise", async (t) => {
  const results: [number, AttackResult][] = [];
  const onResult = (dial: number, result: AttackResult): void => void results.push([dial, result]);
  await measure(t, { base: temporaryLlama(t), defence: weightNoise, dials: [2, 0], keys: 1, onResult });
  assert.deepEqual(
    results.map(([dial, { control }]) => [dial, control]),
    [
      [2, 1],
      [0, null],
    ],
  );
  assert.ok(results[0]![1].vocabularyTop1! < 0.1);
});

test("homophones hide frequencies from the wire, even from who knows of them, and not from a host", async (t) => {
  const points = await measure(t, { base: temporaryLlama(t), defence: homophones, dials: [1, 4, 16], attacks: [toyFrequency, toyNorms] });
  assert.ok(falls(texts(points, "toy-frequency")));
  assert.ok(falls(texts(points, "toy-frequency-knowing-copies")));
  const merged = texts(points, "toy-frequency-after-merging");
  assert.ok(
    merged.every((share) => Math.abs(share - texts(points, "toy-frequency")[0]!) < 0.05 && share > 0.3),
    String(merged),
  );
  assert.ok(
    points.every(({ fidelity, recovery }) => fidelity === null && !("toy-norms" in recovery)),
    "exact; without a base of this vocabulary",
  );
  assert.equal(points[0]!.cost, 1);
  assert.ok(falls(points.map(({ cost }) => -cost)));
});

test("decoys hide frequencies from who does not look at what follows what", async (t) => {
  const points = await measure(t, { base: temporaryLlama(t), defence: decoys, dials: [0, 2, 8], attacks: [toyFrequency] });
  assert.ok(falls(texts(points, "toy-frequency")));
  assert.ok(texts(points, "toy-frequency-after-sifting").every((share) => Math.abs(share - texts(points, "toy-frequency")[0]!) < 0.05));
  assert.deepEqual(
    points.map(({ cost }) => cost),
    [1, 3, 9],
  );
});

test("progress rises to the end", async (t) => {
  const seen: number[] = [];
  await measure(t, { base: temporaryLlama(t), defence: weightNoise, dials: [0, 1], onProgress: (done) => void seen.push(done) });
  assert.deepEqual(
    seen,
    seen.toSorted((a, b) => a - b),
  );
  assert.equal(seen.at(-1), 1);
});

test("failures and interruptions leave nothing behind", async (t) => {
  const base = temporaryLlama(t);
  const broken: Attack = { ...toyNorms, run: () => Promise.reject(new Error("defect")) };
  await assert.rejects(measure(t, { base, defence: weightNoise, attacks: [broken] }), /defect/);
  const controller = new AbortController();
  const onResult = (): void => controller.abort(new Error("enough"));
  await assert.rejects(measure(t, { base, defence: weightNoise, onResult, signal: controller.signal }), /enough/);
  await assert.rejects(measure(t, { base, defence: weightNoise, dials: [-1] }), { code: "USAGE" });
  await assert.rejects(measure(t, { base, defence: weightNoise, keys: 0 }), { code: "USAGE" });
  await assert.rejects(measure(t, { base: `${base}.onnx`, defence: weightNoise }), { code: "USAGE" });
});

test("the bundled model: noise that still leaves lengths of rows to match changes what it says", async (t) => {
  const base = fileURLToPath(new URL("../../../unseen/models/story-llama", import.meta.url));
  const texts = { recorded: [], heldOut: [Uint32Array.from({ length: 32 }, (_, at) => (at * 97 + 5) % 4096)], prior: [] };
  const points = await measure(t, {
    base,
    defence: weightNoise,
    dials: [0, 0.1],
    attacks: [toyNorms],
    keys: 1,
    subject: { ...subject, texts },
  });
  assert.deepEqual(points[0]!.fidelity, { meanKl: 0, top1: 1 });
  assert.ok(points[0]!.recovery["toy-norms"]!.vocabularyTop1 > 0.95);
  assert.ok(points[1]!.fidelity!.meanKl > 0.01);
});

test("an attack whose time runs out before it finds anything is named, and has no figure; one that found something keeps it", async (t) => {
  const slow = (name: string, found: boolean): Attack => ({
    ...toyNorms,
    name,
    control: null,
    async run(evidence, context) {
      const outcome = await toyNorms.run(evidence, context);
      while (await context.proceed(0.5));
      return found ? outcome : { ...outcome, guess: null };
    },
  });
  const [point] = await measure(t, {
    base: temporaryLlama(t),
    defence: weightNoise,
    dials: [0],
    keys: 1,
    attacks: [slow("late", true), slow("empty", false)],
    budgetSeconds: 0.05,
  });
  assert.deepEqual(point!.cutShort, ["empty"]);
  assert.deepEqual(Object.keys(point!.recovery), ["late"]);
  assert.ok(point!.recovery["late"]!.vocabularyTop1 > 0);
});
