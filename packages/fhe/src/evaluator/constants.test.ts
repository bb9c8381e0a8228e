import assert from "node:assert/strict";
import { test } from "node:test";
import type { Plaintext } from "../seal/library.ts";
import { Constants } from "./constants.ts";

/** A cache with counts of what it made and freed. */
function counted(limit: number): {
  constants: Constants;
  use: (program: string, id: string) => void;
  made: () => number;
  alive: () => number;
} {
  const constants = new Constants(limit);
  let made = 0;
  let alive = 0;
  const make = (): Plaintext => {
    made += 1;
    alive += 1;
    return { isZero: false, shrinkToFit: () => {}, delete: () => void (alive -= 1) };
  };
  return { constants, use: (program, id) => constants.with(program, id, 10, make, () => {}), made: () => made, alive: () => alive };
}

test("what is kept is not made again, and makes room for another program", () => {
  const { constants, use, made, alive } = counted(30);
  for (const id of ["a", "b", "a", "b"]) use("one", id);
  assert.deepEqual([made(), alive(), constants.bytes], [2, 2, 20]);
  for (const id of ["a", "b", "c", "a", "b", "c"]) use("other", id);
  assert.deepEqual([made(), alive(), constants.bytes], [5, 3, 30]);
  constants.drop("other");
  assert.deepEqual([alive(), constants.bytes], [0, 0]);
});

test("of a program that does not fit the first constants stay, and none leaks", () => {
  const { constants, use, made, alive } = counted(20);
  for (const id of ["a", "b", "c", "a", "b", "c"]) use("one", id);
  assert.deepEqual([made(), alive()], [4, 2]);
  constants.clear();
  assert.equal(alive(), 0);
  assert.throws(
    () =>
      constants.with(
        "one",
        "a",
        100,
        () => ({ isZero: false, shrinkToFit: () => {}, delete: () => {} }),
        () => assert.fail("used"),
      ),
    /used/,
  );
  assert.equal(constants.bytes, 0);
});
