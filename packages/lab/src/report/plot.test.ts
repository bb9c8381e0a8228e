import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { renderPlot } from "./plot.ts";
import type { Point, Series } from "./series.ts";

const draw = (series: readonly Series[], share = false): string =>
  renderPlot({ id: "plot", title: "A plot", x: { label: "Known pairs", share }, y: { label: "Recovered, %" }, series }).toString();

/** All numbers of paths, places and transformations. */
function coordinates(svg: string): number[] {
  const attributes = [...svg.matchAll(/\s(?:d|x|y|transform)="([^"]*)"/g)].map((match) => match[1] as string);
  return attributes.flatMap((each) => (each.match(/-?\d+(?:\.\d+)?(?:e-?\d+)?/g) ?? []).map(Number));
}

const markers = (svg: string): string[] => svg.match(/class="marker"/g) ?? [];

describe("plots", () => {
  test("a line goes where its points are", () => {
    const svg = draw([{ name: "ridge", points: [{ x: 0, y: 0 }, { x: 5, y: 0.5 }, { x: 10, y: 1 }] }]); // prettier-ignore
    const path = /class="line"\s+d="([^"]*)"/.exec(svg)?.[1];
    assert.equal(path, "M34 234L178 133L322 32");
    assert.equal(markers(svg).length, 3);
  });

  test("it is a picture with a title and a description", () => {
    const svg = draw([{ name: "ridge", points: [{ x: 0, y: 0 }, { x: 1000, y: 0.93 }] }]); // prettier-ignore
    assert.match(svg, /role="img"/);
    assert.match(svg, /aria-labelledby="plot-title plot-description"/);
    assert.match(svg, /<title id="plot-title">A plot<\/title>/);
    assert.match(svg, /<desc id="plot-description">[^<]*ridge: 0 % at 0, 93 % at 1,000\./);
  });

  test("no points, one point, and points that are no numbers", () => {
    assert.match(draw([]), /No points/);
    assert.match(draw([{ name: "a", points: [] }]), /No points/);
    const one = draw([{ name: "a", points: [{ x: 100, y: 0.5 }] }]);
    assert.equal(markers(one).length, 1);
    assert.doesNotMatch(one, /class="line"/);
    const nan = draw([{ name: "a", points: [{ x: Number.NaN, y: 0.5 }, { x: 1, y: Number.NaN }, { x: Infinity, y: 1 }, { x: 2, y: 0.1 }] }]); // prettier-ignore
    assert.equal(markers(nan).length, 1);
    assert.doesNotMatch(nan, /NaN|Infinity/);
  });

  test("names stand at the ends of lines, apart from each other", () => {
    const series = ["gram-match", "functional-fingerprint", "procrustes"].map((name) => ({
      name,
      points: [
        { x: 1, y: 0.2 },
        { x: 2, y: 1 },
      ],
    }));
    const heights = [...draw(series).matchAll(/<tspan x="\d+" y="([\d.]+)"/g)].map((match) => Number(match[1]));
    assert.equal(heights.length, 4, "the second takes two lines");
    for (const [index, height] of heights.entries()) if (index > 0) assert.ok(height - (heights[index - 1] as number) >= 12);
  });

  test("where there is no room for names there are none", () => {
    const series = Array.from({ length: 20 }, (_, index) => ({ name: `attack-${index}`, points: [{ x: index, y: 0.5 }] }));
    assert.doesNotMatch(draw(series), /tspan/);
  });

  test("names do not leave their place", () => {
    const svg = draw([{ name: `"><script>alert(1)</script>`, points: [{ x: 1, y: 1 }] }]);
    assert.doesNotMatch(svg, /<script|"><s/);
  });

  test("every coordinate is a number within the picture", () => {
    const point: fc.Arbitrary<Point> = fc.record({ x: fc.oneof(fc.double(), fc.integer(), fc.constant(0)), y: fc.double() });
    const series: fc.Arbitrary<Series> = fc.record({ name: fc.string(), points: fc.array(point, { maxLength: 5 }) });
    fc.assert(
      fc.property(fc.array(series, { maxLength: 4 }), fc.boolean(), (lines, share) => {
        const svg = draw(lines, share);
        assert.doesNotMatch(svg.replace(/<desc[^]*<\/desc>|<tspan[^]*?<\/tspan>/g, ""), /NaN|Infinity|undefined/);
        for (const each of coordinates(svg)) assert.ok(Math.abs(each) <= 440, String(each));
      }),
      { seed: 1, numRuns: 300 },
    );
  });
});
