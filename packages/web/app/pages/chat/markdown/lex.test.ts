/**
 * Text that grows is parsed as the whole would be, fast, whatever it holds.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { growMarkdown, type Block } from "./lex.ts";

const TEXT = `# Title

A paragraph with *emphasis*, **strength**, \`code\` and [a link](https://example.com).
Its second line.

- one
- two

  still two
  1. inner
  2. more

- [x] done
- [ ] open

> a quote
> - with a list

| a | b |
|---|--:|
| 1 | 2 |

\`\`\`ts
const answer = 42;

// after an empty line
\`\`\`

    indented code

    more of it

Last [reference][r] here.

[r]: https://example.com/reference
`;

function readable(blocks: readonly Block[]): unknown {
  return JSON.parse(JSON.stringify(blocks));
}

test("text that comes in pieces ends as the whole text does", () => {
  const pieces = fc.array(
    fc.constantFrom(
      "# a\n",
      "\n",
      "\n\n",
      "- a\n",
      "  - b\n",
      "> q\n",
      "```\n",
      "x *y*",
      " **z",
      "**",
      "| a |\n",
      "|---|\n",
      "1. ",
      "    c\n",
      "<div>",
      "[r]",
      "[r]: http://a.b\n",
      "\r\n",
      "\t",
      "=\n",
      "&lt;",
    ),
    { maxLength: 40 },
  );
  fc.assert(
    fc.property(pieces, (parts) => {
      const growing = growMarkdown();
      let text = "";
      for (const part of parts) growing.parse((text += part), false);
      const whole = growMarkdown().parse(text, true);
      assert.deepEqual(readable(growing.parse(text, true)), readable(whole));
    }),
    { numRuns: 1500 },
  );
});

test("every prefix of a text ends as the whole prefix does, and finished blocks stay the same objects", () => {
  const growing = growMarkdown();
  let before: readonly Block[] = [];
  let kept = 0;
  for (let length = 1; length <= TEXT.length; length += 1) {
    const blocks = growing.parse(TEXT.slice(0, length), false);
    kept += before.slice(0, -3).filter((block, index) => blocks[index] === block).length;
    before = blocks;
  }
  assert.ok(kept > TEXT.length * 3, `${kept} kept`);
  assert.deepEqual(readable(growing.parse(TEXT, true)), readable(growMarkdown().parse(TEXT, true)));
});

test("an answer of 200 kB that comes word by word is parsed at less than 2 ms a step", () => {
  const long = TEXT.replace(/^\[r\].*\n/m, "").repeat(Math.ceil(200_000 / TEXT.length));
  const growing = growMarkdown();
  let steps = 0;
  const begin = performance.now();
  for (let length = 200; length <= long.length; length += 200) {
    growing.parse(long.slice(0, length), false);
    steps += 1;
  }
  const each = (performance.now() - begin) / steps;
  assert.ok(each < 2, `${each.toFixed(2)} ms a step`);
});

test("one block without an end stays affordable", () => {
  for (const unit of ["word ", "- item\n\n", "> line\n", "| a | b |\n", "*a* "]) {
    const long = (unit.startsWith("|") ? "| a | b |\n|---|---|\n" : "") + unit.repeat(100_000 / unit.length);
    const growing = growMarkdown();
    const begin = performance.now();
    for (let length = 1_000; length <= long.length; length += 1_000) growing.parse(long.slice(0, length), false);
    const each = (performance.now() - begin) / 100;
    assert.ok(each < 60, `${JSON.stringify(unit)}: ${each.toFixed(1)} ms a step`);
  }
});

test("what would hang or overflow a parser is text after a moment", () => {
  const many = 100_000;
  const hostile: Record<string, string> = {
    quotes: ">".repeat(many),
    "spaced quotes": "> ".repeat(many),
    lists: "- ".repeat(many),
    numbers: "1. ".repeat(many),
    brackets: "[".repeat(many),
    pictures: "![".repeat(many),
    links: "[a](".repeat(many / 4),
    stars: "*".repeat(many),
    "emphasis open": "*a **a ".repeat(many / 7),
    underlines: "_a".repeat(many / 2),
    nested: "**_".repeat(many / 6) + "a" + "_**".repeat(many / 6),
    ticks: Array.from({ length: 440 }, (_, index) => "`".repeat(index)).join(" "),
    tags: "<a ".repeat(many / 3),
    comments: "<!--".repeat(many / 4),
    divisions: "<div>".repeat(many / 5),
    cells: `${"|a".repeat(many / 2)}\n${"|-".repeat(many / 2)}`,
    "lists by indentation": Array.from({ length: 400 }, (_, index) => `${" ".repeat(index * 2)}- a`).join("\n"),
    "quotes by line": Array.from({ length: 400 }, (_, index) => `${">".repeat(index)} a`).join("\n"),
    addresses: "http://a.".repeat(many / 9),
    mail: "a@b.".repeat(many / 4),
    definitions: Array.from({ length: many / 20 }, (_, index) => `[${index}]: http://a\n`).join(""),
    "prototype names": "[__proto__]: http://a\n[constructor]: http://b\n[a][__proto__] [constructor]\n",
    fences: "```\n".repeat(many / 4),
    headings: "a\n=\n".repeat(many / 4),
    spaces: `a${" ".repeat(many)}b`,
    huge: "word ".repeat(200_000),
  };
  for (const [name, text] of Object.entries(hostile)) {
    const begin = performance.now();
    const blocks = growMarkdown().parse(text, true);
    const time = performance.now() - begin;
    assert.ok(blocks.length > 0, name);
    assert.ok(time < 1_500, `${name}: ${time.toFixed(0)} ms`);
    assert.equal(
      blocks
        .map(({ raw }) => raw)
        .join("")
        .replaceAll(/\s/g, ""),
      text.replaceAll(/\s/g, ""),
      name,
    );
  }
  assert.equal(({} as Record<string, unknown>)["href"], undefined);
});
