/** The whole-number decoder: near the float one, the same bits however its text is cut into steps, and unharmed by a step that fails. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import type { JsonObject } from "@unseen/core/blueprint/config.ts";
import { SIZES, type Variant } from "@unseen/core/blueprint/variant.fixture.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { argmax } from "@unseen/core/reference/verify.ts";
import type { Multiplier } from "../multiplier.ts";
import { PreparedModels, STORY_MODEL } from "../prepare/prepared.fixture.ts";
import { ShareDecoder } from "./decoder.ts";
import { measureDecoder } from "./fidelity.ts";
import { LocalMultiplier } from "./local-multiplier.ts";

const models = new PreparedModels();
after(() => models.remove());

const llama = (changes: JsonObject = {}): JsonObject => ({
  model_type: "llama",
  ...SIZES,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  ...changes,
});
const longrope = { type: "longrope", short_factor: [1, 1.1, 1.3, 2], long_factor: [1.5, 2, 3, 5] };
/** With a length of 12 in the tests, the long factors begin in the middle. */
const phi3 = llama({ model_type: "phi3", rope_scaling: longrope, original_max_position_embeddings: 8, tie_word_embeddings: false });

const variants: Readonly<Record<string, Variant>> = {
  "llama, tied, with every bias": { config: llama({ tie_word_embeddings: true }), biases: true },
  "llama, heads wider than their share": { config: llama({ head_dim: 12, tie_word_embeddings: false }), format: "F16" },
  "mistral, a window": { config: llama({ model_type: "mistral", sliding_window: 5, tie_word_embeddings: false }) },
  "qwen3, norms on heads": { config: llama({ model_type: "qwen3", head_dim: 16, tie_word_embeddings: false }) },
  "smollm3, a layer without rotary": { config: llama({ model_type: "smollm3", no_rope_layers: [0, 1], tie_word_embeddings: true }) },
  "phi3, fused, longrope": { config: phi3 },
  "gemma2, windows and caps, norms on both sides": {
    config: {
      model_type: "gemma2",
      ...SIZES,
      head_dim: 8,
      query_pre_attn_scalar: 8,
      sliding_window: 5,
      rms_norm_eps: 1e-6,
      attn_logit_softcapping: 20,
      final_logit_softcapping: 10,
    },
  },
  "gpt2, learned positions, no gate": {
    config: { model_type: "gpt2", vocab_size: 64, n_embd: 32, n_head: 4, n_layer: 2, n_positions: 64, bos_token_id: 1, eos_token_id: 63 },
    biases: true,
  },
};
const IDS = [5, 60, 11, 2, 33, 33, 7, 48, 21, 9, 1, 40];

describe("random weights at 16 bits, with keys and values remembered", () => {
  for (const [name, variant] of Object.entries(variants))
    test(name, async () => {
      const { model, client, serverA } = await models.prepareVariant(variant, 16);
      const decoder = await ShareDecoder.open(client);
      const multiplier = await LocalMultiplier.open(serverA);
      const { maxLogitDifference, greedyAgreement } = await measureDecoder(model, decoder, multiplier, [IDS, IDS.slice(3, 9)]);
      assert.ok(maxLogitDifference < 0.05 && greedyAgreement === 1, `${maxLogitDifference}, ${greedyAgreement}`);

      // Cut into steps the text comes out the same, to the bit.
      const whole = await decoder.step(decoder.start(), IDS, multiplier);
      for (const cuts of [[1, 12], [4, 5, 12], IDS.map((_, index) => index + 1)]) {
        const state = decoder.start();
        let logits = new Float64Array();
        for (const end of cuts) logits = Float64Array.from(await decoder.step(state, IDS.slice(state.length, end), multiplier));
        assert.deepEqual(logits, whole, cuts.join());
      }
      const state = decoder.start();
      await decoder.step(state, [...IDS.slice(0, 7), 50, 51, 52, 53], multiplier);
      state.rewind(7);
      assert.deepEqual(await decoder.step(state, IDS.slice(7), multiplier), whole, "rewound");
      assert.deepEqual(state.ids, IDS);
    });
});

describe("story-llama", async () => {
  const eight = await models.prepare(STORY_MODEL, 8);
  const decoder = await ShareDecoder.open(eight.client);
  const multiplier = await LocalMultiplier.open(eight.serverA);
  const { vocabulary } = decoder.architecture;
  /** What the model itself tells after each of some first tokens. */
  const stories: number[][] = [];
  for (const first of [300, 400, 500]) {
    const state = decoder.start();
    let next = [0, first];
    while (state.length < 30) next = [argmax(await decoder.step(state, next, multiplier))];
    stories.push([...state.ids]);
  }

  test("8 bits: nearly always the same next token", async () => {
    const { greedyAgreement, meanKl } = await measureDecoder(eight.model, decoder, multiplier, stories);
    assert.ok(greedyAgreement > 0.97 && meanKl < 1e-3, `${greedyAgreement}, ${meanKl}`);
  });

  test("16 bits: nearly the same numbers", async () => {
    const sixteen = await models.prepare(STORY_MODEL, 16);
    const [fine, multiplies] = [await ShareDecoder.open(sixteen.client), await LocalMultiplier.open(sixteen.serverB)];
    const { greedyAgreement, meanKl, maxLogitDifference } = await measureDecoder(sixteen.model, fine, multiplies, stories.slice(0, 1));
    assert.ok(greedyAgreement === 1 && meanKl < 1e-6 && maxLogitDifference < 0.02, `${greedyAgreement}, ${meanKl}, ${maxLogitDifference}`);
  });

  test("all logits at once are those of one token after the other", async () => {
    const [ids] = stories as [number[]];
    const all = await decoder.step(decoder.start(), ids, multiplier, { logits: "all" });
    const state = decoder.start();
    for (const [position, id] of ids.slice(0, 12).entries())
      assert.deepEqual(
        await decoder.step(state, [id], multiplier),
        all.slice(position * vocabulary, (position + 1) * vocabulary),
        String(position),
      );
  });
});

describe("a step", async () => {
  const { client, serverA, layout } = await models.prepareVariant({ config: phi3 }, 8);
  const decoder = await ShareDecoder.open(client);
  const local = await LocalMultiplier.open(serverA);

  /** Does not answer the call of that number. */
  function failing(call: number, fail: () => never): Multiplier {
    let calls = 0;
    return {
      multiply(...request) {
        calls += 1;
        return calls === call ? Promise.resolve().then(fail) : local.multiply(...request);
      },
    };
  }

  test("that fails at any call leaves the text as it was", async () => {
    const whole = await decoder.step(decoder.start(), IDS, local);
    // From 7 to 9 positions the rotary factors change, so that all is computed anew.
    for (const start of [5, 7, 10]) {
      const state = decoder.start();
      await decoder.step(state, IDS.slice(0, start), local);
      for (let call = 1; call <= layout.groups.length; call += 1) {
        const fail = (): never => {
          throw new UnseenError("HOST_UNREACHABLE", "gone.");
        };
        await assert.rejects(decoder.step(state, [1, 2], failing(call, fail)), { code: "HOST_UNREACHABLE" });
        assert.deepEqual(state.ids, IDS.slice(0, start));
      }
      assert.deepEqual(await decoder.step(state, IDS.slice(start), local), whole);
    }
  });

  test("ends when it is aborted, and goes on afterwards", async () => {
    const state = decoder.start();
    await decoder.step(state, [1, 2, 3], local);
    const controller = new AbortController();
    const aborts: Multiplier = {
      multiply(...request) {
        controller.abort(new Error("enough"));
        return local.multiply(request[0], request[1], request[2]);
      },
    };
    await assert.rejects(decoder.step(state, [4], aborts, { signal: controller.signal }), /enough/);
    assert.equal(state.length, 3);
    const expected = await decoder.step(decoder.start(), [1, 2, 3, 4], local);
    assert.deepEqual(await decoder.step(state, [4], local), expected);
  });

  test("longer than one call may be is the same", async () => {
    const wide = await models.prepareVariant(
      { config: llama({ max_position_embeddings: 1200, tie_word_embeddings: true, num_hidden_layers: 1 }) },
      8,
    );
    const long = await ShareDecoder.open(wide.client);
    const multiplier = await LocalMultiplier.open(wide.serverA);
    const ids = Array.from({ length: 600 }, (_, index) => (index * 7 + 3) % 64);
    const state = long.start();
    const rows: number[] = [];
    const counts: Multiplier = {
      multiply(group, x, count, signal) {
        rows.push(count);
        return multiplier.multiply(group, x, count, signal);
      },
    };
    const all = await long.step(state, ids, counts, { logits: "all" });
    assert.deepEqual([Math.max(...rows), state.length, all.length], [512, 600, 600 * 64]);
    assert.deepEqual(await long.step(long.start(), ids, multiplier), all.slice(-64));
  });

  test("refuses what the model does not take", async () => {
    const state = decoder.start();
    await assert.rejects(decoder.step(state, [], local), { code: "REQUEST_INVALID" });
    for (const id of [-1, 64, 1.5, Number.NaN]) await assert.rejects(decoder.step(state, [id], local), { code: "TOKEN_OUT_OF_RANGE" });
    await assert.rejects(
      decoder.step(
        state,
        Array.from({ length: 65 }, () => 1),
        local,
      ),
      { code: "REQUEST_TOO_LARGE" },
    );
    assert.throws(() => state.rewind(1), { code: "INTERNAL" });
    const [first, second] = [decoder.step(state, [1], local), decoder.step(state, [2], local)];
    await assert.rejects(second, { code: "INTERNAL" });
    await first;
    assert.deepEqual(state.ids, [1]);
  });
});
