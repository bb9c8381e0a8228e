import assert from "node:assert/strict";
import { test } from "node:test";
import { UnseenError } from "@unseen/core/errors.ts";
import { vocabularyPermutation } from "@unseen/core/blueprint/spaces.ts";
import fc from "fast-check";
import { TokenCipher } from "./token-cipher.ts";

const secret = new Uint8Array(32).fill(7);

test("deciphering undoes enciphering, and enciphering is the key's permutation", () => {
  const permutation = vocabularyPermutation(secret, 1000);
  const cipher = new TokenCipher(permutation);
  fc.assert(
    fc.property(fc.array(fc.nat(999)), (ids) => {
      const enciphered = cipher.encipher(ids);
      assert.deepEqual(
        enciphered,
        ids.map((id) => permutation[id]),
      );
      assert.deepEqual(cipher.decipher(enciphered), ids);
    }),
  );
});

test("an id outside the vocabulary is refused both ways, and the message does not show it", () => {
  const cipher = new TokenCipher(Uint32Array.of(2, 0, 1));
  for (const id of [3, -1, 1.5, Number.NaN, 2 ** 32, "0" as unknown as number]) {
    for (const substitute of [() => cipher.encipher([0, id]), () => cipher.decipher([0, id])]) {
      assert.throws(substitute, (error) => {
        assert.ok(UnseenError.isInstance(error));
        assert.equal(error.code, "TOKEN_OUT_OF_RANGE");
        assert.match(error.message, /token 1: expected an integer id below 3/);
        return true;
      });
    }
  }
});

test("a table that is no permutation is a defect", () => {
  assert.throws(() => new TokenCipher(Uint32Array.of(0, 0)), RangeError);
  assert.throws(() => new TokenCipher(Uint32Array.of(0, 2)), RangeError);
});

test("later changes of the caller's table change nothing", () => {
  const table = Uint32Array.of(1, 0);
  const cipher = new TokenCipher(table);
  table.fill(0);
  assert.deepEqual(cipher.encipher([0, 1]), [1, 0]);
});
