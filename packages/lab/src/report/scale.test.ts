import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { isDrawable, scaleFor, shareScale, type Scale } from "./scale.ts";

const labels = (scale: Scale): string[] => scale.ticks.map(({ label }) => label);

describe("scales", () => {
  test("linear ticks are round", () => {
    assert.deepEqual(labels(scaleFor([0, 1, 2, 4, 8])), ["0", "2", "4", "6", "8"]);
    assert.deepEqual(labels(scaleFor([1, 1.324])), ["1", "1.1", "1.2", "1.3", "1.4"]);
    assert.deepEqual(labels(scaleFor([-0.3, 0.3])), ["-0.4", "-0.2", "0", "0.2", "0.4"]);
  });

  test("values of several magnitudes stand on a logarithmic scale", () => {
    assert.deepEqual(labels(scaleFor([100, 200_000])), ["100", "1,000", "10k", "100k"]);
    assert.deepEqual(labels(scaleFor([3, 75])), ["5", "10", "20", "50"]);
    assert.equal(scaleFor([1, 10, 100]).place(10), 0.5);
  });

  test("zero has a place beside logarithms", () => {
    const scale = scaleFor([0, 0.01, 0.1, 1]);
    assert.deepEqual(labels(scale), ["0", "0.01", "0.1", "1"]);
    assert.equal(scale.place(0), 0);
    assert.ok(scale.gap !== null && scale.gap > 0 && scale.gap < scale.place(0.01));
    assert.equal(scaleFor([1, 100]).gap, null);
  });

  test("one value alone has a scale", () => {
    for (const value of [0, 1, 5, -3, 1e9, 1e-9, 1e15]) {
      const scale = scaleFor([value]);
      assert.ok(scale.ticks.length >= 2, `${value}: ${labels(scale).join(" ")}`);
      assert.ok(scale.place(value) >= 0 && scale.place(value) <= 1);
    }
  });

  test("shares have few ends", () => {
    assert.deepEqual(labels(shareScale()), ["0", "25", "50", "75", "100"]);
    assert.deepEqual(labels(shareScale(0.087)), ["0", "2.5", "5", "7.5", "10"]);
    assert.deepEqual(labels(shareScale(0.2)), ["0", "5", "10", "15", "20", "25"]);
    assert.equal(shareScale(0.3).place(0.25), 0.5);
    assert.equal(shareScale().place(7), 1);
  });

  test("whatever can be drawn is placed on the axis, in order, with few ticks on it", () => {
    const value = fc.oneof(fc.double({ noNaN: true }), fc.double({ min: -1e15, max: 1e15, noNaN: true }), fc.integer(), fc.constant(0));
    fc.assert(
      fc.property(fc.array(value.filter(isDrawable), { minLength: 1, maxLength: 12 }), (values) => {
        const scale = scaleFor(values);
        const places = values.toSorted((a, b) => a - b).map((each) => scale.place(each));
        for (const place of places) assert.ok(place >= 0 && place <= 1, `${values.join(" ")}: ${place}`);
        assert.deepEqual(
          places,
          places.toSorted((a, b) => a - b),
        );
        const marks = scale.ticks.map(({ at }) => at);
        assert.ok(marks.length >= 2 && marks.length <= 12, `${values.join(" ")}: ${labels(scale).join(" ")}`);
        assert.ok(marks.every((at) => at >= 0 && at <= 1));
        assert.equal(new Set(labels(scale)).size, marks.length, labels(scale).join(" "));
      }),
      { seed: 1, numRuns: 1000 },
    );
  });
});
