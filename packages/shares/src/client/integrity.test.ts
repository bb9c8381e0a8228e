import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import type { Layout } from "../layout.ts";
import { compileField } from "./build.ts";
import { FIELD_PRIME, drawVector, firstWrongRow, kernelBytes } from "./field.ts";
import { fieldBase64 } from "./field.wasm.ts";
import { checkExactProducts, checkProducts, makeProjection } from "./integrity.ts";
import { ProjectionFile } from "./projection-file.ts";
import { exactProducts, seededFill } from "./share-model.fixture.ts";

const modulo = (value: bigint): bigint => ((value % FIELD_PRIME) + FIELD_PRIME) % FIELD_PRIME;
const dot = (a: Iterable<bigint>, b: ArrayLike<number | bigint>): bigint =>
  modulo([...a].reduce((sum, value, i) => sum + value * BigInt(b[i]!), 0n));

/** Numbers at the ends of their range, or anywhere in it. */
const within = (least: number, largest: number): fc.Arbitrary<number> =>
  fc.oneof(fc.constantFrom(least, largest, 0, 1), fc.integer({ min: least, max: largest }));
const element = fc.oneof(fc.constantFrom(0n, 1n, FIELD_PRIME - 1n, 2n ** 31n, 2n ** 60n), fc.bigInt({ min: 0n, max: FIELD_PRIME - 1n }));

test("the embedded kernel is what its source compiles to", async () => {
  const bytes = Buffer.from(await compileField());
  assert.equal(bytes.toString("base64"), fieldBase64, "run npm run build:kernels");
  assert.equal(kernelBytes, 33 * 2 ** 20);
});

test("the kernel computes modulo 2^61 - 1, whatever the numbers", () => {
  // u = (s) and x = (1) make the right side s itself: the check holds for the true sum and for no neighbour of it.
  fc.assert(
    fc.property(fc.array(fc.tuple(element, within(-(2 ** 31), 2 ** 31 - 1)), { minLength: 1, maxLength: 20 }), (pairs) => {
      const v = BigUint64Array.from(pairs, ([a]) => a);
      const y = Int32Array.from(pairs, ([, b]) => b);
      const sum = dot(v, y);
      const holds = (s: bigint): boolean => firstWrongRow(v, BigUint64Array.of(modulo(s)), Int32Array.of(1), y, 1) === -1;
      assert.ok(holds(sum));
      assert.ok(!holds(sum + 1n) && !holds(sum - 1n));
    }),
    { numRuns: 500 },
  );
  const i64 = fc.oneof(
    fc.constantFrom(-(2n ** 63n), 2n ** 63n - 1n, FIELD_PRIME, -FIELD_PRIME),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(element, i64, element, within(0, 2 ** 32 - 1)), { minLength: 1, maxLength: 20 }), (list) => {
      const [v, u] = [BigUint64Array.from(list, ([a]) => a), BigUint64Array.from(list, ([, , c]) => c)];
      const [y, x] = [BigInt64Array.from(list, ([, b]) => b), Uint32Array.from(list, ([, , , d]) => d)];
      assert.equal(firstWrongRow(v, u, x, y, 1) === -1, dot(v, y) === dot(u, x));
      // And made to hold: another coordinate takes the difference.
      const rest = modulo(dot(u, x) - dot(v, y));
      assert.equal(firstWrongRow(BigUint64Array.of(...v, rest), u, x, BigInt64Array.of(...y, 1n), 1), -1);
    }),
    { numRuns: 500 },
  );
});

test("sums stay exact at the largest width and the largest numbers", () => {
  const width = 2 ** 20;
  const v = new BigUint64Array(width).fill(FIELD_PRIME - 1n);
  const y = new Int32Array(width).fill(-(2 ** 31));
  const right = BigUint64Array.of(modulo(BigInt(width) * 2n ** 31n)); // (-1) · (-2^31), 2^20 times
  assert.equal(firstWrongRow(v, right, Int32Array.of(1), y, 1), -1);
  const shares = new Uint32Array(width).fill(2 ** 32 - 1);
  const weights = new Int8Array(width).fill(-128);
  const projection = makeProjection(weights, 1, width, seededFill("widest"));
  assert.ok(checkExactProducts(projection, shares, BigInt64Array.of(-128n * BigInt(width) * (2n ** 32n - 1n)), 1));
});

test("a projection is v W, for every rest of eight columns", () => {
  for (const inputs of [1, 7, 8, 9, 40, 333]) {
    const out = 13;
    const weights = new Int8Array(out * inputs);
    seededFill(`weights ${inputs}`)(new Uint8Array(weights.buffer));
    weights[0] = -128;
    const { v, u } = makeProjection(weights, out, inputs, seededFill("v"));
    for (let i = 0; i < inputs; i += 1)
      assert.equal(
        u[i],
        dot(
          v,
          Array.from(v, (_, o) => weights[o * inputs + i]!),
        ),
      );
  }
});

test("vectors are uniform below p: what is not is drawn again", () => {
  let calls = 0;
  const drawn = drawVector(2, (bytes) => {
    calls += 1;
    bytes.fill(calls < 3 ? 255 : 1);
  });
  assert.equal(calls, 4, "all at once, then 61 ones twice for the first and once for the second");
  assert.deepEqual([...drawn], [0x0101010101010101n & FIELD_PRIME, 0x0101010101010101n & FIELD_PRIME]);
  const many = drawVector(4000, seededFill("many"));
  for (let bit = 0n; bit < 61n; bit += 1n) {
    const ones = many.reduce((sum, number) => sum + Number((number >> bit) & 1n), 0);
    assert.ok(Math.abs(ones - 2000) < 200, `bit ${bit}: ${ones} of 4000`); // over six deviations
  }
});

test("right products pass, and every wrong bit of every number is found", () => {
  const [out, inputs, count] = [6, 11, 3];
  const weights = new Int8Array(out * inputs);
  const rows = new Int32Array(count * inputs);
  seededFill("w")(new Uint8Array(weights.buffer));
  seededFill("x")(new Uint8Array(rows.buffer));
  for (let i = 0; i < rows.length; i += 1) rows[i]! >>= 17;
  const projection = makeProjection(weights, out, inputs, seededFill("secret"));
  const products = Int32Array.from(exactProducts(weights, out, inputs, rows, count), Number);
  assert.ok(checkProducts(projection, rows, products, count));
  for (let at = 0; at < products.length; at += 1)
    for (let bit = 0; bit < 32; bit += 1) {
      const wrong = products.slice();
      wrong[at]! ^= 1 << bit;
      assert.ok(!checkProducts(projection, rows, wrong, count), `bit ${bit} of number ${at}`);
    }
  assert.throws(() => checkProducts(projection, rows, products, count + 1), { code: "INTERNAL" });

  const share = new Uint32Array(rows.buffer).map((value) => Math.imul(value, 2654435761));
  const exact = exactProducts(weights, out, inputs, share, count);
  assert.ok(checkExactProducts(projection, share, exact, count));
  exact[4]! += FIELD_PRIME; // the same residue, another number
  assert.ok(!checkExactProducts(projection, share, exact, count));
});

test("projections are written, read back, and refused where they are not what they should be", async () => {
  const directory = mkdtempSync(join(tmpdir(), "unseen-checks-"));
  try {
    const layer = (name: string, out: number): Layout["groups"][number]["layers"][number] => ({ name, out });
    const layout: Layout = {
      format: "unseen-shares/1",
      fingerprint: "f",
      limbs: 2,
      groups: [{ name: "g", in: 5, layers: [layer("a", 3), layer("b", 4)] }],
    };
    const projection = (name: string, out: number): ReturnType<typeof makeProjection> =>
      makeProjection(new Int8Array(out * 5).fill(3), out, 5, seededFill(name));
    const path = join(directory, "checks.safetensors");
    const file = ProjectionFile.create(path, layout);
    assert.throws(() => file.add("c", 0, projection("c", 3)), { code: "INTERNAL" });
    for (const limb of [0, 1]) {
      file.add("b", limb, projection(`b${limb}`, 4));
      file.add("a", limb, projection(`a${limb}`, 3));
    }
    file.close();
    if (process.platform !== "win32") assert.equal(statSync(path).mode & 0o777, 0o600);
    const read = await ProjectionFile.read(path, layout);
    assert.deepEqual([...read.keys()], ["a.0", "a.1", "b.0", "b.1"]);
    assert.deepEqual(read.get("a.1"), projection("a1", 3));
    assert.deepEqual(read.get("b.0"), projection("b0", 4));

    assert.throws(() => ProjectionFile.create(path, layout), { code: "OUTPUT_EXISTS" });
    await assert.rejects(ProjectionFile.read(path, { ...layout, fingerprint: "g" }), { code: "BUNDLE_MISMATCH" });
    const unfinished = ProjectionFile.create(join(directory, "unfinished.safetensors"), layout);
    assert.throws(() => unfinished.close(), { code: "INTERNAL", message: /4 projections/ });
    const twins = { ...layout, groups: [...layout.groups, ...layout.groups] };
    assert.throws(() => ProjectionFile.create(join(directory, "twins.safetensors"), twins), { code: "CHECKPOINT_DUPLICATE" });

    const { readFileSync } = await import("node:fs");
    const bytes = readFileSync(path);
    const tooLarge = join(directory, "too-large.safetensors");
    writeFileSync(tooLarge, bytes.fill(255, bytes.length - 8));
    await assert.rejects(ProjectionFile.read(tooLarge, layout), { code: "CHECKPOINT_MALFORMED", message: /below 2\^61 - 1/ });
    writeFileSync(tooLarge, bytes.subarray(0, bytes.length - 8));
    await assert.rejects(ProjectionFile.read(tooLarge, layout), { code: "CHECKPOINT_TRUNCATED" });
  } finally {
    rmSync(directory, { recursive: true });
  }
});
