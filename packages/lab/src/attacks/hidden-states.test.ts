import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { JsonObject } from "@unseen/core/blueprint/config.ts";
import { vocabularyPermutation, type Strength } from "@unseen/core/blueprint/spaces.ts";
import { encryptModel } from "@unseen/core/blueprint/transform.ts";
import { SIZES, writeVariant } from "@unseen/core/blueprint/variant.fixture.ts";
import { TextTokenizer } from "@unseen/client/tokenizer.ts";
import { drawAnew } from "../activations/random-weights.fixture.ts";
import type { Evidence } from "../attack.ts";
import { ToyLanguage } from "../language.fixture.ts";
import { runAttack } from "../run-attack.ts";
import { seededSecret } from "../seed.ts";
import { makeTrial, type Trial } from "../trial.ts";
import { openWeights } from "../weights/open-weights.ts";
import { hiddenStateNeighbours, hiddenStateSearch } from "./hidden-states.ts";

const STORY_LLAMA = fileURLToPath(new URL("../../../unseen/models/story-llama", import.meta.url));
const RUN = { seed: 1, budget: 600_000 };
const EFFORT = { texts: 3, tokens: 12, width: 4 };
const directory = mkdtempSync(join(tmpdir(), "unseen-hidden-states-"));
after(() => rmSync(directory, { recursive: true, force: true }));

const OPENING = 63;
const language = new ToyLanguage(OPENING, 1);
const texts = (count: number, seed: number): Uint32Array[] => language.texts(count, 20, seed).map((ids) => Uint32Array.of(OPENING, ...ids));

/** A trial on a tiny model; `unrelated` gives the attacker another model of the same shape as the public one. */
async function tinyTrial(name: string, config: JsonObject, strength: Strength, unrelated = false): Promise<Trial> {
  const [plain, encrypted] = [join(directory, `${name}-plain`), join(directory, `${name}-encrypted`)];
  writeVariant(plain, { config });
  const secret = seededSecret(1, name);
  await encryptModel({ source: plain, output: encrypted, key: { secret, strength } });
  const other = join(directory, `${name}-other`);
  if (unrelated) {
    cpSync(plain, other, { recursive: true });
    await drawAnew(other, 2);
  }
  return makeTrial(
    {
      vocabulary: 64,
      special: new Set([OPENING]),
      texts: { recorded: texts(5, 1), heldOut: [], prior: texts(20, 2) },
      spelling: null,
      base: await openWeights(unrelated ? other : plain, 64),
      knownText: null,
    },
    { permutation: vocabularyPermutation(secret, 64), encrypted: await openWeights(encrypted, 64) },
    1,
  );
}

const llama: JsonObject = { model_type: "llama", ...SIZES };
const gpt2: JsonObject = { model_type: "gpt2", vocab_size: 64, n_embd: 32, n_layer: 2, n_head: 4, n_positions: 64 };

for (const [family, config] of Object.entries({ llama, gpt2 }))
  for (const strength of ["permute", "rotate"] as const)
    test(`${family}, ${strength}: every token of every text that was tried is read`, async () => {
      const trial = await tinyTrial(`${family}-${strength}`, config, strength);
      const result = await runAttack(hiddenStateSearch(EFFORT), [trial], RUN);
      assert.deepEqual([result.textTokens, result.control, result.figures["tokens"]], [1, 1, 36]);
      assert.ok(result.figures["misfit"]! < 1e-3);
    });

test("the nearest single token is the right one only where nothing else stands before it", async () => {
  const trial = await tinyTrial("neighbours", llama, "rotate");
  const result = await runAttack(hiddenStateNeighbours(EFFORT), [trial], RUN);
  assert.ok(result.control! > 0.9);
  assert.ok(result.textTokens! >= 1 / 11 && result.textTokens! < 0.6, `${result.textTokens}`);
});

test("states of a model that has nothing to do with the public one give nothing", async () => {
  const trial = await tinyTrial("unrelated", llama, "rotate", true);
  for (const attack of [hiddenStateSearch(EFFORT), hiddenStateNeighbours(EFFORT)]) {
    const result = await runAttack(attack, [trial], RUN);
    assert.ok(result.textTokens! < 0.15, `${attack.name}: ${result.textTokens}`);
  }
});

test("a trained Llama is read at any strength, by trying few of its tokens", async () => {
  const encrypted = join(directory, "story-llama");
  const secret = seededSecret(1, "story-llama");
  await encryptModel({ source: STORY_LLAMA, output: encrypted, key: { secret, strength: "rotate" } });
  const tokenizer = await TextTokenizer.load(STORY_LLAMA);
  const encode = (text: string): Uint32Array => Uint32Array.from(tokenizer.encode(text, { specialTokens: true }));
  const trial = makeTrial(
    {
      vocabulary: 4096,
      special: new Set([0]),
      texts: {
        recorded: [encode("The doctor said that my blood was fine.")],
        heldOut: [],
        prior: [encode("Once upon a time, there was a doctor. The doctor said that it was fine. My mom said that blood is red.")],
      },
      spelling: null,
      base: await openWeights(STORY_LLAMA, 4096),
      knownText: null,
    },
    { permutation: vocabularyPermutation(secret, 4096), encrypted: await openWeights(encrypted, 4096) },
    1,
  );
  const attack = { ...hiddenStateSearch({ texts: 1, tokens: 6, width: 1 }), control: null };
  const result = await runAttack(attack, [trial], RUN);
  assert.equal(result.textTokens, 1);
  assert.ok(result.figures["triedShare"]! < 1, `${result.figures["triedShare"]}`);
});

test("the same twice", async () => {
  const trial = await tinyTrial("twice", llama, "rotate");
  const run = async (): Promise<unknown> => ({ ...(await runAttack(hiddenStateSearch(EFFORT), [trial], RUN)), seconds: 0 });
  assert.deepEqual(await run(), await run());
});

test("when the time is up, what was read so far is returned and nothing else counted", async () => {
  const trial = await tinyTrial("late", llama, "rotate");
  const result = await runAttack(hiddenStateSearch(EFFORT), [trial], { ...RUN, budget: -1 });
  assert.deepEqual([result.complete, result.textTokens, result.figures["tokens"]], [false, null, 0]);
});

test("says what is missing", async () => {
  const { evidence } = await tinyTrial("missing", llama, "rotate");
  const missing = (changes: Partial<Evidence>): string | null => hiddenStateSearch().missing({ ...evidence, ...changes });
  assert.equal(missing({}), null);
  assert.match(missing({ base: null }) ?? "", /public one/);
  assert.match(missing({ encrypted: { ...evidence.encrypted!, kind: "encoder" } }) ?? "", /decoders/);
  assert.match(missing({ base: { ...evidence.base!, layers: 3 } }) ?? "", /numbers of layers/);
  assert.match(missing({ traffic: [] }) ?? "", /recorded/);
  assert.match(missing({ traffic: [Uint32Array.of()] }) ?? "", /empty/);
  const mixture = join(directory, "mixture");
  writeVariant(mixture, { config: { model_type: "mixtral", ...SIZES, num_local_experts: 2, num_experts_per_tok: 1 } });
  assert.match(missing({ base: await openWeights(mixture, 64) }) ?? "", /mixture of experts/);
});
