import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { openModel, type Model } from "@unseen/core/blueprint/model.ts";
import { SIZES, writeVariant } from "@unseen/core/blueprint/variant.fixture.ts";
import { forward } from "@unseen/core/reference/forward.ts";
import { needs, sharedPath } from "../../../../tests/shared.ts";
import { rowOf, type Matrix } from "../numeric/matrix.ts";
import { seeded } from "../seed.ts";
import { IncrementalForward } from "./incremental-forward.ts";

const directory = mkdtempSync(join(tmpdir(), "unseen-incremental-"));
after(() => rmSync(directory, { recursive: true, force: true }));

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  assert.equal(a.length, b.length);
  let largest = 0;
  for (let i = 0; i < a.length; i += 1) largest = Math.max(largest, Math.abs((a[i] as number) - (b[i] as number)));
  return largest;
}

/** Logits of a text token by token against those of the reference. */
function agrees(model: Model, length: number): void {
  const run = new IncrementalForward(model, { positions: length });
  const random = seeded(1, "ids");
  const ids = Array.from({ length }, () => random.below(run.architecture.vocabulary));
  const [whole] = forward(model, [ids]);
  assert.ok(whole);
  assert.ok(largestDifference(run.logits(run.states(ids).at(-1) as Matrix).values, whole.values) < 1e-9);
}

test("computes what the reference does on a trained Llama", async () => {
  agrees(await openModel(fileURLToPath(new URL("../../../unseen/models/story-llama", import.meta.url))), 12);
});

for (const family of ["llama2-bias-tied", "llama3", "mistral", "smollm3", "qwen2", "qwen3", "phi3", "gemma2", "gemma3", "gpt2"]) {
  const name = `data/models/families/${family}`;
  test(`computes what the reference does: ${family}`, needs(name), async () => {
    agrees(await openModel(sharedPath(name) as string), 20);
  });
}

test("tokens that are tried together do not see each other, and each can be gone on with", async () => {
  const path = join(directory, "llama");
  writeVariant(path, { config: { model_type: "llama", ...SIZES } });
  const run = new IncrementalForward(await openModel(path));
  const prefix = run.step(run.empty, [5]).extend(0);
  const tried = run.step(prefix, [7, 9, 7]);
  for (const [row, id] of [7, 9].entries()) {
    const alone = run.states([5, id, 11]);
    const next = run.step(tried.extend(row), [11]);
    for (const [layer, states] of alone.entries()) {
      assert.ok(largestDifference(rowOf(tried.states[layer] as Matrix, row), rowOf(states, 1)) < 1e-12);
      assert.ok(largestDifference((next.states[layer] as Matrix).values, rowOf(states, 2)) < 1e-12);
    }
  }
  assert.ok(largestDifference(rowOf(tried.states[2] as Matrix, 0), rowOf(tried.states[2] as Matrix, 1)) > 0.01);
});

test("runs no more layers than asked for", async () => {
  const path = join(directory, "shallow");
  writeVariant(path, { config: { model_type: "llama", ...SIZES } });
  const model = await openModel(path);
  const [shallow, whole] = [new IncrementalForward(model, { layers: 1 }).states([1, 2]), new IncrementalForward(model).states([1, 2])];
  assert.equal(shallow.length, 2);
  assert.equal(whole.length, 3);
  assert.deepEqual(shallow[1], whole[1]);
});

test("refuses what it cannot compute", async () => {
  const path = join(directory, "mixture");
  writeVariant(path, { config: { model_type: "mixtral", ...SIZES, num_local_experts: 2, num_experts_per_tok: 1 } });
  const mixture = await openModel(path);
  assert.throws(() => new IncrementalForward(mixture), { code: "FAMILY_UNSUPPORTED_VALUE" });
  const small = join(directory, "gpt2");
  writeVariant(small, { config: { model_type: "gpt2", vocab_size: 64, n_embd: 32, n_layer: 1, n_head: 4, n_positions: 4 } });
  const run = new IncrementalForward(await openModel(small));
  assert.throws(() => run.step(run.empty, [64]), { code: "TOKEN_OUT_OF_RANGE" });
  assert.throws(() => run.states([1, 2, 3, 4, 5]), { code: "REQUEST_TOO_LARGE" });
});
