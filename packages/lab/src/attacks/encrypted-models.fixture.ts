/**
 * For tests of attacks with the public model: small random models under a key, and the questions that each attack is asked.
 * @module
 */
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { JsonObject } from "@unseen/core/blueprint/config.ts";
import { openModel } from "@unseen/core/blueprint/model.ts";
import { readTensor, weightsOf } from "@unseen/core/blueprint/read-tensor.ts";
import { vocabularyPermutation, type Strength } from "@unseen/core/blueprint/spaces.ts";
import { encryptModel } from "@unseen/core/blueprint/transform.ts";
import { writeVariant } from "@unseen/core/blueprint/variant.fixture.ts";
import type { TensorLocation } from "@unseen/core/checkpoint/tensor.ts";
import { writeAt } from "@unseen/core/checkpoint/writer.ts";
import { writeRandomLlama } from "../../../../tests/random-llama.ts";
import type { Attack } from "../attack.ts";
import type { AttackResult } from "../result.ts";
import { runAttack } from "../run-attack.ts";
import { seeded, seededSecret } from "../seed.ts";
import { makeTrial, type Trial } from "../trial.ts";
import { openWeights } from "../weights/open-weights.ts";
import type { Weights } from "../weights/weights.ts";

export const VOCABULARY = 240;
const SIZES = {
  vocab_size: VOCABULARY,
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  max_position_embeddings: 64,
};
/** A Llama. */
export const LLAMA: JsonObject = { model_type: "llama", ...SIZES, num_key_value_heads: 2, tie_word_embeddings: false };
/** What other families do otherwise: norms behind blocks, no gates, learned positions, experts. */
export const FAMILIES = {
  gpt2: { model_type: "gpt2", vocab_size: VOCABULARY, n_embd: 32, n_layer: 2, n_head: 4, n_positions: 64 },
  gemma2: {
    ...LLAMA,
    model_type: "gemma2",
    head_dim: 8,
    query_pre_attn_scalar: 8,
    sliding_window: 16,
    attn_logit_softcapping: 50,
    final_logit_softcapping: 30,
    tie_word_embeddings: true,
    hidden_activation: "gelu_pytorch_tanh",
  },
  mixtral: { ...LLAMA, model_type: "mixtral", num_local_experts: 4, num_experts_per_tok: 2 },
} as const satisfies Record<string, JsonObject>;
/** An encoder whose stream no key rotates. */
export const BERT: JsonObject = { model_type: "bert", architectures: ["BertModel"], ...SIZES };
/** An encoder whose stream is rotated. */
export const CLIP_TEXT: JsonObject = {
  model_type: "clip_text_model",
  architectures: ["CLIPTextModel"],
  ...SIZES,
  bos_token_id: 1,
  eos_token_id: 239,
};

const directory = mkdtempSync(join(tmpdir(), "unseen-attacks-"));
after(() => rmSync(directory, { recursive: true }));

/** A directory with a random model: one of the family that a configuration names, or an unrelated Llama of the same sizes. */
export function randomModel(of: JsonObject | "unrelated"): string {
  const path = mkdtempSync(join(directory, "model-"));
  if (of === "unrelated") writeRandomLlama(path, { vocabulary: VOCABULARY, hidden: 32, layers: 2, heads: 4, kvHeads: 2, neurons: 48 });
  else writeVariant(path, { config: of, biases: true });
  return path;
}

/** A copy of a model in which each matrix was changed in place. */
export async function changedCopy(plain: string, change: (values: Float32Array, tensor: TensorLocation) => void): Promise<string> {
  const path = mkdtempSync(join(directory, "changed-"));
  cpSync(plain, path, { recursive: true });
  for (const tensor of (await openModel(path)).tensors.values()) {
    if (tensor.shape.length < 2) continue;
    const values = readTensor(tensor, new Float32Array(weightsOf(tensor)));
    change(values, tensor);
    writeAt(tensor.file, tensor.offset, new Uint8Array(values.buffer));
  }
  return path;
}

/** What `plain` is under a key, attacked by someone who takes `base` for its original. */
export async function encryptedTrial(plain: string, strength: Strength, base = plain): Promise<Trial> {
  const secret = seededSecret(1, strength);
  return makeTrial(
    {
      vocabulary: VOCABULARY,
      special: new Set(),
      texts: { recorded: [], heldOut: [], prior: [] },
      spelling: null,
      base: await openWeights(base, VOCABULARY),
      knownText: null,
    },
    { permutation: vocabularyPermutation(secret, VOCABULARY), encrypted: await encrypted(plain, strength, secret) },
    1,
  );
}

/** As {@link encryptedTrial}, with Gaussian noise on all matrices before they are encrypted, in units of each one's root mean square. */
export async function noisyTrial(plain: string, strength: Strength, sigma: number): Promise<Trial> {
  const changed = await changedCopy(plain, (values, { name }) => {
    const size = Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0) / values.length);
    const random = seeded(1, name);
    for (let at = 0; at < values.length; at += 1) values[at]! += sigma * size * random.gaussian();
  });
  const trial = await encryptedTrial(changed, strength, plain);
  return { ...trial, owner: { ...trial.owner, exact: await encrypted(plain, strength, seededSecret(1, strength)) } };
}

async function encrypted(plain: string, strength: Strength, secret: Uint8Array): Promise<Weights> {
  const output = join(mkdtempSync(join(directory, "encrypted-")), "model");
  await encryptModel({ source: plain, output, key: { secret, strength }, threads: 1 });
  return openWeights(output, VOCABULARY);
}

/** Runs an attack on trials with all the time in the world. */
export function measured(attack: Attack, ...trials: readonly Trial[]): Promise<AttackResult> {
  return runAttack(attack, trials, { seed: 1, budget: Infinity });
}

/** What is asked of every attack: it breaks exact encryptions of both strengths (or of one), and nothing else. */
export function testAttack(attack: Attack, { strengths = ["permute", "rotate"] }: { readonly strengths?: readonly Strength[] } = {}): void {
  const plain = randomModel(LLAMA);
  for (const strength of strengths)
    test(`${attack.name} finds every token of an exact encryption: ${strength}`, async () => {
      const result = await measured(attack, await encryptedTrial(plain, strength));
      assert.deepEqual([result.vocabularyTop1, result.distinguishableTop1, result.distinguishable, result.control], [1, 1, 1, 1]);
    });

  test(`${attack.name} finds next to nothing with another public model, and the same twice`, async () => {
    const trial = await encryptedTrial(randomModel("unrelated"), strengths[0] as Strength, plain);
    const [first, again] = [await measured(attack, trial), await measured(attack, trial)];
    assert.ok((first.vocabularyTop1 as number) < 5 / VOCABULARY + guessedAway(attack, trial), `${first.vocabularyTop1}`);
    assert.deepEqual({ ...first, seconds: 0 }, { ...again, seconds: 0 });
  });

  test(`${attack.name} says what it lacks`, async () => {
    const { evidence } = await encryptedTrial(plain, "permute");
    assert.match(attack.missing({ ...evidence, encrypted: null }) as string, /encrypted model/);
    assert.match(attack.missing({ ...evidence, base: null }) as string, /public model/);
    const smaller = { ...(evidence.base as Weights), vocabulary: VOCABULARY - 1 };
    assert.match(attack.missing({ ...evidence, base: smaller }) as string, /token ids/);
  });
}

/** The share that an attack with known pairs is given. */
function guessedAway({ tier }: Attack, { evidence }: Trial): number {
  return tier === "T3" ? Math.min(200, evidence.known.length) / VOCABULARY : 0;
}
