import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ask, difference, metric, outputs, whileStopped } from "../encoder-client.fixture.ts";
import { until } from "../host-client.fixture.ts";
import { writeTinyEncoder, type TinyEncoderOptions } from "../tiny-onnx.fixture.ts";
import { LENGTHS, ROWS, row, singly, withHost } from "./serve.fixture.ts";

describe("batched rows give what each gives alone", () => {
  const models: [string, TinyEncoderOptions, batches: string][] = [
    ["with a mask", {}, "any lengths"],
    ["one vector per token", { output: "tokens" }, "any lengths"],
    ["without a mask", { hasMask: false }, "equal shapes"],
    ["with a mask that does nothing", { ignoresMask: true }, "equal shapes"],
    ["that searches its ids", { searchesIds: true }, "equal shapes"],
    ["whose rows depend on each other", { mixesRows: true }, "single rows"],
    ["with four rows to a run", { rows: 4 }, "any lengths, 4 rows fixed"],
    ["of 64 tokens to a row", { length: 64 }, "any lengths, 64 tokens fixed"],
  ];
  for (const [name, options, batches] of models) {
    test(`a model ${name}`, async () => {
      await withHost(
        (file) => writeTinyEncoder(file, options),
        {},
        async ({ url }, lines) => {
          assert.ok(lines.some((line) => line === `engine batches ${batches}`), lines.join("\n")); // prettier-ignore
          const rows = [...ROWS, ...LENGTHS.map((length) => row(length, 3))];
          const alone = await singly(url, rows);
          const together = await outputs(url, { input: rows });
          const concurrent = await Promise.all(rows.map(async (input) => (await outputs(url, { input }))[0]!));
          // A mean subtracted from itself is zero, and compares exactly.
          const distance = (expected: number[], got: number[]): number => (expected.every((value) => value === 0) ? Math.max(...got.map(Math.abs)) : difference(expected, got)); // prettier-ignore
          alone.forEach((expected, index) => {
            assert.ok(distance(expected, together[index]!) < 1e-6, `row ${index}`);
            assert.ok(distance(expected, concurrent[index]!) < 1e-6, `row ${index}, concurrent`);
          });
        },
      );
    });
  }

  test("32 concurrent requests share runs", async () => {
    await withHost(
      (file) => writeTinyEncoder(file, {}),
      {},
      async (host) => {
        const { url } = host;
        const rows = Array.from({ length: 32 }, (_, index) => row(10 + (index % 5), index));
        const alone = await singly(url, rows);
        const runs = await metric(url, "batch_rows_count");
        let answers: Promise<Awaited<ReturnType<typeof outputs>>[number]>[] = [];
        await whileStopped(host, async () => {
          answers = rows.map(async (input) => (await outputs(url, { input }))[0]!);
          await until(
            async () => (await metric(url, "num_requests_running")) + (await metric(url, "num_requests_waiting")) === rows.length,
          );
        });
        const together = await Promise.all(answers);
        alone.forEach((expected, index) => assert.ok(difference(expected, together[index]!) < 1e-6));
        assert.ok((await metric(url, "batch_rows_count")) - runs < rows.length, "fewer runs than requests");
      },
    );
  });

  test("a fixed length without a mask is refused clearly where it does not fit", async () => {
    await withHost(
      (file) => writeTinyEncoder(file, { hasMask: false, length: 12 }),
      {},
      async ({ url }) => {
        assert.equal((await outputs(url, { input: row(12) })).length, 1);
        const masked = await ask(url, "/classify", { input: row(12), mask: Array(12).fill(1) });
        assert.deepEqual([masked.error!.code, masked.error!.param], ["REQUEST_UNSUPPORTED", "mask"]);
        const { error } = await ask(url, "/classify", { input: row(11) });
        assert.deepEqual([error!.code, error!.param], ["REQUEST_INVALID", "input"]);
        assert.match(error!.message, /exactly 12 tokens, got 11/);
      },
    );
  });
});
