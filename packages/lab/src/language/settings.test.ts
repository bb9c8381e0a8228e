import assert from "node:assert/strict";
import { test } from "node:test";
import type { Evidence, OwnerKnowledge } from "../attack.ts";
import { commonestAlone, missingTexts, ownText } from "./settings.ts";

const evidence: Evidence = {
  vocabulary: 6,
  traffic: [Uint32Array.from([5, 5, 4, 3, 5, 4])],
  prior: [Uint32Array.from([1, 2])],
  known: [],
  encrypted: null,
  base: null,
  spelling: null,
};
const owner: OwnerKnowledge = {
  permutation: Uint32Array.from([5, 4, 3, 0, 1, 2]),
  plainTraffic: [Uint32Array.from([0, 0, 1, 2, 0, 1])],
  exact: null,
};

test("attacks on texts need recorded ones and others", () => {
  assert.equal(missingTexts(evidence), null);
  assert.match(missingTexts({ ...evidence, traffic: [new Uint32Array(0)] })!, /nothing was recorded/);
  assert.match(missingTexts({ ...evidence, prior: [] })!, /no text to compare/);
});

test("the recorded text itself takes the place of the other text", async () => {
  assert.deepEqual(await ownText(0.5).arrange(evidence, owner), { ...evidence, prior: owner.plainTraffic });
});

test("all but the commonest ids are taken out of both texts", async () => {
  const arranged = await commonestAlone(2, 0.1).arrange(evidence, owner);
  assert.deepEqual(arranged.traffic, [Uint32Array.from([5, 5, 4, 5, 4])]);
  assert.deepEqual(arranged.prior, [Uint32Array.from([0, 0, 1, 0, 1])]);
});
