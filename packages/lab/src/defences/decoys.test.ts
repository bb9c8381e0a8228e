import assert from "node:assert/strict";
import { test } from "node:test";
import type { Model } from "@unseen/core/blueprint/model.ts";
import { ToyLanguage } from "../language.fixture.ts";
import { seeded } from "../seed.ts";
import type { Subject } from "../trial.ts";
import { decoys, levellingWeights, makeDecoys, mixDecoys } from "./decoys.ts";
import { frequenciesOf } from "./frequencies.ts";
import { likeliestTexts } from "./sifting.ts";

const SPECIAL = new Set([0]);
const sum = (values: Float64Array): number => values.reduce((total, value) => total + value, 0);

test("decoys raise rare tokens to one level and leave those above it", () => {
  const frequencies = Float64Array.of(0, 0.6, 0.25, 0.1, 0.05);
  for (const count of [1, 3]) {
    const weights = levellingWeights(frequencies, count, SPECIAL);
    assert.equal(weights[0], 0);
    assert.ok(Math.abs(sum(weights) - count) < 1e-12);
    const together = weights.map((weight, id) => weight + (frequencies[id] as number)).subarray(1);
    const level = Math.min(...together);
    assert.ok(together.every((share, at) => Math.abs(share - level) < 1e-12 || weights[at + 1] === 0));
  }
  assert.deepEqual(
    [...levellingWeights(frequencies, 1, SPECIAL)].map((weight) => Math.round(weight * 1e6) / 1e6),
    [0, 0, 0.216667, 0.366667, 0.416667],
  );
  assert.equal(sum(levellingWeights(frequencies, 0, SPECIAL)), 0);
  for (const count of [-1, 0.5, 101]) assert.throws(() => levellingWeights(frequencies, count, SPECIAL), { code: "USAGE" });
});

const language = new ToyLanguage(128, 1);
const requests = language.texts(100, 60, 2).map((text) => Uint32Array.of(0, ...text.map((id) => Math.max(1, id))));
const frequencies = frequenciesOf(language.texts(300, 60, 3), 128, SPECIAL);

test("traffic with decoys is flatter, and a decoy opens and closes as its request does", () => {
  const drawn = makeDecoys(requests, 3, levellingWeights(frequencies, 3, SPECIAL), SPECIAL, seeded(1, "decoys"));
  assert.equal(drawn.length, 300);
  assert.ok(drawn.every((decoy, at) => decoy.length === requests[Math.floor(at / 3)]!.length && decoy[0] === 0 && !decoy.includes(0, 1)));
  const highest = (texts: readonly Uint32Array[]): number => Math.max(...frequenciesOf(texts, 128, SPECIAL));
  assert.ok(highest([...requests, ...drawn]) < 0.4 * highest(requests));
  const sent = mixDecoys(requests, drawn, seeded(1, "order"));
  assert.equal(sent.filter(({ decoy }) => !decoy).length, 100);
  assert.ok(sent.slice(0, 200).some(({ decoy }) => decoy) && sent.slice(0, 200).some(({ decoy }) => !decoy));
});

test("sifting finds the requests among drawn decoys, and no better than chance among decoys of the same language", () => {
  const drawn = makeDecoys(requests, 3, levellingWeights(frequencies, 3, SPECIAL), SPECIAL, seeded(1, "decoys"));
  const spoken = language.texts(300, 60, 5).map((text) => Uint32Array.of(0, ...text.map((id) => Math.max(1, id))));
  const found = (others: readonly Uint32Array[]): number => {
    const sent = mixDecoys(requests, others, seeded(1, "order"));
    const kept = likeliestTexts(
      sent.map(({ text }) => text),
      1 / 4,
    );
    assert.equal(kept.length, 100);
    return kept.filter((place) => !sent[place]!.decoy).length / 100;
  };
  assert.ok(found(drawn) > 0.95);
  assert.ok(found(spoken) < 0.4);
});

test("a decoy says nothing: reading one is worth nothing, and nobody knows its tokens", async () => {
  const secret = new Uint8Array(32).fill(4);
  const subject: Subject = {
    vocabulary: 128,
    special: SPECIAL,
    texts: { recorded: requests, heldOut: [], prior: requests.slice(0, 3) },
    spelling: null,
    base: null,
    knownText: null,
  };
  const random = (purpose: string) => seeded(1, purpose);
  const key = { secret, strength: "permute" } as const;
  const never = () => Promise.reject(new Error("decoys need no model"));
  const setting = { model: {} as Model, subject, dial: 2, key, seed: 1, directory: "", exact: never, random, signal: undefined };
  const { trial, cost } = await decoys.apply(setting);
  assert.equal(cost, 3);
  const { evidence, owner } = trial;
  assert.deepEqual([evidence.traffic.length, owner.plainTraffic.length], [300, 300]);
  const meant = owner.plainTraffic.filter(({ length }) => length > 0);
  assert.equal(meant.length, 100);
  assert.deepEqual(new Set(meant.map(String)), new Set(requests.map(String)));
  for (const [place, text] of owner.plainTraffic.entries())
    if (text.length > 0)
      assert.deepEqual(
        evidence.traffic[place],
        text.map((id) => owner.permutation[id] as number),
      );
  const said = new Set(requests.flatMap((text) => [...text]));
  assert.ok(evidence.known.length > 0 && evidence.known.every(({ plain }) => said.has(plain)));
});
