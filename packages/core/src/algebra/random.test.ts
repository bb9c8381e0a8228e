import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { headOrders } from "./blocks.ts";
import { haarOrthogonal, wellConditioned } from "./dense.ts";
import type { Element } from "./element.ts";
import { Monomial } from "./monomial.ts";
import { fixingOnes, structuredOrthogonal } from "./orthogonal.ts";
import { deriveBytes, deriveRandom, permutation, RandomStream } from "./random.ts";
import { Rotary } from "./rotary.ts";

// Frozen: a model encrypted today must open with the same key for ever. The first two values also come out of
// `openssl enc -chacha20` over an RFC 5869 HKDF written with Python's hmac.
const master = Uint8Array.from({ length: 32 }, (_, i) => i);

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** The image of (1, 2, ..., n). */
function image(element: Element): number[] {
  const vector = Float64Array.from({ length: element.size }, (_, i) => i + 1);
  element.apply(vector, 1);
  return [...vector];
}

function assertClose(actual: number[], expected: number[]): void {
  assert.equal(actual.length, expected.length);
  actual.forEach((value, i) => assert.ok(Math.abs(value - expected[i]!) < 1e-13, `number ${i}: expected ${expected[i]}, got ${value}`));
}

test("derived bytes and the stream are frozen", () => {
  assert.equal(hex(deriveBytes(master, "vocabulary", 32)), "8c969f612406d99682fdd2559f398df5c68ae98470ce6b7d37d9819dd76c8826");
  assert.equal(
    hex(deriveRandom(master, "vocabulary").bytes(40)),
    "1b345a994930818764f5cb325ae6809ff20a3dbab3f0102e0ad5821cb1726d2513d81fedaa786c45",
  );
});

test("drawn numbers are frozen", () => {
  const random = deriveRandom(master, "numbers");
  assert.deepEqual(
    [random.uint32(), random.uint32(), random.below(10), random.below(128256), random.sign(), random.sign()],
    [115208333, 2657788, 8, 84613, -1, -1],
  );
  assert.equal(random.uniform(), 0.3971854685885041);
  assertClose([random.gaussian(), random.gaussian()], [-0.5605635585364394, -1.3707743045965683]);
});

test("elements are frozen", () => {
  assert.deepEqual([...permutation(deriveRandom(master, "permutation"), 12)], [11, 9, 0, 2, 10, 5, 7, 6, 3, 4, 8, 1]);
  const signed = Monomial.signed(deriveRandom(master, "signed"), 6);
  assert.deepEqual(
    [[...signed.order], [...signed.scale!]],
    [
      [3, 5, 4, 1, 2, 0],
      [-1, -1, 1, -1, -1, 1],
    ],
  );
  const scaled = Monomial.scaled(deriveRandom(master, "scaled"), 4, { signs: true });
  assert.deepEqual([...scaled.order], [3, 0, 2, 1]);
  assertClose([...scaled.scale!], [1.2409291597867185, -1.99862904113976, 1.074932925826993, -0.7767186684241809]);
  const heads = headOrders(deriveRandom(master, "heads"), 3, 2);
  assert.deepEqual(
    [[...heads.kv], [...heads.heads]],
    [
      [1, 2, 0],
      [2, 3, 4, 5, 1, 0],
    ],
  );
  assertClose(image(haarOrthogonal(deriveRandom(master, "haar"), 3)), [-1.741019777136504, 3.2293823926542697, 0.7348057550360776]);
  assertClose(image(wellConditioned(deriveRandom(master, "gl"), 3)), [-5.387293320359563, 2.6976233427639436, -1.198835615598976]);
  assertClose(
    image(Rotary.random(deriveRandom(master, "rotary"), 4, { layout: "half" })),
    [-4.147719817439095, -0.6396118176349801, -2.9420583127982107, 3.1888557544185447],
  );
  assertClose(
    image(structuredOrthogonal(deriveRandom(master, "orthogonal"), 6)),
    [-1.2311590150552933, 8.457665079087947, 0.09332607526933856, -2.075014572208106, -1.9427950123584194, 3.1405893074992126],
  );
  assertClose(
    image(fixingOnes(deriveRandom(master, "ones"), 6)),
    [1.693362813595006, 4.056522880293789, 1.6836622605714406, 3.3392918778752296, 6.755857938267766, 3.4713022293967626],
  );
});

test("the stream continues over chunk borders and is independent of how it is cut", () => {
  const whole = new RandomStream(master).bytes(12000);
  const parts = new RandomStream(master);
  const joined = Buffer.concat([4, 4096, 40, 7860].map((length) => parts.bytes(length)));
  assert.equal(hex(joined), hex(whole));
  assert.notEqual(hex(whole.subarray(0, 4096)), hex(whole.subarray(4096, 8192)));
});

test("keys and labels separate streams", () => {
  const other = Uint8Array.from(master).fill(9, 31);
  const first = hex(deriveRandom(master, "a").bytes(32));
  assert.notEqual(first, hex(deriveRandom(master, "b").bytes(32)));
  assert.notEqual(first, hex(deriveRandom(other, "a").bytes(32)));
  assert.throws(() => deriveRandom(new Uint8Array(31), "a"), /expected 32 bytes, got 31/);
});

test("below(n) stays below n and reaches every value equally often", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 32 }), (n) => {
      const random = deriveRandom(master, `below/${n}`);
      for (let i = 0; i < 20; i++) assert.ok(random.below(n) < n);
    }),
  );
  const counts = new Float64Array(7);
  const random = deriveRandom(master, "counts");
  for (let i = 0; i < 70000; i++) counts[random.below(7)]! += 1;
  const chiSquare = counts.reduce((sum, count) => sum + (count - 10000) ** 2 / 10000, 0);
  assert.ok(chiSquare < 22.5, `chi-square with 6 degrees of freedom: ${chiSquare} (22.46 is the 0.1 % point)`);
  assert.throws(() => random.below(0), RangeError);
  assert.throws(() => random.below(2 ** 32 + 1), RangeError);
});

test("Gaussian numbers have the moments of a standard normal", () => {
  const random = deriveRandom(master, "moments");
  const moments = [0, 0, 0, 0];
  const n = 200000;
  for (let i = 0; i < n; i++) {
    const value = random.gaussian();
    for (let p = 0; p < 4; p++) moments[p] = moments[p]! + value ** (p + 1) / n;
  }
  [0, 1, 0, 3].forEach((expected, p) => assert.ok(Math.abs(moments[p]! - expected) < 0.06, `moment ${p + 1}: ${moments[p]}`));
});
