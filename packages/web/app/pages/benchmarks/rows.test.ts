import assert from "node:assert/strict";
import { test } from "node:test";
import type { ProtectionRow } from "../../../src/protocol/comparison.ts";
import { exactness, figuresOf, timesAsLong, viewsOf } from "./rows.ts";

const row: ProtectionRow = {
  id: "plain",
  name: "No protection",
  learns: "All.",
  tokensPerSecond: null,
  firstTokenSeconds: null,
  overhead: null,
  overheadRange: null,
  fidelity: null,
  bytesPerToken: null,
  answerTokens: null,
  rounds: 0,
  roundTrip: null,
  refusal: null,
};
const rotate: ProtectionRow = { ...row, id: "rotate", name: "EE, rotate", learns: "Ids." };

test("the newest of each row counts, in the first order", () => {
  const figures = figuresOf([
    { kind: "protection", value: row },
    { kind: "protection", value: rotate },
    { kind: "other", value: {} },
    { kind: "protection", value: { ...row, rounds: 2 } },
  ]);
  assert.deepEqual(
    figures.rows.map(({ id, rounds }) => [id, rounds]),
    [
      ["plain", 2],
      ["rotate", 0],
    ],
  );
  assert.equal(figures.head, null);
});

test("ratios have three digits, and large ones are whole", () => {
  assert.equal(timesAsLong(1.0234), "1.02 x the time");
  assert.equal(timesAsLong(1234.5), "1,235 x the time");
});

test("exactness is said for what was measured alone", () => {
  assert.equal(exactness(row), "the reference");
  assert.equal(exactness(rotate), "");
  const fidelity = { greedyAgreement: 0.984, meanKl: 0.00035, maxLogitDifference: 1, tokens: 100 };
  assert.equal(exactness({ ...rotate, fidelity }), "same next token 98.4 %, KL 3.5e-4 nats");
});

test("what is seen is said once for all that show the same", () => {
  const far: ProtectionRow = { ...rotate, id: "permute", name: "EE, permute" };
  assert.deepEqual(viewsOf({ rows: [row, rotate, far], head: null }), [
    { names: ["No protection"], learns: "All." },
    { names: ["EE, rotate", "EE, permute"], learns: "Ids." },
  ]);
});
