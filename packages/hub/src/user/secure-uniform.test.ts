import assert from "node:assert/strict";
import { test } from "node:test";
import { secureUniform } from "./secure-uniform.ts";

test("numbers fill [0, 1) evenly, never repeat a block, and no two sources agree", () => {
  const count = 100_000; // many blocks
  const [one, other] = [secureUniform(), secureUniform()];
  const values = Array.from({ length: count }, one);
  assert.ok(values.every((value) => value >= 0 && value < 1));
  // 53 bits: two equal ones among so many have a chance of 1 in a million.
  assert.equal(new Set([...values, ...Array.from({ length: count }, other)]).size, 2 * count);
  // Ten sigma, which a source that works never sees.
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  assert.ok(Math.abs(mean - 0.5) < 10 / Math.sqrt(12 * count), String(mean));
  for (let bin = 0; bin < 16; bin++) {
    const share = values.filter((value) => Math.floor(value * 16) === bin).length / count;
    assert.ok(Math.abs(share - 1 / 16) < 10 * Math.sqrt(15 / 256 / count), `bin ${bin}: ${share}`);
  }
  // The lowest bit is as random as the highest.
  const odd = values.filter((value) => (value * 2 ** 53) % 2 === 1).length / count;
  assert.ok(Math.abs(odd - 0.5) < 5 / Math.sqrt(count), String(odd));
});
