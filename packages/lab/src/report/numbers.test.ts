import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { counted, duration, ended, figure, inWords, percent, percentAtMost, percentInWords, seconds, unbroken } from "./numbers.ts";

describe("numbers for readers", () => {
  test("a share is all or nothing only where it is", () => {
    const shares = [0, 1, 0.00001, 0.0005, 0.99949, 0.9995, 0.999999, 0.5, 0.1234];
    assert.deepEqual(shares.map(percent), ["0", "100", "<0.1", "0.1", "99.9", ">99.9", ">99.9", "50.0", "12.3"]);
    assert.deepEqual([null, Number.NaN, Infinity].map(percent), ["–", "–", "–"]);
    assert.deepEqual([1, 0.99999, 0.00001, 0.5, 0.123].map(percentInWords), [
      "100 %",
      "more than 99.9 %",
      "less than 0.1 %",
      "50 %",
      "12.3 %",
    ]);
  });

  test("at most is never less", () => {
    assert.deepEqual([0, 0.0311, 0.0312, 0.031, 0.03101, 0.00001, 1].map(percentAtMost), ["0 %", "3.2 %", "3.2 %", "3.1 %", "3.2 %", "0.1 %", "100 %"]); // prettier-ignore
  });

  test("times", () => {
    assert.deepEqual([0, 0.004, 0.034, 0.62, 3.87, 9.96, 12.4, 1234.5].map(seconds), ["0.00", "<0.01", "0.03", "0.62", "3.9", "10", "12", "1,235"]); // prettier-ignore
    assert.equal(seconds(Number.NaN), "–");
    assert.equal(duration(Infinity), "an unknown time");
    assert.deepEqual([0.03, 0.4, 3.87, 59.6, 720, 9000].map(duration), ["less than 0.1 s", "0.4 s", "4 s", "1 min", "12 min", "2.5 h"]);
  });

  test("figures keep three digits", () => {
    assert.deepEqual([0, 12_400, 0.031234, 2e-9, -1.5, 1234.5, 3e20].map(figure), ["0", "12,400", "0.0312", "2e-9", "-1.5", "1,235", "300000000000000000000"]); // prettier-ignore
    assert.equal(figure(Number.NaN), "–");
  });

  test("words", () => {
    assert.deepEqual([0, 1, 2].map((count) => counted(count, "key")), ["0 keys", "1 key", "2 keys"]); // prettier-ignore
    assert.equal(inWords("pairsPerSecond"), "Pairs per second");
    assert.equal(unbroken("all 100 % in 4 s or 2 steps"), "all 100\u00a0% in 4\u00a0s or 2 steps");
    assert.deepEqual(["it broke off: no.", "none"].map(ended), ["it broke off: no.", "none."]);
  });
});
