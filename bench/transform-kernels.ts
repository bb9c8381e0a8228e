/**
 * How fast weights are rewritten on one core: nanoseconds per weight of each path, beside a plain copy of the same bytes.
 * @module
 */
import { Blocks } from "@unseen/core/algebra/blocks.ts";
import { wellConditioned } from "@unseen/core/algebra/dense.ts";
import { Monomial } from "@unseen/core/algebra/monomial.ts";
import { structuredOrthogonal } from "@unseen/core/algebra/orthogonal.ts";
import { deriveRandom, permutation } from "@unseen/core/algebra/random.ts";
import type { AxisRewrite } from "@unseen/core/algebra/axis.ts";
import type { MatrixSource } from "@unseen/core/algebra/matrix.ts";
import { rewriteMatrix } from "@unseen/core/algebra/rewrite.ts";
import { Rotary } from "@unseen/core/algebra/rotary.ts";

const REPEATS = 3;
const random = deriveRandom(new Uint8Array(32).fill(1), "bench");
const hidden = 2048;
const identity: AxisRewrite = { element: null };
const rotation = structuredOrthogonal(random, hidden);
const gain = Float64Array.from({ length: hidden }, () => 1 + 0.1 * random.gaussian());
const readRotation: AxisRewrite = { element: rotation, gain };
const heads = (count: number, make: () => Rotary | ReturnType<typeof wellConditioned>): AxisRewrite => ({
  element: new Blocks(
    permutation(random, count),
    Array.from({ length: count }, () => make()),
  ),
});
const rotary = (): Rotary => Rotary.random(random, 64, { layout: "half" });

/** What each kind of matrix of a 1B Llama (hidden 2048, 32/8 heads of 64, 8192 neurons) goes through. */
const cases: [string, number, number, AxisRewrite, AxisRewrite][] = [
  ["copy, both axes identity", 8192, hidden, identity, identity],
  ["permute rows", 8192, hidden, { element: Monomial.permutation(random, 8192) }, identity],
  [
    "permute rows, signed permutation of columns",
    8192,
    hidden,
    { element: Monomial.permutation(random, 8192) },
    { element: Monomial.signed(random, hidden) },
  ],
  ["signed permutation of both", hidden, 8192, { element: Monomial.signed(random, hidden) }, { element: Monomial.signed(random, 8192) }],
  ["gate_proj: permute rows, rotate columns", 8192, hidden, { element: Monomial.permutation(random, 8192) }, readRotation],
  [
    "up_proj: permute and scale rows, rotate columns",
    8192,
    hidden,
    { element: Monomial.scaled(random, 8192, { signs: true }) },
    readRotation,
  ],
  [
    "down_proj: rotate rows, permute and scale columns",
    hidden,
    8192,
    { element: rotation },
    { element: Monomial.scaled(random, 8192, { signs: true }) },
  ],
  ["q_proj: rotary heads, rotate columns", hidden, hidden, heads(32, rotary), readRotation],
  ["v_proj: dense heads, rotate columns", 512, hidden, heads(8, () => wellConditioned(random, 64)), readRotation],
  ["o_proj: rotate rows, dense heads", hidden, hidden, { element: rotation }, heads(32, () => wellConditioned(random, 64))],
];

for (const [name, rows, columns, rowAxis, columnAxis] of cases) {
  const stored = new Uint16Array(rows * columns); // bf16
  for (let i = 0; i < stored.length; i++) stored[i] = 0x3c00 + ((i * 2654435761) >>> 22) + ((i & 1) << 15);
  const bytes = new Uint8Array(stored.buffer);
  const result = new Uint8Array(bytes.length);
  const stride = columns * 2;
  const source: MatrixSource = {
    rows,
    columns,
    format: "BF16",
    name,
    read: (row, count, into) => into.set(bytes.subarray(row * stride, (row + count) * stride)),
  };
  const target = { format: "BF16", write: (row: number, _count: number, part: Uint8Array) => result.set(part, row * stride) } as const;
  const seconds = fastest(() => rewriteMatrix(source, rowAxis, columnAxis, target));
  const copySeconds = fastest(() => result.set(bytes));
  const perWeight = (seconds / stored.length) * 1e9;
  const speed = (of: number): string => `${(bytes.length / of / 1e9).toFixed(2).padStart(6)} GB/s`;
  process.stdout.write(
    `${name.padEnd(52)} ${perWeight.toFixed(2).padStart(7)} ns/weight  ${speed(seconds)}  (copy in memory ${speed(copySeconds)})\n`,
  );
}

function fastest(run: () => void): number {
  run();
  let best = Infinity;
  for (let i = 0; i < REPEATS; i++) {
    const start = performance.now();
    run();
    best = Math.min(best, performance.now() - start);
  }
  return best / 1000;
}
