import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ask, difference, outputs, tensor } from "../encoder-client.fixture.ts";
import { writeTinyVision } from "../tiny-onnx.fixture.ts";
import { withHost } from "./serve.fixture.ts";

describe("a host of a vision model", () => {
  const image = (seed: number): Float32Array => Float32Array.from({ length: 18 }, (_, index) => Math.sin(seed + index));
  const images = (...seeds: number[]): object => ({
    image: tensor("float32", [seeds.length, 2, 3, 3], Float32Array.from(seeds.flatMap((seed) => [...image(seed)]))),
  });

  test("a batch of tensors gives a row each, and the same as alone", async () => {
    await withHost(writeTinyVision, {}, async (host) => {
      assert.deepEqual([host.contextLength, host.vocabularySize], [null, 0]);
      const { data, usage } = await ask(host.url, "/classify", { tensors: images(1, 2, 3) });
      assert.deepEqual(usage, { prompt_tokens: 0, total_tokens: 0 });
      assert.deepEqual(data!.map(({ index, shape }) => [index, shape]), [[0, [4]], [1, [4]], [2, [4]]]); // prettier-ignore
      for (const [index, seed] of [1, 2, 3].entries())
        assert.ok(difference((await outputs(host.url, { tensors: images(seed) }))[0]!, data![index]!.outputs!) < 1e-6);
    });
  });

  test("also where a run takes one row, or any size of picture", async () => {
    let expected: number[][] = [];
    await withHost(writeTinyVision, {}, async ({ url }) => void (expected = await outputs(url, { tensors: images(1, 2) })));
    for (const options of [{ rows: 1 }, { side: "side" }]) {
      await withHost(
        (file) => writeTinyVision(file, options),
        {},
        async ({ url }) => {
          const got = await outputs(url, { tensors: images(1, 2) });
          expected.forEach((values, index) => assert.ok(difference(values, got[index]!) < 1e-6));
        },
      );
    }
  });

  test("refuses tensors that do not fit the interface", async () => {
    await withHost(writeTinyVision, {}, async ({ url }) => {
      const good = images(1) as { image: { type: string; shape: number[]; data: string } };
      const { data } = good.image;
      const withNaN = tensor("float32", [1, 2, 3, 3], image(1).fill(NaN, 4, 5));
      const cases: [string, unknown][] = [
        ["no object", 7],
        ["none", {}],
        ["another name", { picture: good.image }],
        ["one too many", { ...good, other: good.image }],
        ["no tensor", { image: [1, 2] }],
        ["another type", { image: { ...good.image, type: "float64" } }],
        ["another rank", { image: { ...good.image, shape: [1, 2, 9] } }],
        ["another size", { image: { ...good.image, shape: [1, 1, 3, 3] } }],
        ["no rows", { image: { ...good.image, shape: [0, 2, 3, 3], data: "" } }],
        ["negative sizes", { image: { ...good.image, shape: [-1, 2, 3, 3] } }],
        ["2^52 rows", { image: { ...good.image, shape: [2 ** 52, 2, 3, 3] } }],
        ["2^53 rows", { image: { ...good.image, shape: [2 ** 53, 2, 3, 3] } }],
        ["more rows than bytes", { image: { ...good.image, shape: [1000, 2, 3, 3] } }],
        ["fewer bytes", { image: { ...good.image, data: data.slice(4) } }],
        ["more bytes", { image: { ...good.image, data: `${data}AAAA` } }],
        ["spaces", { image: { ...good.image, data: ` ${data.slice(1)}` } }],
        ["the alphabet of URLs", { image: { ...good.image, data: `_${data.slice(1)}` } }],
        ["numbers that are none", { image: withNaN }],
        ["more fields", { image: { ...good.image, note: "hello" } }],
        ["__proto__", JSON.parse('{"__proto__": {"image": 1}}')],
      ];
      for (const [name, tensors] of cases) {
        const { error, status } = await ask(url, "/classify", { tensors });
        assert.deepEqual([status, error?.code], [400, name === "2^52 rows" ? "REQUEST_TOO_LARGE" : "REQUEST_INVALID"], name);
        assert.doesNotMatch(error!.message, /hello|picture|\n/);
      }
      const sequences = await ask(url, "/v1/embeddings", { input: [1, 2] });
      assert.equal(sequences.error!.code, "REQUEST_UNSUPPORTED");
      assert.equal((await outputs(url, { tensors: good })).length, 1);
    });
  });
});
