import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DARK, LIGHT, properties } from "./palette.ts";
import { STYLE } from "./style.ts";

/** Source: Web Content Accessibility Guidelines 2.2, contrast ratio and relative luminance. */
function contrast(one: string, other: string): number {
  const [light = 0, dark = 0] = [luminance(one), luminance(other)].toSorted((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = (colour.match(/[0-9a-f]{2}/g) ?? []).map((digits) => {
    const value = Number.parseInt(digits, 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

describe("colours", () => {
  test("text can be read, in light and dark", () => {
    assert.equal(contrast("#000000", "#ffffff"), 21);
    for (const { paper, shade, ink, quiet, accent, warning, warningPaper, lines } of [LIGHT, DARK]) {
      for (const text of [ink, quiet, accent, warning, ...lines]) assert.ok(contrast(text, paper) >= 4.5, `${text} on ${paper}`);
      for (const [text, ground] of [[ink, shade], [warning, warningPaper]] as const) assert.ok(contrast(text, ground) >= 4.5, `${text} on ${ground}`); // prettier-ignore
    }
  });

  test("the style sheet defines every property that it uses", () => {
    const defined = new Set([...STYLE.matchAll(/(--[\w-]+):/g)].map((match) => match[1]));
    const used = [...STYLE.matchAll(/var\((--[\w-]+)\)/g)].map((match) => match[1]);
    assert.ok(used.length > 20);
    assert.deepEqual(used.filter((name) => !defined.has(name)), []); // prettier-ignore
    assert.match(properties(DARK), /--warning-paper: #/);
  });

  test("dark has what light has", () => {
    assert.deepEqual(Object.keys(DARK), Object.keys(LIGHT));
    assert.equal(DARK.lines.length, LIGHT.lines.length);
    assert.equal(new Set(LIGHT.lines).size, LIGHT.lines.length);
  });
});
