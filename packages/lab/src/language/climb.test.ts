import assert from "node:assert/strict";
import { test } from "node:test";
import { ToyLanguage } from "../language.fixture.ts";
import { seeded } from "../seed.ts";
import { climb } from "./climb.ts";
import { BigramModel } from "./ngrams.ts";
import { Proposals } from "./proposals.ts";
import { climbRepeatedly } from "./restarts.ts";
import { SearchState } from "./search-state.ts";
import { Traffic } from "./traffic.ts";

const VOCABULARY = 80;
const language = new ToyLanguage(VOCABULARY, 1);
const model = new BigramModel(language.texts(60, 50, 1), VOCABULARY);
const traffic = new Traffic(language.texts(40, 50, 2), VOCABULARY);
const always = async (): Promise<boolean> => true;

const begun = (seed: number): { state: SearchState; source: Proposals; random: ReturnType<typeof seeded> } => {
  const state = new SearchState(traffic, model, model.order);
  const random = seeded(seed, "climb");
  return { state, source: new Proposals(state, random, model), random };
};

test("at temperature 0 every step is up", async () => {
  const { state, source, random } = begun(1);
  const start = state.total();
  let least = start;
  const climbed = await climb(state, source, { moves: 20_000, hot: 0, cold: 0 }, random, async () => {
    assert.ok(state.total() >= least);
    least = state.total();
    return true;
  });
  assert.equal(climbed.moves, 20_000);
  assert.ok(climbed.finished && climbed.accepted > 20 && state.total() > start + 100);
});

test("warmth accepts steps down, and cooling ends them", async () => {
  const warm = begun(1);
  const cold = begun(1);
  const [a, b] = [
    await climb(warm.state, warm.source, { moves: 20_000, hot: 20, cold: 20 }, warm.random, always),
    await climb(cold.state, cold.source, { moves: 20_000, hot: 20, cold: 0.01 }, cold.random, always),
  ];
  assert.ok(a.accepted > 2 * b.accepted);
  assert.ok(cold.state.total() > warm.state.total() + 100);
});

test("a climb ends when the time is up", async () => {
  const { state, source, random } = begun(1);
  let looks = 0;
  const climbed = await climb(state, source, { moves: 1e9, hot: 0, cold: 0 }, random, async () => (looks += 1) < 3);
  assert.equal(climbed.finished, false);
  assert.ok(climbed.moves > 0 && climbed.moves < 10_000);
});

test("of several climbs the likeliest is kept", async () => {
  const schedule = { moves: 3000, hot: 0, cold: 0 };
  const once = begun(4);
  const first = await climbRepeatedly(
    once.state,
    model.order,
    once.source,
    { times: 1, schedule },
    { random: once.random, proceed: always },
  );
  const often = begun(4);
  const best = await climbRepeatedly(
    often.state,
    model.order,
    often.source,
    { times: 6, schedule },
    { random: often.random, proceed: always },
  );
  assert.equal(best.moves, 18_000);
  assert.ok(best.logLikelihood > first.logLikelihood);
  assert.equal(often.state.total(), best.logLikelihood);
});
