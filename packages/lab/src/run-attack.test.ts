import assert from "node:assert/strict";
import { test } from "node:test";
import { permutation } from "@unseen/core/algebra/random.ts";
import type { Attack } from "./attack.ts";
import { Guess } from "./guess.ts";
import { ToyLanguage } from "./language.fixture.ts";
import { runAttack } from "./run-attack.ts";
import { seeded } from "./seed.ts";
import { makeTrial, type Subject, type Trial } from "./trial.ts";

const VOCABULARY = 60;
const language = new ToyLanguage(VOCABULARY, 1);
const subject: Subject = {
  vocabulary: VOCABULARY,
  special: new Set([0]),
  texts: { recorded: language.texts(20, 40, 1), heldOut: language.texts(5, 40, 2), prior: [] },
  spelling: null,
  base: null,
  knownText: null,
};
const trials: Trial[] = [1, 2, 3].map((seed) =>
  makeTrial(subject, { permutation: permutation(seeded(seed, "key"), VOCABULARY), encrypted: null }, seed),
);

/** Believes the pairs that it knows, and guesses the rest at random. */
const believer: Attack = {
  name: "believer",
  title: "Believes what it knows.",
  tier: "T3",
  knowledge: "known pairs",
  source: "this test",
  missing: ({ known }) => (known.length === 0 ? "no pair is known" : null),
  async run({ vocabulary, known }, { random, proceed }) {
    const point = (count: number): Guess => {
      const mapping = Int32Array.from({ length: vocabulary }, () => random.below(vocabulary));
      for (const { plain, cipher } of known.slice(0, count)) mapping[cipher] = plain;
      return Guess.ofMapping(mapping);
    };
    const points = [0, 10, 20, 30].map((x) => ({ x, guess: point(x) }));
    for (let step = 0; step < 100; step += 1) if (!(await proceed(step / 100))) break;
    return { guess: points.at(-1)!.guess, curve: { of: "known pairs", points }, figures: { tries: known.length } };
  },
  control: {
    setting: "all pairs are known",
    least: 1,
    judged: "vocabularyTop1",
    arrange: (evidence, { permutation }) => ({
      ...evidence,
      known: [...permutation].map((cipher, plain) => ({ plain, cipher })).slice(0, 30),
    }),
  },
};

test("an attack is run under every key and scored: means, spread, curve, control", async () => {
  const result = await runAttack(believer, trials, { seed: 1, budget: 60_000 });
  assert.equal(result.keys, 3);
  assert.ok(result.complete && result.notRun === null);
  assert.ok(result.vocabularyTop1! > 0.4 && result.vocabularyTop1! < 0.6);
  assert.ok(
    result.spread.vocabularyTop1!.least <= result.vocabularyTop1! && result.spread.vocabularyTop1!.greatest >= result.vocabularyTop1!,
  );
  assert.deepEqual(result.curve!.points.map(({ x }) => x), [0, 10, 20, 30]); // prettier-ignore
  assert.ok(result.curve!.points[0]!.vocabularyTop1 < 0.1 && result.curve!.points[3]!.vocabularyTop1 === result.vocabularyTop1);
  assert.ok(result.control! > 0.4, "the 30 pairs of the control are believed");
  assert.ok(result.figures["tries"]! > 30);
});

test("the same seed gives the same numbers, another seed others", async () => {
  const run = async (seed: number): Promise<unknown> => ({ ...(await runAttack(believer, trials, { seed, budget: 60_000 })), seconds: 0 });
  assert.deepEqual(await run(1), await run(1));
  assert.notDeepEqual(await run(1), await run(2));
});

test("an attack without what it needs is not run, and says why", async () => {
  const ignorant = trials.map((trial) => ({ ...trial, evidence: { ...trial.evidence, known: [] } }));
  const result = await runAttack(believer, ignorant, { seed: 1, budget: 60_000 });
  assert.equal(result.notRun, "no pair is known");
  assert.deepEqual([result.keys, result.vocabularyTop1, result.control], [0, null, null]);
});

test("when the time is up, the result says that it is not complete", async () => {
  const result = await runAttack(believer, trials, { seed: 1, budget: -1 });
  assert.equal(result.complete, false);
  assert.ok(result.vocabularyTop1! > 0.4, "and keeps the best so far");
});

test("an aborted run ends with the signal's reason", async () => {
  const slow: Attack = { ...believer, run: async (evidence, context) => { while (await context.proceed(0)); return believer.run(evidence, context); } }; // prettier-ignore
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error("enough")), 100);
  await assert.rejects(runAttack(slow, trials, { seed: 1, budget: 600_000, signal: controller.signal }), /enough/);
});

test("evidence holds cipher ids, known pairs are true, and special ids are none of them", () => {
  const { evidence, owner } = trials[0]!;
  evidence.traffic.forEach((ids, text) =>
    ids.forEach((id, place) => assert.equal(id, owner.permutation[owner.plainTraffic[text]![place]!])),
  );
  for (const { plain, cipher } of evidence.known) assert.equal(owner.permutation[plain], cipher);
  assert.ok(!evidence.known.some(({ plain }) => plain === 0));
  assert.equal(new Set(evidence.known.map(({ plain }) => plain)).size, evidence.known.length);
  const given = makeTrial(
    { ...subject, knownText: [Uint32Array.of(5, 7, 5, 0, 9)] },
    { permutation: owner.permutation, encrypted: null },
    1,
  );
  assert.deepEqual(given.evidence.known.map(({ plain }) => plain), [5, 7, 9]); // prettier-ignore
});

test("recovered texts count as far as they were attempted, and figures that take the truth are asked for afterwards", async () => {
  const recorded = trials[0]!.owner.plainTraffic;
  const reader: Attack = {
    ...believer,
    // The first text's first four tokens are right, the second's first two tokens wrong.
    run: async () => ({
      guess: null,
      texts: [Int32Array.from(recorded[0]!.subarray(0, 4)), new Int32Array(2).fill(-1)],
      figures: { own: 1 },
      measure: async ({ plainTraffic }) => ({ recorded: plainTraffic.length }),
    }),
    control: null,
  };
  const result = await runAttack(reader, trials.slice(0, 1), { seed: 1, budget: 60_000 });
  const ordinary = (ids: Uint32Array): number => ids.filter((id) => id !== 0).length;
  const [right, wrong] = [ordinary(recorded[0]!.subarray(0, 4)), ordinary(recorded[1]!.subarray(0, 2))];
  assert.equal(result.textTokens, right / (right + wrong));
  assert.deepEqual(result.figures, { own: 1, recorded: 20 });
  const none = await runAttack({ ...reader, run: async () => ({ guess: null, texts: [] }) }, trials, { seed: 1, budget: 60_000 });
  assert.equal(none.textTokens, null);
});
