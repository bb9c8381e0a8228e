/**
 * Real exports of public architectures, and trained models: what the host answers is what their makers computed.
 * @module
 */
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { needs, sharedPath } from "../../../../tests/shared.ts";
import { ask, difference, metric, outputs, whileStopped } from "../encoder-client.fixture.ts";
import { until } from "../host-client.fixture.ts";
import { startHost, type Host } from "../serve.ts";

interface Stored {
  readonly type: string;
  readonly shape: readonly number[];
  readonly bytes: Buffer<ArrayBuffer>;
}

const TYPES: Readonly<Record<string, string>> = { I64: "int64", F32: "float32" };

/** The tensors of a small safetensors file. */
function readTensors(file: string): Map<string, Stored> {
  const bytes = readFileSync(file);
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString("utf8", 8, start)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  delete header["__metadata__"];
  return new Map(
    Object.entries(header).map(
      ([
        name,
        {
          dtype,
          shape,
          data_offsets: [from, to],
        },
      ]) => [name, { type: TYPES[dtype]!, shape, bytes: Buffer.from(bytes.subarray(start + from, start + to)) }],
    ),
  );
}

const floats = ({ bytes }: Stored): Float32Array => new Float32Array(Uint8Array.from(bytes).buffer);
const integers = ({ bytes }: Stored): number[] => Array.from(new BigInt64Array(Uint8Array.from(bytes).buffer), Number);

async function withPlain(model: string, use: (host: Host) => Promise<void>): Promise<void> {
  const host = await startHost({ model, port: 0, plain: true });
  try {
    await use(host);
  } finally {
    await host.close(0);
  }
}

const zoo = sharedPath("data/models/onnx-zoo");
describe("the zoo", { skip: zoo === null && "test data data/models/onnx-zoo is not here" }, () => {
  for (const name of zoo === null ? [] : readdirSync(zoo).filter((entry) => !entry.includes("."))) {
    test(name, async () => {
      const stored = readTensors(join(zoo!, name, "case.safetensors"));
      const expected = floats(stored.get("out.output")!);
      await withPlain(join(zoo!, name, "model.onnx"), async ({ url }) => {
        const inputs = [...stored].filter(([key]) => key.startsWith("in."));
        const tensors = Object.fromEntries(
          inputs.map(([key, { type, shape, bytes }]) => [key.slice(3), { type, shape, data: bytes.toString("base64") }]),
        );
        const whole = (await outputs(url, { tensors })).flat();
        assert.ok(difference(expected, whole) < 1e-5, `${difference(expected, whole)}`);
        const ids = stored.get("in.input_ids");
        if (!ids) return;
        // The same as rows of ids, without their padding: the host makes it.
        const [count, length] = ids.shape as [number, number];
        const mask = stored.has("in.attention_mask") ? integers(stored.get("in.attention_mask")!) : Array<number>(count * length).fill(1);
        const rowsOf = (values: number[]): number[][] =>
          Array.from({ length: count }, (_, row) =>
            values.slice(row * length, (row + 1) * length).filter((_value, token) => mask[row * length + token] === 1),
          );
        const segments = stored.has("in.token_type_ids") ? { segments: rowsOf(integers(stored.get("in.token_type_ids")!)) } : {};
        const { data } = await ask(url, "/classify", { input: rowsOf(integers(ids)), ...segments });
        const size = expected.length / count;
        data!.forEach(({ outputs: values }, row) => {
          const own = expected.slice(row * size, row * size + values!.length);
          assert.ok(values!.length > 0 && difference(own, values!) < 1e-5, `row ${row}`);
        });
      });
    });
  }
});

test("old files of operator set 8 with a fixed row are served", needs("data/vision/mnist-cnn.onnx"), async () => {
  await withPlain(sharedPath("data/vision/mnist-cnn.onnx")!, async ({ url }) => {
    const data = Buffer.from(Float32Array.from({ length: 2 * 784 }, (_, index) => index % 255).buffer).toString("base64");
    const [first, second] = await outputs(url, { tensors: { Input3: { type: "float32", shape: [2, 1, 28, 28], data } } });
    assert.deepEqual([first!.length, second!.length], [10, 10]);
    assert.ok(difference(first!, second!) > 0);
  });
});

test("a chest X-ray classifier tells its samples apart", needs("assets/xray-cnn/model.onnx"), async () => {
  await withPlain(sharedPath("assets/xray-cnn/model.onnx")!, async ({ url, contextLength }) => {
    assert.equal(contextLength, null);
    const dark = Buffer.from(new Float32Array(784).buffer).toString("base64");
    const [logits] = await outputs(url, { tensors: { image: { type: "float32", shape: [1, 1, 28, 28], data: dark } } });
    assert.equal(logits!.length, 2);
  });
});

for (const [name, path] of [
  ["a sentiment classifier", "assets/sst2-distilbert/onnx/model.onnx"],
  ["a sentence encoder", "assets/sentence-encoder/onnx/model.onnx"],
] as const) {
  test(`${name}: 32 concurrent requests of all lengths give what each gives alone`, needs(path), async () => {
    await withPlain(sharedPath(path)!, async (host) => {
      const { url, vocabularySize } = host;
      assert.equal(vocabularySize, 30522);
      const rows = Array.from({ length: 32 }, (_, index) =>
        Array.from({ length: 4 + ((index * 5) % 41) }, (_, token) => 1000 + ((index * 977 + token * 131) % 20_000)),
      );
      const vectors = path.includes("sentence");
      const one = async (input: number[]): Promise<number[]> =>
        vectors ? ((await ask(url, "/v1/embeddings", { input })).data![0]!.embedding as number[]) : (await outputs(url, { input }))[0]!;
      const alone = [];
      for (const input of rows) alone.push(await one(input));
      let answers: Promise<number[]>[] = [];
      await whileStopped(host, async () => {
        answers = rows.map(one);
        await until(async () => (await metric(url, "num_requests_running")) + (await metric(url, "num_requests_waiting")) === rows.length);
      });
      const together = await Promise.all(answers);
      // Padding and batching change the order of additions: what is left is what single precision cannot tell apart.
      alone.forEach((expected, index) =>
        assert.ok(difference(expected, together[index]!) < 2e-6, `row ${index}: ${difference(expected, together[index]!)}`),
      );
      assert.ok((await metric(url, "batch_rows_count")) < 2 * rows.length);
      const { error } = await ask(url, "/classify", { input: [30522] });
      assert.equal(error!.code, "TOKEN_OUT_OF_RANGE");
    });
  });
}
