import assert from "node:assert/strict";
import { test } from "node:test";
import { UnseenError } from "@unseen/core/errors.ts";
import type { Operation, Program } from "../program.ts";
import { productProgram, realProgram, repeated, small, wholeProgram } from "./programs.fixture.ts";
import { track, trackResults } from "./track.ts";

const chain = { primes: [562_949_952_798_721n, 1_099_510_824_961n, 1_099_510_890_497n, 1_099_511_480_321n], scale: 2 ** 40 };
const constant = repeated(0, small, 1);

function withOperations(...operations: Operation[]): Program {
  return { ...productProgram(small), operations, outputs: [] };
}

test("a product and its rescale give exactly the fresh scale, at every level", () => {
  const program = realProgram();
  const places = track(program, chain);
  assert.deepEqual(places.get(3), { level: 2, scale: 2 ** 40 });
  // the second product meets a square, whose scale is no power of two
  assert.notEqual(places.get(6)?.scale, 2 ** 40);
  assert.deepEqual(places.get(12), { level: 0, scale: 2 ** 40 });
  assert.deepEqual(trackResults(program, chain), [places.get(12), places.get(4), places.get(13)]);
});

test("whole numbers come back at the lowest level that holds them", () => {
  const primes = [8_796_092_858_369n, 8_796_092_792_833n, 17_592_186_028_033n, 17_592_185_438_209n];
  assert.deepEqual(trackResults(wholeProgram(), { primes, scale: 1 })[0], { level: 1, scale: 1 });
});

test("programs that the parameters cannot run are refused before they start", () => {
  const dot = (to: number, from: number): Operation => ({ operation: "dot", to, terms: [{ from, constant }] });
  const rescale = (to: number, from: number): Operation => ({ operation: "rescale", to, from });
  const refused: Operation[][] = [
    [dot(1, 0), rescale(2, 1), dot(3, 2), rescale(4, 3), dot(5, 4), rescale(6, 5), dot(7, 6)],
    [
      { operation: "multiply", to: 1, left: 0, right: 0 },
      { operation: "multiply", to: 2, left: 1, right: 1 },
      { operation: "multiply", to: 3, left: 2, right: 2 },
    ],
    [dot(1, 0), { operation: "add", to: 2, from: [0, 1] }],
    [dot(1, 7)],
    [dot(0, 0)],
    [{ operation: "dot", to: 1, terms: [] }],
  ];
  for (const operations of refused)
    assert.throws(
      () => track(withOperations(...operations), chain),
      (error) => UnseenError.isInstance(error) && error.code === "CUT_UNAVAILABLE",
    );
  const rotating: Operation = { operation: "rotate", to: 9, from: 0, by: 1 };
  assert.throws(() => track({ ...wholeProgram(), operations: [rotating] }, chain), /do not rotate/);
});
