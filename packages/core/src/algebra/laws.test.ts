import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Blocks, headOrders } from "./blocks.ts";
import { Chain } from "./chain.ts";
import { Dense, haarOrthogonal, wellConditioned } from "./dense.ts";
import { DirectSum } from "./direct-sum.ts";
import type { Element } from "./element.ts";
import { Monomial } from "./monomial.ts";
import { monomialForm } from "./monomial-form.ts";
import { fixingOnes, structuredOrthogonal } from "./orthogonal.ts";
import { deriveRandom, permutation, type RandomStream } from "./random.ts";
import { Rotary, type RotaryLayout } from "./rotary.ts";

const tolerance = 1e-11;
const seeds = fc.uint8Array({ minLength: 32, maxLength: 32 });
const layouts = fc.constantFrom<RotaryLayout>("half", "interleaved");

const vectorOf = (random: RandomStream, n: number): Float64Array => Float64Array.from({ length: n }, () => random.gaussian());
const dot = (x: Float64Array, y: Float64Array): number => x.reduce((sum, value, i) => sum + value * y[i]!, 0);

function map(element: Element, vector: Float64Array): Float64Array {
  const result = Float64Array.from(vector);
  element.apply(result, 1);
  return result;
}

function assertClose(actual: ArrayLike<number>, expected: ArrayLike<number>, label: string): void {
  assert.equal(actual.length, expected.length, label);
  for (let i = 0; i < expected.length; i++)
    assert.ok(
      Math.abs(actual[i]! - expected[i]!) <= tolerance * (1 + Math.abs(expected[i]!)),
      `${label}: ${i}: expected ${expected[i]}, got ${actual[i]}`,
    );
}

// ---- group laws ---------------------------------------------------------------------------------------------------------

/** Every kind of element at a size of heads·head. */
const kinds: Record<string, (random: RandomStream, heads: number, head: number) => Element> = {
  identity: (_random, heads, head) => Monomial.identity(heads * head),
  permutation: (random, heads, head) => Monomial.permutation(random, heads * head),
  signs: (random, heads, head) => Monomial.signs(random, heads * head),
  "signed permutation": (random, heads, head) => Monomial.signed(random, heads * head),
  "scaled permutation": (random, heads, head) => Monomial.scaled(random, heads * head, { signs: true }),
  haar: (random, heads, head) => haarOrthogonal(random, heads * head),
  "general linear": (random, heads, head) => wellConditioned(random, heads * head),
  "general linear, inverse computed": (random, heads, head) => new Dense(heads * head, wellConditioned(random, heads * head).matrix),
  "rotary half": (random, heads, head) => Rotary.random(random, heads * head, { layout: "half" }),
  "rotary interleaved": (random, heads, head) => Rotary.random(random, heads * head, { layout: "interleaved" }),
  "rotary partial": (random, heads, head) =>
    Rotary.random(random, heads * head, { layout: "half", rotaryDimensions: heads * head - 2, rest: wellConditioned(random, 2) }),
  "rotary signs": (random, heads, head) => Rotary.signs(random, heads * head, { layout: "half" }),
  "structured orthogonal": (random, heads, head) => structuredOrthogonal(random, heads * head),
  "fixing ones": (random, heads, head) => fixingOnes(random, heads * head),
  "dense heads": (random, heads, head) =>
    new Blocks(
      permutation(random, heads),
      Array.from({ length: heads }, () => wellConditioned(random, head)),
    ),
  "rotary heads": (random, heads, head) =>
    new Blocks(
      permutation(random, heads),
      Array.from({ length: heads }, () => Rotary.random(random, head, { layout: "interleaved" })),
    ),
  "direct sum of heads": (random, heads, head) =>
    new DirectSum([
      {
        size: heads * head,
        element: new Blocks(
          permutation(random, heads),
          Array.from({ length: heads }, () => wellConditioned(random, head)),
        ),
      },
      { size: head, element: null },
      { size: head, element: wellConditioned(random, head) },
    ]),
  "direct sum of unlike parts": (random, heads, head) =>
    new DirectSum([
      { size: heads * head, element: structuredOrthogonal(random, heads * head) },
      { size: 2 * head, element: Monomial.scaled(random, 2 * head, { signs: true }) },
    ]),
  chain: (random, heads, head) =>
    new Chain([
      Monomial.scaled(random, heads * head, { signs: true }),
      new Blocks(
        permutation(random, heads),
        Array.from({ length: heads }, () => wellConditioned(random, head)),
      ),
      structuredOrthogonal(random, heads * head),
    ]),
  "chain of heads": (random, heads, head) =>
    new Chain([
      new Blocks(
        permutation(random, heads),
        Array.from({ length: heads }, () => wellConditioned(random, head)),
      ),
      new Blocks(
        permutation(random, heads),
        Array.from({ length: heads }, () => Rotary.random(random, head, { layout: "half" })),
      ),
    ]),
};

const shapes = fc.record({ seed: seeds, heads: fc.integer({ min: 1, max: 4 }), head: fc.constantFrom(2, 4, 6, 8, 12) });

for (const [name, make] of Object.entries(kinds)) {
  test(`${name}: linear, invertible, paired with its inverse-transpose`, () => {
    fc.assert(
      fc.property(shapes, ({ seed, heads, head }) => {
        const random = deriveRandom(seed, name);
        const element = make(random, heads, head);
        const x = vectorOf(random, element.size);
        const y = vectorOf(random, element.size);
        const sum = x.map((value, i) => 3 * value - y[i]!);
        const image = map(element, x);
        const other = map(element, y);
        assertClose(
          map(element, sum),
          image.map((value, i) => 3 * value - other[i]!),
          "linear",
        );
        assertClose(map(element.inverse(), image), x, "x·T·T^-1 = x");
        assertClose(map(element, map(element.inverse(), x)), x, "x·T^-1·T = x");
        assertClose([dot(image, map(element.inverseTranspose(), y))], [dot(x, y)], "<xT, yT^-T> = <x, y>");
        assertClose(map(element.inverse().inverseTranspose(), x), map(element.inverseTranspose().inverse(), x), "(T^-1)^-T = (T^-T)^-1");
      }),
      { numRuns: 25 },
    );
  });

  test(`${name}: block k of the result depends on block source(k) alone, also on wide panels`, () => {
    fc.assert(
      fc.property(shapes, fc.integer({ min: 1, max: 3 }), ({ seed, heads, head }, width) => {
        const random = deriveRandom(seed, name);
        const element = make(random, heads, head);
        const { size, block } = element;
        assert.equal(size % block, 0);
        const argument = vectorOf(random, size * width);
        const whole = Float64Array.from(argument);
        element.apply(whole, width);
        for (let c = 0; c < width; c++) {
          const column = (panel: Float64Array): Float64Array => Float64Array.from({ length: size }, (_, i) => panel[i * width + c]!);
          assertClose(column(whole), map(element, column(argument)), "each column on its own");
        }
        for (let k = 0; k < size / block; k++) {
          const from = element.source(k) * block * width;
          const part = argument.slice(from, from + block * width);
          element.applyBlock(k, part, width);
          assertClose(part, whole.slice(k * block * width, (k + 1) * block * width), `block ${k}`);
        }
      }),
      { numRuns: 15 },
    );
  });
}

test("compose is associative, applies from left to right, and inverts in reverse, for every pair of kinds", () => {
  const names = Object.keys(kinds);
  fc.assert(
    fc.property(
      shapes,
      fc.constantFrom(...names),
      fc.constantFrom(...names),
      fc.constantFrom(...names),
      ({ seed, heads, head }, ...chosen) => {
        const random = deriveRandom(seed, "compose");
        const [a, b, c] = chosen.map((name) => kinds[name]!(random, heads, head)) as [Element, Element, Element];
        if (a.size !== b.size || b.size !== c.size) return; // the direct sums are longer
        const x = vectorOf(random, a.size);
        const expected = map(c, map(b, map(a, x)));
        const left = a.compose(b).compose(c);
        assertClose(map(left, x), expected, "(AB)C");
        assertClose(map(a.compose(b.compose(c)), x), expected, "A(BC)");
        assertClose(map(left.inverse(), expected), x, "inverse");
        assertClose([dot(expected, map(left.inverseTranspose(), x))], [dot(x, x)], "inverse-transpose");
      },
    ),
    { numRuns: 150 },
  );
});

test("products of one kind stay in their kind", () => {
  const random = deriveRandom(new Uint8Array(32), "closed");
  for (const [name, kind] of [
    ["scaled permutation", Monomial],
    ["general linear", Dense],
    ["rotary half", Rotary],
    ["dense heads", Blocks],
    ["direct sum of heads", DirectSum],
  ] as const) {
    const product = kinds[name]!(random, 3, 4).compose(kinds[name]!(random, 3, 4));
    assert.ok(product instanceof kind, name);
  }
});

test("orthogonal kinds keep lengths, wellConditioned has condition at most 4, fixingOnes fixes ones", () => {
  fc.assert(
    fc.property(seeds, fc.integer({ min: 1, max: 40 }), (seed, n) => {
      const random = deriveRandom(seed, "norms");
      const x = vectorOf(random, n);
      for (const element of [haarOrthogonal(random, n), structuredOrthogonal(random, n), fixingOnes(random, n), Monomial.signed(random, n)])
        assertClose([dot(map(element, x), map(element, x))], [dot(x, x)], "length");
      const stretched = map(wellConditioned(random, n), x);
      const stretch = Math.sqrt(dot(stretched, stretched) / dot(x, x)); // all within [1/2, 2] is condition number 4
      assert.ok(stretch >= 0.5 - tolerance && stretch <= 2 + tolerance, `stretch ${stretch}`);
      const ones = new Float64Array(n).fill(1);
      assertClose(map(fixingOnes(random, n), ones), ones, "ones");
    }),
    { numRuns: 40 },
  );
});

test("a rotation mixes: no coordinate of the image of a unit vector is large", () => {
  for (const n of [2048, 960, 896]) {
    const element = structuredOrthogonal(deriveRandom(new Uint8Array(32).fill(3), `mix/${n}`), n);
    const unit = new Float64Array(n);
    unit[17] = 1;
    const largest = map(element, unit).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    assert.ok(largest < 8 / Math.sqrt(n), `n = ${n}: largest coordinate ${largest}`);
  }
});

test("the monomial form is the same map", () => {
  fc.assert(
    fc.property(seeds, layouts, (seed, layout) => {
      const random = deriveRandom(seed, "form");
      const rotary = (): Element => Rotary.signs(random, 8, { layout, rotaryDimensions: 6, rest: Monomial.signed(random, 2) });
      const blocks = new Blocks(permutation(random, 3), [rotary(), rotary(), Monomial.scaled(random, 8, { signs: true })]);
      const parts = new DirectSum([
        { size: 10, element: Monomial.signed(random, 10) },
        { size: 6, element: null },
        { size: 8, element: rotary() },
      ]);
      const element = new Chain([blocks, Monomial.signed(random, 24), parts]);
      const form = monomialForm(element);
      assert.ok(form);
      const x = vectorOf(random, 24);
      assertClose(map(form, x), map(element, x), "form");
      assert.equal(monomialForm(new Chain([blocks, structuredOrthogonal(random, 24)])), null);
    }),
    { numRuns: 30 },
  );
});

test("target is the inverse table of source, unsigned drops the scales", () => {
  const monomial = Monomial.scaled(deriveRandom(new Uint8Array(32), "table"), 20, { signs: true });
  const target = monomial.target();
  for (let j = 0; j < 20; j++) assert.equal(target[monomial.source(j)], j);
  assert.equal(monomial.unsigned().scale, null);
  assert.deepEqual(monomial.unsigned().order, monomial.order);
});

test("wrong arguments are refused", () => {
  assert.throws(() => new Monomial(Uint32Array.of(0, 0)), /permutation/);
  assert.throws(() => new Monomial(Uint32Array.of(0, 2)), /permutation/);
  assert.throws(() => new Monomial(Uint32Array.of(0, 1), Float64Array.of(1, 0)), /other than 0/);
  assert.throws(() => new Dense(2, new Float64Array(3)), /expected 4/);
  assert.throws(() => new Dense(2, Float64Array.of(1, 2, 2, 4)).inverse(), /invertible/);
  assert.throws(() => new Chain([Monomial.identity(2), Monomial.identity(3)]), /size 2/);
  assert.throws(() => new Blocks(Uint32Array.of(0, 0), [Monomial.identity(2), Monomial.identity(2)]), /permutation/);
  assert.throws(() => new Rotary(3, new Float64Array(0), new Float64Array(0), { layout: "half" }), /even/);
});

// ---- what each operation of a network leaves exact ------------------------------------------------------------------------

const rmsNorm = (x: Float64Array): Float64Array => {
  const scale = 1 / Math.sqrt(dot(x, x) / x.length + 1e-5);
  return x.map((value) => value * scale);
};

const layerNorm = (x: Float64Array): Float64Array => {
  const mean = x.reduce((a, b) => a + b, 0) / x.length;
  return rmsNorm(x.map((value) => value - mean));
};

const silu = (value: number): number => value / (1 + Math.exp(-value));
const gelu = (value: number): number => 0.5 * value * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (value + 0.044715 * value ** 3)));

/** Rotary position embedding of one head, written from its definition: pair p turns by position·base^(-2p/r). */
function rope(vector: Float64Array, position: number, rotaryDimensions: number, layout: RotaryLayout): Float64Array {
  const result = Float64Array.from(vector);
  const pairs = rotaryDimensions / 2;
  for (let p = 0; p < pairs; p++) {
    const angle = position * 10000 ** (-p / pairs);
    const i = layout === "half" ? p : 2 * p;
    const j = layout === "half" ? p + pairs : 2 * p + 1;
    result[i] = vector[i]! * Math.cos(angle) - vector[j]! * Math.sin(angle);
    result[j] = vector[i]! * Math.sin(angle) + vector[j]! * Math.cos(angle);
  }
  return result;
}

function softmax(scores: number[]): number[] {
  const largest = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

const law = (name: string, check: (random: RandomStream, n: number) => void): void => {
  test(`law: ${name}`, () => {
    fc.assert(
      fc.property(
        seeds,
        fc.integer({ min: 1, max: 12 }).map((half) => 2 * half),
        (seed, n) => check(deriveRandom(seed, name), n),
      ),
      { numRuns: 30 },
    );
  });
};

law("RMSNorm commutes with rotations", (random, n) => {
  const rotation = structuredOrthogonal(random, n);
  const x = vectorOf(random, n);
  assertClose(rmsNorm(map(rotation, x)), map(rotation, rmsNorm(x)), "RMSNorm(xR) = RMSNorm(x)R");
});

law("RMSNorm with a gain commutes with signed permutations, the gain permuted along", (random, n) => {
  const element = Monomial.signed(random, n);
  const gain = vectorOf(random, n);
  const moved = map(element.unsigned(), gain);
  const x = vectorOf(random, n);
  assertClose(
    rmsNorm(map(element, x)).map((value, i) => value * moved[i]!),
    map(
      element,
      rmsNorm(x).map((value, i) => value * gain[i]!),
    ),
    "gain",
  );
});

law("LayerNorm commutes with rotations that fix ones", (random, n) => {
  const rotation = fixingOnes(random, n);
  const x = vectorOf(random, n);
  assertClose(layerNorm(map(rotation, x)), map(rotation, layerNorm(x)), "LN(xR) = LN(x)R");
});

law("LayerNorm with a gain and a bias commutes with permutations and one sign for all", (random, n) => {
  const order = Monomial.permutation(random, n);
  const sign = random.sign();
  const element = order.compose(new Monomial(Monomial.identity(n).order, new Float64Array(n).fill(sign)));
  const gain = vectorOf(random, n);
  const bias = vectorOf(random, n);
  const x = vectorOf(random, n);
  const normed = (y: Float64Array, g: Float64Array, b: Float64Array): Float64Array => layerNorm(y).map((value, i) => value * g[i]! + b[i]!);
  assertClose(normed(map(element, x), map(order, gain), map(element, bias)), map(element, normed(x, gain, bias)), "post-norm stream");
  // Behind GELU the stream has lost its sign; gain and bias put it back.
  assertClose(normed(map(order, x), map(element, gain), map(element, bias)), map(element, normed(x, gain, bias)), "masked head");
});

law("tanh commutes with signed permutations", (random, n) => {
  const element = Monomial.signed(random, n);
  const x = vectorOf(random, n);
  assertClose(map(element, x).map(Math.tanh), map(element, x.map(Math.tanh)), "tanh");
});

law("a bias on the keys changes no share of attention without positions in the scores", (random, n) => {
  const q = vectorOf(random, n);
  const bias = vectorOf(random, n);
  const keys = Array.from({ length: 5 }, () => vectorOf(random, n));
  const shares = (rows: Float64Array[]): Float64Array => Float64Array.from(softmax(rows.map((row) => dot(q, row))));
  assertClose(shares(keys.map((row) => row.map((value, i) => value + bias[i]!))), shares(keys), "softmax");
});

law("SwiGLU: permutations of the neurons, any scale on up, its inverse on down", (random, n) => {
  const up = Monomial.scaled(random, n, { signs: true });
  const gate = up.unsigned();
  const g = vectorOf(random, n);
  const u = vectorOf(random, n);
  const weights = vectorOf(random, n);
  const gated = (a: Float64Array, b: Float64Array): Float64Array => a.map((value, i) => silu(value) * b[i]!);
  assertClose(
    [dot(gated(map(gate, g), map(up, u)), map(up.inverseTranspose(), weights))],
    [dot(gated(g, u), weights)],
    "down(silu(gate)·up)",
  );
});

law("GELU and SiLU commute with permutations", (random, n) => {
  const element = Monomial.permutation(random, n);
  const x = vectorOf(random, n);
  for (const activation of [gelu, silu]) assertClose(map(element, x).map(activation), map(element, x.map(activation)), "activation");
});

law("ReLU commutes with permutations and positive scales", (random, n) => {
  const element = Monomial.scaled(random, n, { signs: false });
  const relu = (value: number): number => Math.max(0, value);
  const x = vectorOf(random, n);
  assertClose(map(element, x).map(relu), map(element, x.map(relu)), "ReLU");
});

for (const layout of ["half", "interleaved"] as const) {
  law(`rotary scores are unchanged when q gets R and k gets R^-T (${layout})`, (random, n) => {
    const rotaryDimensions = n > 4 ? n - 2 : n;
    const rest = n > 4 ? wellConditioned(random, 2) : null;
    const onQueries = Rotary.random(random, n, { layout, rotaryDimensions, rest });
    const onKeys = onQueries.inverseTranspose();
    const q = vectorOf(random, n);
    const k = vectorOf(random, n);
    for (const [p, s] of [
      [0, 0],
      [7, 3],
      [1000, 1],
    ] as const) {
      const plain = dot(rope(q, p, rotaryDimensions, layout), rope(k, s, rotaryDimensions, layout));
      const hidden = dot(rope(map(onQueries, q), p, rotaryDimensions, layout), rope(map(onKeys, k), s, rotaryDimensions, layout));
      assertClose([hidden], [plain], `positions ${p}, ${s}`);
      assertClose(rope(map(onQueries, q), p, rotaryDimensions, layout), map(onQueries, rope(q, p, rotaryDimensions, layout)), "commutes");
    }
  });

  law(`pair signs survive a q/k norm with gains (${layout})`, (random, n) => {
    const signs = Rotary.signs(random, n, { layout });
    const gain = vectorOf(random, n);
    const normed = (x: Float64Array): Float64Array => rmsNorm(x).map((value, i) => value * gain[i]!);
    const x = vectorOf(random, n);
    assertClose(rope(normed(map(signs, x)), 5, n, layout), map(signs, rope(normed(x), 5, n, layout)), "signs");
  });
}

law("unrotated scores are unchanged under GL", (random, n) => {
  const element = wellConditioned(random, n);
  const q = vectorOf(random, n);
  const k = vectorOf(random, n);
  assertClose([dot(map(element, q), map(element.inverseTranspose(), k))], [dot(q, k)], "score");
});

law("softmax(scores)·V·O is unchanged when v gets A and o reads with A^-T", (random, n) => {
  const element = wellConditioned(random, n);
  const attention = softmax([...vectorOf(random, 5)]);
  const values = attention.map(() => vectorOf(random, n));
  const output = vectorOf(random, n); // one row of o_proj
  const mix = (rows: Float64Array[]): Float64Array =>
    Float64Array.from({ length: n }, (_, i) => rows.reduce((sum, row, t) => sum + attention[t]! * row[i]!, 0));
  const hidden = mix(values.map((value) => map(element, value)));
  assertClose([dot(hidden, map(element.inverseTranspose(), output))], [dot(mix(values), output)], "attention output");
});

law("heads move under grouped-query attention", (random, n) => {
  const kvHeads = 1 + random.below(3);
  const group = 1 + random.below(3);
  const { kv, heads } = headOrders(random, kvHeads, group);
  const still = (count: number): Element[] => Array.from({ length: count }, () => Monomial.identity(n));
  const moveKv = new Blocks(kv, still(kvHeads));
  const moveHeads = new Blocks(heads, still(kvHeads * group));
  const time = 4;
  const queries = vectorOf(random, kvHeads * group * n);
  const keys = Array.from({ length: time }, () => vectorOf(random, kvHeads * n));
  const values = Array.from({ length: time }, () => vectorOf(random, kvHeads * n));
  const attend = (q: Float64Array, k: Float64Array[], v: Float64Array[]): Float64Array => {
    const result = new Float64Array(q.length);
    for (let h = 0; h < kvHeads * group; h++) {
      const from = Math.floor(h / group) * n;
      const weights = softmax(k.map((row) => dot(q.subarray(h * n, (h + 1) * n), row.subarray(from, from + n))));
      for (let t = 0; t < time; t++) for (let i = 0; i < n; i++) result[h * n + i]! += weights[t]! * v[t]![from + i]!;
    }
    return result;
  };
  const hidden = attend(
    map(moveHeads, queries),
    keys.map((row) => map(moveKv, row)),
    values.map((row) => map(moveKv, row)),
  );
  assertClose(hidden, map(moveHeads, attend(queries, keys, values)), "grouped-query attention");
});
