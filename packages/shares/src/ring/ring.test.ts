import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Layout } from "../layout.ts";
import { productsOf, readerOf, testLayout, testShares } from "../server/share-server.fixture.ts";
import { compileRing } from "./build.ts";
import { chooseKernel, fastest, measureKernels } from "./choose-kernel.ts";
import { ringBase64 } from "./kernels.wasm.ts";
import { LimbsRuntime, MAXIMUM_WIDTH, isExact } from "./limbs-runtime.ts";
import { WeightStore } from "./multiply.ts";
import { addSigned, maskRows, subtract } from "./shares.ts";
import type { ShareKernel } from "./weight-source.ts";

test("the embedded kernels are what their source compiles to", async () => {
  assert.equal(Buffer.from(await compileRing()).toString("base64"), ringBase64, "run npm run build:kernels");
});

async function assertProducts(kernel: ShareKernel, layout: Layout, count: number): Promise<void> {
  for (const [index, group] of layout.groups.entries()) {
    const rows = testShares(count * group.in);
    const expected = productsOf(layout, index, rows, count);
    assert.deepEqual([...(await kernel.exact(index, rows, count))], expected, `${kernel.name}, exact, ${count} rows of group ${index}`);
    const reduced = expected.map((product) => Number(BigInt.asUintN(32, product)));
    assert.deepEqual([...(await kernel.multiply(index, rows, count))], reduced, `${kernel.name}, ${count} rows of group ${index}`);
  }
}

test("products are those of the definition, in every path of the WebAssembly kernel", async () => {
  for (const limbs of [1, 2] as const) {
    const layout = testLayout(limbs);
    const kernel = WeightStore.load(layout, readerOf(layout));
    // Alone, in fours, both, and in more than one pass.
    for (const count of [1, 2, 4, 7, 67]) await assertProducts(kernel, layout, count);
  }
});

test("sums wrap and do not saturate: the largest numbers, more of them than 32 bits hold", async () => {
  const width = 2048;
  const layout: Layout = { ...testLayout(), groups: [{ name: "g", in: width, layers: [{ name: "x", out: 5 }] }] };
  const kernels: ShareKernel[] = [];
  for (const weight of [127, -128]) {
    kernels.push(WeightStore.load(layout, (_layer, _limb, _first, into) => into.fill(weight)));
    for (const share of [0xffffffff, 0x80000000, 0x7fff8000, 0x8000]) {
      const rows = new Uint32Array(5 * width).fill(share);
      const expected = BigInt(weight) * BigInt(share) * BigInt(width);
      const kernel = kernels.at(-1)!;
      assert.ok([...(await kernel.exact(0, rows, 5))].every((product) => product === expected));
      assert.ok([...(await kernel.multiply(0, rows, 5))].every((product) => product === Number(BigInt.asUintN(32, expected))));
    }
  }
});

test("ONNX Runtime's products are the same, where its own test says so", async () => {
  // On a machine where its kernel saturates, it is not used at all.
  if (!(await isExact())) return;
  for (const limbs of [1, 2] as const) {
    const layout = testLayout(limbs);
    const kernel = await LimbsRuntime.load(layout, readerOf(layout));
    for (const count of [1, 4, 67]) await assertProducts(kernel, layout, count);
  }
});

test("the kernel of this machine is one that is exact here, and the faster", async () => {
  const speeds = await measureKernels();
  assert.ok(speeds.some(({ name }) => name === "wasm") && speeds.every(({ single, prompt }) => single > 0 && prompt > 0));
  const layout = testLayout();
  await assertProducts(await chooseKernel(layout, readerOf(layout)), layout, 3);
  const slow = { name: "wasm", single: 10, prompt: 10 } as const;
  assert.equal(fastest([slow, { name: "onnxruntime", single: 9, prompt: 40 }]), "onnxruntime");
  assert.equal(fastest([slow, { name: "onnxruntime", single: 3, prompt: 40 }]), "wasm");
});

test("models that do not fit are refused before memory is taken", async () => {
  const never = (): never => assert.fail("nothing is read");
  const huge: Layout = { ...testLayout(), groups: [{ name: "g", in: 2 ** 16, layers: [{ name: "x", out: 2 ** 15 + 1 }] }] };
  assert.throws(() => WeightStore.load(huge, never), { code: "CHECKPOINT_TOO_LARGE" });
  await assert.rejects(LimbsRuntime.load(huge, never), { code: "CHECKPOINT_TOO_LARGE" });
  const wide: Layout = { ...testLayout(), groups: [{ name: "g", in: MAXIMUM_WIDTH + 1, layers: [{ name: "x", out: 1 }] }] };
  await assert.rejects(LimbsRuntime.load(wide, never), RangeError);
  assert.equal((await chooseKernel(wide, (_layer, _limb, _first, into) => into.fill(1))).name, "wasm");
});

test("wrong numbers of rows are an error of the caller", () => {
  const layout = testLayout();
  const kernel = WeightStore.load(layout, readerOf(layout));
  assert.throws(() => kernel.multiply(0, new Uint32Array(36), 1), RangeError);
  assert.throws(() => kernel.exact(2, new Uint32Array(37), 1), RangeError);
});

test("shares add up to what was shared, modulo 2^32, and products with them", () => {
  fc.assert(
    fc.property(
      fc.int32Array({ minLength: 1, maxLength: 50 }),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      fc.nat(300),
      (rows, counter, from) => {
        const seed = new Uint8Array(32).fill(1);
        const mask = maskRows(seed, counter, rows.length, from);
        assert.deepEqual(mask, maskRows(seed, counter, from + rows.length).subarray(from), "a part is a part of the whole");
        assert.deepEqual([...addSigned(subtract(Int32Array.from(rows), mask), mask)], [...rows]);
      },
    ),
  );
  assert.notDeepEqual(maskRows(new Uint8Array(32), 0n, 8), maskRows(new Uint8Array(32), 1n, 8));
  // Longer than the pieces in which the cipher is asked.
  const long = maskRows(new Uint8Array(32), 3n, 200_003);
  assert.deepEqual(long.subarray(199_990), maskRows(new Uint8Array(32), 3n, 13, 199_990));
  assert.throws(() => maskRows(new Uint8Array(32), 2n ** 64n, 1), RangeError);
  assert.throws(() => subtract(new Int32Array(2), new Uint32Array(1)), RangeError);
  assert.throws(() => addSigned(new Uint32Array(2), new Uint32Array(1)), RangeError);
});
