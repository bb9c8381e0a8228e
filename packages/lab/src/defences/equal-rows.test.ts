import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { permutation } from "@unseen/core/algebra/random.ts";
import { openModel } from "@unseen/core/blueprint/model.ts";
import { vocabularyPermutation } from "@unseen/core/blueprint/spaces.ts";
import { encryptModel } from "@unseen/core/blueprint/transform.ts";
import { matrix } from "../numeric/matrix.ts";
import { seeded } from "../seed.ts";
import { openWeights } from "../weights/open-weights.ts";
import { equalRows, judgeMerging } from "./equal-rows.ts";
import { writeHomophoneModel } from "./homophone-defence.ts";
import { makeCodebook } from "./homophones.ts";
import { temporaryFolder, temporaryLlama } from "./temporary.fixture.ts";
import { addNoise } from "./weight-noise.ts";

test("equal rows share a number, others do not, and zero has one sign", () => {
  const rows = matrix(5, 2, Float64Array.of(1, 2, 0, 1, 1, 2, -0, 1, 1, 2.0000001));
  assert.deepEqual([...equalRows(rows)], [0, 1, 0, 1, 2]);
});

test("every homophone is merged with its word and with no other, under both strengths; rows with noise are not", async (t) => {
  const model = await openModel(temporaryLlama(t));
  const book = makeCodebook(
    Float64Array.from({ length: 64 }, (_, word) => 1 / (word + 1)),
    6,
  );
  const directory = temporaryFolder(t);
  await writeHomophoneModel(join(directory, "repeated"), model, book);
  for (const strength of ["permute", "rotate"] as const) {
    const secret = new Uint8Array(32).fill(9);
    const output = join(directory, strength);
    await encryptModel({ source: join(directory, "repeated"), output, key: { secret, strength } });
    const table = (await openWeights(output, book.size)).embedding();
    const cipher = vocabularyPermutation(secret, book.size);
    assert.deepEqual(judgeMerging(equalRows(table), book.words, cipher), { merged: 1, mistaken: 0 });
    // Controls: another order of ids, and rows that are merely similar.
    assert.ok(judgeMerging(equalRows(table), book.words, permutation(seeded(1, "other"), book.size)).merged < 0.3);
    addNoise(table.values, 1e-6, seeded(1, "noise"));
    assert.deepEqual(judgeMerging(equalRows(table), book.words, cipher), { merged: 0, mistaken: 0 });
  }
});
