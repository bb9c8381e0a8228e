import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { JsonObject } from "@unseen/core/blueprint/config.ts";
import { vocabularyPermutation, type Strength } from "@unseen/core/blueprint/spaces.ts";
import { encryptModel } from "@unseen/core/blueprint/transform.ts";
import { SIZES, writeVariant } from "@unseen/core/blueprint/variant.fixture.ts";
import { drawAnew } from "../activations/random-weights.fixture.ts";
import type { Attack, Evidence } from "../attack.ts";
import { ToyLanguage } from "../language.fixture.ts";
import type { AttackResult } from "../result.ts";
import { runAttack } from "../run-attack.ts";
import { seeded, seededSecret } from "../seed.ts";
import { makeTrial, type Trial } from "../trial.ts";
import { openWeights } from "../weights/open-weights.ts";
import { embeddingInversion, embeddingInversionWithPairs } from "./embedding-inversion.ts";

const VOCABULARY = 62;
const [OPENING, ENDING] = [62, 63];
const RUN = { seed: 1, budget: 600_000 };
const EFFORT = { vectors: 150, candidates: 300, tokens: 16 };
const directory = mkdtempSync(join(tmpdir(), "unseen-embeddings-"));
after(() => rmSync(directory, { recursive: true, force: true }));

const language = new ToyLanguage(VOCABULARY, 1);
/** Texts between special tokens. */
const texts = (count: number, seed: number): Uint32Array[] =>
  language.texts(count, 12, seed).map((ids) => Uint32Array.of(OPENING, ...ids, ENDING));

const { num_key_value_heads: _, bos_token_id: __, eos_token_id: ___, ...sizes } = SIZES;
const bert: JsonObject = { model_type: "bert", architectures: ["BertModel"], ...sizes };

async function trialOf(name: string, strength: Strength, unrelated = false): Promise<Trial> {
  const [plain, encrypted, other] = ["plain", "encrypted", "other"].map((part) => join(directory, `${name}-${part}`)) as [
    string,
    string,
    string,
  ];
  writeVariant(plain, { config: bert });
  const secret = seededSecret(1, name);
  await encryptModel({ source: plain, output: encrypted, key: { secret, strength } });
  cpSync(plain, other, { recursive: true });
  await drawAnew(other, 2);
  return makeTrial(
    {
      vocabulary: 64,
      special: new Set([OPENING, ENDING]),
      texts: { recorded: texts(200, 1), heldOut: [], prior: texts(400, 2) },
      spelling: null,
      base: await openWeights(unrelated ? other : plain, 64),
      knownText: null,
    },
    { permutation: vocabularyPermutation(secret, 64), encrypted: await openWeights(encrypted, 64) },
    1,
  );
}

const attacks: readonly Attack[] = [embeddingInversion(EFFORT), embeddingInversionWithPairs(EFFORT)];

/** Figures of one map: that found without pairs, or with so many. */
function figuresOf({ figures }: AttackResult, map = ""): { identified: number; tokens: number } {
  return { identified: figures[`textsIdentified${map}`]!, tokens: figures[`tokensRecovered${map}`]! };
}

for (const strength of ["permute", "rotate"] as const)
  test(`${strength}: the map is found without a pair, and with one`, async () => {
    const trial = await trialOf(strength, strength);
    const [without, pairs] = [await runAttack(attacks[0]!, [trial], RUN), await runAttack(attacks[1]!, [trial], RUN)];
    for (const found of [figuresOf(without), ...[1, 10, 100].map((count) => figuresOf(pairs, `With${count}Known`))]) {
      assert.equal(found.identified, 1);
      assert.equal(found.tokens, without.figures["tokensRecoveredWithTheMap"]);
    }
    // Little, but a random encoder's vectors are no sums of words.
    assert.ok(figuresOf(without).tokens > without.figures["tokensRecoveredByFrequency"]! + 0.03);
    assert.ok(without.control! > 0.99 && pairs.control! > 0.99);
    assert.ok(without.textTokens! < 0.5, "texts that are not public are not among the public ones");
  });

test("vectors of an encoder that has nothing to do with the public one give nothing", async () => {
  const trial = await trialOf("unrelated", "rotate", true);
  const [without, pairs] = [await runAttack(attacks[0]!, [trial], RUN), await runAttack(attacks[1]!, [trial], RUN)];
  assert.ok(figuresOf(without).tokens < without.figures["tokensRecoveredByFrequency"]!);
  assert.ok(figuresOf(without).identified < 0.05);
  assert.ok(figuresOf(pairs, "With1Known").identified < 0.05);
  assert.ok(figuresOf(pairs, "With10Known").identified < 0.05);
});

test("the same twice", async () => {
  const trial = await trialOf("twice", "rotate");
  for (const attack of attacks) {
    const run = async (): Promise<unknown> => ({ ...(await runAttack({ ...attack, control: null }, [trial], RUN)), seconds: 0 });
    assert.deepEqual(await run(), await run());
  }
});

test("when the time is up before there are vectors, it says so", async () => {
  const result = await runAttack(attacks[0]!, [await trialOf("late", "rotate")], { ...RUN, budget: -1 });
  assert.equal(result.complete, false);
  assert.match(result.remark ?? "", /time was up/);
});

test("cut short, it works on the vectors that there are", async () => {
  const { evidence, owner } = await trialOf("short", "rotate");
  const context = { random: seeded(1, "unused"), proceed: async (done: number) => done < 0.6 };
  const { texts, measure } = await attacks[0]!.run(evidence, context);
  assert.equal(texts?.length, 120);
  assert.equal((await measure!(owner))["textsIdentified"], 1);
});

test("says what is missing", async () => {
  const { evidence } = await trialOf("missing", "rotate");
  const missing = (changes: Partial<Evidence>, attack = attacks[1]!): string | null => attack.missing({ ...evidence, ...changes });
  assert.equal(missing({}), null);
  assert.match(missing({ base: null }) ?? "", /public one/);
  assert.match(missing({ encrypted: { ...evidence.encrypted!, kind: "onnx", model: null } }) ?? "", /encoders/);
  assert.match(missing({ base: { ...evidence.base!, hidden: 16 } }) ?? "", /widths/);
  assert.match(missing({ prior: [] }) ?? "", /public texts/);
  assert.match(missing({ traffic: [...evidence.traffic, Uint32Array.of()] }) ?? "", /empty/);
  assert.match(missing({ known: [] }) ?? "", /no text is known/);
  assert.equal(missing({ known: [] }, attacks[0]), null);
});
