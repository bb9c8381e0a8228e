/**
 * The attack that no exact scheme survives: recovers the secret vocabulary from the encrypted model and the public one,
 * without the key. It runs both models on every one-token prompt and pairs the prompts whose sorted logits agree.
 *
 *     node_modules/.bin/node proofs/functional-fingerprint.ts
 *
 * Knows nothing of keys or groups; the true permutation is used only to count the hits at the end.
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openModel } from "@unseen/core/blueprint/model.ts";
import { vocabularyPermutation, type Strength } from "@unseen/core/blueprint/spaces.ts";
import { encryptModel } from "@unseen/core/blueprint/transform.ts";
import { forward } from "@unseen/core/reference/forward.ts";

const MODEL = fileURLToPath(new URL("../packages/unseen/models/story-llama", import.meta.url));

/** Both strengths, and one with its weights rounded to 8 bits, which makes the two models differ a little. */
const VARIANTS: readonly { readonly name: string; readonly output: string; readonly strength: Strength; readonly quantize?: "q8_0" }[] = [
  { name: "permute", output: "permute", strength: "permute" },
  { name: "rotate", output: "rotate", strength: "rotate" },
  { name: "rotate, q8_0", output: "rotate.gguf", strength: "rotate", quantize: "q8_0" },
];

/** What a model answers to every one-token prompt, with the names of the answers thrown away: `(vocabulary)` rows of `(vocabulary)`. */
async function fingerprints(path: string): Promise<Float64Array[]> {
  const model = await openModel(path);
  const prompts = Array.from({ length: Number(model.config["vocab_size"]) }, (_, id) => [id]);
  return forward(model, prompts).map(({ values }) => {
    const sorted = values.toSorted();
    const mean = sorted.reduce((sum, value) => sum + value, 0) / sorted.length;
    return sorted.map((value) => value - mean); // softmax does not see a common shift
  });
}

/** For every row of `plain` the nearest row of `encrypted`, searched outwards from the row with the closest first value. */
function pair(plain: readonly Float64Array[], encrypted: readonly Float64Array[]): number[] {
  const order = [...encrypted.keys()].toSorted((a, b) => first(encrypted, a) - first(encrypted, b));
  return plain.map((row, id) => {
    const middle = order.findIndex((candidate) => first(encrypted, candidate) >= first(plain, id));
    let above = middle < 0 ? order.length : middle;
    let below = above - 1;
    let nearest = { id: -1, square: Infinity };
    for (;;) {
      const down = below >= 0 ? first(plain, id) - first(encrypted, order[below] as number) : Infinity;
      const up = above < order.length ? first(encrypted, order[above] as number) - first(plain, id) : Infinity;
      if (Math.min(down, up) ** 2 >= nearest.square || Math.min(down, up) === Infinity) return nearest.id;
      const candidate = order[down < up ? below-- : above++] as number;
      const square = squaredDistance(row, encrypted[candidate] as Float64Array, nearest.square);
      if (square < nearest.square) nearest = { id: candidate, square };
    }
  });
}

const first = (rows: readonly Float64Array[], index: number): number => rows[index]?.[0] as number;

/** Gives up at `limit`: most candidates differ early. */
function squaredDistance(a: Float64Array, b: Float64Array, limit: number): number {
  let sum = 0;
  for (let k = 0; k < a.length && sum < limit; k += 1) sum += ((a[k] as number) - (b[k] as number)) ** 2;
  return sum;
}

const directory = mkdtempSync(join(tmpdir(), "unseen-fingerprint-"));
try {
  const plain = await fingerprints(MODEL);
  for (const variant of VARIANTS) {
    const secret = crypto.getRandomValues(new Uint8Array(32));
    const output = join(directory, variant.output);
    await encryptModel({ source: MODEL, output, key: { secret, strength: variant.strength }, quantize: variant.quantize });
    const started = performance.now();
    const guesses = pair(plain, await fingerprints(output));
    const truth = vocabularyPermutation(secret, plain.length);
    const hits = guesses.filter((guess, id) => guess === truth[id]).length;
    const seconds = ((performance.now() - started) / 1000).toFixed(0);
    process.stdout.write(`${variant.name.padEnd(14)} ${hits} of ${plain.length} token ids recovered without the key, in ${seconds} s\n`);
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
