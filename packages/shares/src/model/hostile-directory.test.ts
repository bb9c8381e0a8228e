/** Directories of servers and clients that are damaged or made to do harm: always an error that says so. */
import assert from "node:assert/strict";
import { cpSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { SIZES } from "@unseen/core/blueprint/variant.fixture.ts";
import { openSafetensors } from "@unseen/core/checkpoint/safetensors.ts";
import { writeAt } from "@unseen/core/checkpoint/writer.ts";
import { UnseenError, type ErrorCode } from "@unseen/core/errors.ts";
import fc from "fast-check";
import { PreparedModels } from "../prepare/prepared.fixture.ts";
import { ShareDecoder } from "./decoder.ts";
import { LocalMultiplier } from "./local-multiplier.ts";
import { openShareDirectory } from "./share-directory.ts";

const models = new PreparedModels();
after(() => models.remove());

const config = { model_type: "llama", ...SIZES, rms_norm_eps: 1e-5, rope_theta: 10000, tie_word_embeddings: true } as const;
const prepared = await models.prepareVariant({ config }, 16);

interface Description {
  format: string;
  layout: { fingerprint: string; limbs: number; groups: { name: string; in: number; layers: { name: string; out: number }[] }[] };
  limits: number[];
  config: Record<string, unknown>;
  rotaryLayout: string;
}

/** A copy of a directory, damaged. */
function damaged(directory: string, damage: (copy: string) => void): string {
  const copy = models.next();
  cpSync(directory, copy, { recursive: true });
  damage(copy);
  return copy;
}

function withJson(directory: string, name: string, change: (value: Description) => void): string {
  return damaged(directory, (copy) => {
    const value = JSON.parse(readFileSync(join(copy, name), "utf8")) as Description;
    change(value);
    writeFileSync(join(copy, name), JSON.stringify(value));
  });
}

describe("a client's directory", () => {
  const changes: Readonly<Record<string, [ErrorCode, (value: Description) => void]>> = {
    "another format": ["BUNDLE_INVALID", (value) => void (value.format = "unseen-shares-client/2")],
    "an unknown field": ["BUNDLE_INVALID", (value) => void Object.assign(value, { more: 1 })],
    "too few limits": ["BUNDLE_INVALID", (value) => void value.limits.pop()],
    "a limit of 0": ["BUNDLE_INVALID", (value) => void (value.limits[0] = 0)],
    "a limit beyond 15 bits": ["BUNDLE_INVALID", (value) => void (value.limits[0] = 2 ** 15)],
    "three limbs": ["BUNDLE_INVALID", (value) => void (value.layout.limbs = 3)],
    "no groups": ["BUNDLE_INVALID", (value) => void (value.layout.groups = [])],
    "a group less": [
      "BUNDLE_INVALID",
      (value) => {
        value.layout.groups.pop();
        value.limits.pop();
      },
    ],
    "a width that the configuration does not say": ["BUNDLE_INVALID", (value) => void (value.layout.groups[0]!.in += 1)],
    "two layers of one name": ["BUNDLE_INVALID", (value) => void (value.layout.groups[0]!.layers[1]!.name = "layers.0.queries")],
    "a list for a configuration": ["BUNDLE_INVALID", (value) => void (value.config = [] as never)],
    "another family": ["FAMILY_UNKNOWN", (value) => void (value.config["model_type"] = "unheard-of")],
    "more layers than the layout": ["BUNDLE_INVALID", (value) => void (value.config["num_hidden_layers"] = 3)],
    "another vocabulary everywhere": [
      "CHECKPOINT_WRONG_SHAPE",
      (value) => {
        value.config["vocab_size"] = 1 << 20;
        value.layout.groups.at(-1)!.layers[0]!.out = 1 << 20;
      },
    ],
    "a head norm that is not there": [
      "CHECKPOINT_MISSING_TENSOR",
      (value) => void Object.assign(value.config, { model_type: "qwen3", head_dim: 8 }),
    ],
  };
  for (const [name, [code, change]] of Object.entries(changes))
    test(name, async () => {
      await assert.rejects(ShareDecoder.open(withJson(prepared.client, "client.json", change)), { code });
    });

  test("files that are missing, cut or no JSON", async () => {
    for (const name of ["client.json", "client.safetensors"]) {
      const without = damaged(prepared.client, (copy) => rmSync(join(copy, name)));
      await assert.rejects(ShareDecoder.open(without), { code: "CHECKPOINT_NOT_FOUND" });
    }
    const cut = damaged(prepared.client, (copy) => truncateSync(join(copy, "client.safetensors"), 5000));
    await assert.rejects(ShareDecoder.open(cut), { code: "CHECKPOINT_TRUNCATED" });
    for (const text of [
      "",
      "{",
      "[]",
      `{"a":${"[".repeat(100_000)}`,
      '{"format":1,"format":2}',
      `{"config":${'{"a":'.repeat(100)}1${"}".repeat(101)}`,
    ]) {
      const broken = damaged(prepared.client, (copy) => writeFileSync(join(copy, "client.json"), text));
      await assert.rejects(ShareDecoder.open(broken), isTyped, text.slice(0, 30));
    }
    const huge = damaged(prepared.client, (copy) => truncateSync(join(copy, "client.json"), 2 ** 30));
    await assert.rejects(ShareDecoder.open(huge), { code: "CHECKPOINT_TOO_LARGE" });
  });

  test("a scale that is not a number", async () => {
    const { tensors } = await openSafetensors(join(prepared.client, "client.safetensors"));
    const { offset } = tensors.get("layers.1.down.scale")!;
    const copy = damaged(prepared.client, (directory) =>
      writeAt(join(directory, "client.safetensors"), offset, new Uint8Array(Float32Array.of(Number.NaN).buffer)),
    );
    await assert.rejects(ShareDecoder.open(copy), { code: "CHECKPOINT_NON_FINITE" });
  });

  test("numbers that overflow end in an error, not in an answer", async () => {
    const { tensors } = await openSafetensors(join(prepared.client, "client.safetensors"));
    const { offset, bytes } = tensors.get("layers.0.attention-norm.gain")!;
    const copy = damaged(prepared.client, (directory) =>
      writeAt(join(directory, "client.safetensors"), offset, new Uint8Array(new Float32Array(bytes / 4).fill(3e38).buffer)),
    );
    const decoder = await ShareDecoder.open(copy);
    const local = await LocalMultiplier.open(prepared.serverA);
    const overflows = {
      multiply: async (...request: Parameters<typeof local.multiply>) =>
        (await local.multiply(...request)).map((y) => y.map((n) => n * 1e300)),
    };
    const state = decoder.start();
    await assert.rejects(decoder.step(state, [1, 2], overflows), { code: "CHECKPOINT_NON_FINITE" });
    assert.equal(state.length, 0);
  });
});

describe("a server's directory", () => {
  test("sizes that the weights do not have", async () => {
    const changes: [ErrorCode, (value: Description["layout"]) => void][] = [
      ["CHECKPOINT_WRONG_SHAPE", ({ groups }) => void (groups[0]!.in += 1)],
      ["CHECKPOINT_WRONG_SHAPE", ({ groups }) => void (groups[0]!.layers[0]!.out -= 1)],
      ["CHECKPOINT_MISSING_TENSOR", ({ groups }) => void (groups[0]!.layers[0]!.name = "other")],
      ["BUNDLE_INVALID", ({ groups }) => void (groups[0]!.layers[0]!.out = 2 ** 21)],
      ["BUNDLE_INVALID", (layout) => void (layout.limbs = 0)],
    ];
    for (const [code, change] of changes) {
      const copy = withJson(prepared.serverA, "shares.json", (value) => change(value as unknown as Description["layout"]));
      await assert.rejects(LocalMultiplier.open(copy), { code });
    }
  });

  test("weights of a client", async () => {
    const copy = damaged(prepared.serverA, (directory) =>
      cpSync(join(prepared.client, "client.safetensors"), join(directory, "weights.safetensors")),
    );
    await assert.rejects(openShareDirectory(copy), { code: "CHECKPOINT_MISSING_TENSOR" });
  });

  test("weights cut while they are read", async () => {
    const copy = damaged(prepared.serverA, () => {});
    const shares = await openShareDirectory(copy);
    truncateSync(join(copy, "weights.safetensors"), 20_000);
    assert.throws(() => shares.read("head", 1), { code: "CHECKPOINT_TRUNCATED" });
  });
});

test("changed bytes end in a typed error or in a model that runs", async () => {
  const places = [
    [prepared.client, "client.json"],
    [prepared.client, "client.safetensors"],
    [prepared.serverA, "shares.json"],
    [prepared.serverA, "weights.safetensors"],
  ] as const;
  const local = await LocalMultiplier.open(prepared.serverA);
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...places),
      fc.nat({ max: 3000 }),
      fc.uint8Array({ minLength: 1, maxLength: 6 }),
      async ([directory, name], at, bytes) => {
        const copy = damaged(directory, (path) => {
          const content = readFileSync(join(path, name));
          content.set(bytes, at % (content.length - bytes.length));
          writeFileSync(join(path, name), content);
        });
        try {
          if (directory === prepared.serverA) await LocalMultiplier.open(copy);
          else {
            const decoder = await ShareDecoder.open(copy);
            await decoder.step(decoder.start(), [1], local);
          }
        } catch (error) {
          assert.ok(isTyped(error), String(error));
        } finally {
          rmSync(copy, { recursive: true });
        }
      },
    ),
    { seed: 4, numRuns: 150 },
  );
});

function isTyped(error: unknown): boolean {
  return UnseenError.isInstance(error) && error.code !== "INTERNAL";
}
