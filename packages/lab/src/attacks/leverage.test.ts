import assert from "node:assert/strict";
import { test } from "node:test";
import { matrix } from "../numeric/matrix.ts";
import { multiply } from "../numeric/multiply.ts";
import { seeded } from "../seed.ts";
import type { Weights } from "../weights/weights.ts";
import { encryptedTrial, LLAMA, measured, randomModel, testAttack } from "./encrypted-models.fixture.ts";
import { leverage } from "./leverage.ts";
import { rowNormsAttack } from "./row-norms.ts";

testAttack(leverage);

test("no invertible map of the stream hides leverage, though lengths are gone", async () => {
  const trial = await encryptedTrial(randomModel(LLAMA), "rotate");
  const encrypted = trial.evidence.encrypted as Weights;
  const random = seeded(1, "map");
  const { hidden } = encrypted;
  const map = matrix(
    hidden,
    hidden,
    Float64Array.from({ length: hidden ** 2 }, () => random.gaussian()),
  );
  const mapped = { ...encrypted, embedding: () => multiply(encrypted.embedding(), map), head: () => multiply(encrypted.head()!, map) };
  const changed = { ...trial, evidence: { ...trial.evidence, encrypted: mapped } };
  assert.equal((await measured(leverage, changed)).vocabularyTop1, 1);
  assert.ok((await measured(rowNormsAttack, changed)).vocabularyTop1! < 0.2);
});

test("a square table has no leverage to compare", async () => {
  const { evidence } = await encryptedTrial(randomModel(LLAMA), "permute");
  assert.match(leverage.missing({ ...evidence, base: { ...evidence.base!, hidden: 240 } })!, /leverage 1/);
});
