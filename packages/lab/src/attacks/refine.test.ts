import assert from "node:assert/strict";
import { test } from "node:test";
import { permutation } from "@unseen/core/algebra/random.ts";
import type { KnownPair } from "../attack.ts";
import { matrix, type Matrix } from "../numeric/matrix.ts";
import { multiply } from "../numeric/multiply.ts";
import { seeded } from "../seed.ts";
import { refine } from "./refine.ts";

const [ROWS, COLUMNS] = [300, 12];
const random = seeded(1, "refine");
const gaussian = (rows: number, columns: number): Matrix => matrix(rows, columns, Float64Array.from({ length: rows * columns }, () => random.gaussian())); // prettier-ignore
const base = gaussian(ROWS, COLUMNS);
const secret = permutation(random, ROWS);
const context = { random, proceed: async () => true };

/** The rows of `base` after a linear map, in another order. */
function encrypted(map: Matrix): Matrix {
  const mapped = multiply(base, map);
  const out = matrix(ROWS, map.columns);
  secret.forEach((cipher, plain) =>
    out.values.set(mapped.values.subarray(plain * map.columns, (plain + 1) * map.columns), cipher * map.columns),
  );
  return out;
}

const pairs = (from: number, to: number): KnownPair[] => Array.from({ length: to - from }, (_, i) => ({ plain: from + i, cipher: secret[from + i] as number })); // prettier-ignore
const right = (found: readonly KnownPair[]): number => found.filter(({ plain, cipher }) => secret[plain] === cipher).length;

test("a few certain pairs fix any map, even one to another width", async () => {
  const tables = [{ base, encrypted: encrypted(gaussian(COLUMNS, 16)) }];
  assert.equal(right((await refine(tables, { certain: pairs(0, 20) }, context, [0, 1])).matches), ROWS);
});

test("fewer pairs than dimensions tell tokens apart by what they fix", async () => {
  const identity = matrix(COLUMNS, COLUMNS);
  for (let k = 0; k < COLUMNS; k += 1) identity.values[k * COLUMNS + ((k + 1) % COLUMNS)] = 1;
  assert.equal(right((await refine([{ base, encrypted: encrypted(identity) }], { certain: pairs(0, 6) }, context, [0, 1])).matches), ROWS);
});

test("wrong seeds are outvoted, and what is certain is believed against them", async () => {
  const identity = matrix(COLUMNS, COLUMNS);
  for (let k = 0; k < COLUMNS; k += 1) identity.values[k * COLUMNS + k] = k % 2 ? 1 : -1;
  const tables = [{ base, encrypted: encrypted(identity) }];
  const wrong = pairs(100, 160).map(({ plain, cipher }) => ({ plain: ROWS - 1 - plain, cipher }));
  assert.equal(right((await refine(tables, { seeds: [...wrong, ...pairs(0, 60)] }, context, [0, 1])).matches), ROWS);
  assert.ok(right((await refine(tables, { seeds: wrong }, context, [0, 1])).matches) < 20);
  assert.equal(right((await refine(tables, { seeds: wrong, certain: pairs(100, 190) }, context, [0, 1])).matches), ROWS);
});
