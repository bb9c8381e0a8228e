import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ask, difference, outputs, tensor } from "../encoder-client.fixture.ts";
import { startHost } from "../serve.ts";
import { writeTinyModel } from "../tiny-model.fixture.ts";
import { TINY_ONNX_CLASSES, TINY_ONNX_WIDTH, writeTinyEncoder } from "../tiny-onnx.fixture.ts";
import { ROWS, path, row, withHost } from "./serve.fixture.ts";

describe("tasks", () => {
  test("a classifier gives classes and scores of pairs, and no embeddings", async () => {
    await withHost(
      (file) => writeTinyEncoder(file, { encrypted: {}, hasSegments: true }),
      { plain: false },
      async ({ url }) => {
        const { data } = await ask(url, "/classify", { input: ROWS });
        assert.ok(data!.every(({ outputs: values, shape }) => values!.length === TINY_ONNX_CLASSES && shape!.length === 1));
        const segments = ROWS.map((ids) => ids.map((_, index) => Number(index > 1)));
        const [ids, mask] = [ROWS.map((own) => [...own.slice(0, 63), 9]), ROWS.map((own) => [...own.slice(0, 63).map(() => 1), 0])];
        const hidden = (await ask(url, "/v1/rerank", { pairs: ids, mask })).results!;
        const shown = await outputs(url, { input: ROWS.map((own) => own.slice(0, 63)) });
        hidden.forEach(({ outputs: values }, index) => assert.ok(difference(shown[index]!, values!) < 1e-5));
        const { results } = await ask(url, "/v1/rerank", { pairs: ROWS, segments });
        const same = await outputs(url, { input: ROWS, segments });
        assert.deepEqual(results!.map(({ index }) => index), ROWS.map((_, index) => index)); // prettier-ignore
        results!.forEach(({ outputs: values }, index) => assert.ok(difference(same[index]!, values!) < 1e-6));
        assert.equal((await ask(url, "/v1/embeddings", { input: ROWS })).error!.code, "REQUEST_UNSUPPORTED");
        assert.equal((await ask(url, "/v1/rerank", { query: [1], documents: [[2]] })).error!.code, "REQUEST_UNSUPPORTED");
      },
    );
  });

  test("vectors whose cosines mean nothing are not ranked, vectors without a pooling not pooled", async () => {
    const outputs_ = [{ name: "output", shape: ["batch", "sequence", TINY_ONNX_WIDTH], isometric: false }];
    await withHost(
      (file) => writeTinyEncoder(file, { output: "tokens", encrypted: { outputs: outputs_ } }),
      { plain: false },
      async ({ url }) => {
        assert.equal((await ask(url, "/v1/embeddings", { input: [1] })).status, 200);
        assert.equal((await ask(url, "/v1/rerank", { query: [1], documents: [[2]] })).error!.code, "REQUEST_UNSUPPORTED");
      },
    );
    await withHost(
      (file) => writeTinyEncoder(file, { output: "tokens", encrypted: { pooling: null } }),
      { plain: false },
      async ({ url }) => {
        assert.equal((await ask(url, "/v1/embeddings", { input: [1] })).error!.code, "REQUEST_UNSUPPORTED");
        assert.equal((await ask(url, "/classify", { input: [1] })).status, 200);
      },
    );
  });

  test("places that a model asks for must lie in their rows", async () => {
    await withHost(
      (file) => writeTinyEncoder(file, { hasPeaks: true, encrypted: {} }),
      { plain: false },
      async ({ url }, lines) => {
        assert.ok(lines.includes("engine batches any lengths"));
        const input = [row(6), row(4, 1), row(9, 2)];
        const peaks = [5, 0, 3];
        const together = await outputs(url, { input, peaks });
        for (const [index, ids] of input.entries()) {
          const [alone] = await outputs(url, { input: ids, peaks: [peaks[index]] });
          assert.ok(difference(alone!, together[index]!) < 1e-6);
          const [elsewhere] = await outputs(url, { input: ids, peaks: [peaks[index] === 0 ? 1 : 0] });
          assert.ok(difference(alone!, elsewhere!) > 1e-3);
        }
        for (const wrong of [undefined, [5, 0], [5, 4, 3], [-1, 0, 3], [0.5, 0, 0], "000", [[5], [0], [3]]]) {
          const { error } = await ask(url, "/classify", { input, peaks: wrong });
          assert.deepEqual([error?.code, error?.param], ["REQUEST_INVALID", "peaks"]);
        }
        const ids = (name: string, values: number[], shape: number[]): object => ({
          [name]: tensor("int64", shape, BigInt64Array.from(values, BigInt)),
        });
        const tensors = {
          ...ids("input_ids", row(4), [1, 4]),
          ...ids("attention_mask", [1, 1, 1, 1], [1, 4]),
          ...ids("input_ids_peak", [3], [1]),
        };
        assert.equal((await outputs(url, { tensors })).length, 1);
        for (const place of [4, -1])
        assert.equal((await ask(url, "/classify", { tensors: { ...tensors, ...ids("input_ids_peak", [place], [1]) } })).error!.code, "REQUEST_INVALID"); // prettier-ignore
      },
    );
  });

  test("a language model's host names what it does not do", async () => {
    writeTinyModel(path("tiny.gguf"));
    const host = await startHost({ model: path("tiny.gguf"), port: 0 });
    try {
      for (const where of ["/v1/embeddings", "/classify", "/v1/rerank"] as const) {
        const { status, error } = await ask(host.url, where, { input: [1] });
        assert.deepEqual([status, error!.code], [400, "REQUEST_UNSUPPORTED"]);
      }
    } finally {
      await host.close(0);
    }
  });
});
