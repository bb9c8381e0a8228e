import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import type { LabReport } from "../lab-report.ts";
import { example, exampleNotRun, exampleReport, exampleResult } from "./example.fixture.ts";
import { percent, percentInWords, seconds } from "./numbers.ts";
import { renderReport } from "./page.ts";
import { verdictOf } from "./verdict.ts";

const page = renderReport(example);

/** The text of markup, with single spaces. */
function textOf(markup: string): string {
  return markup
    .replace(/<style>[^]*?<\/style>/g, "")
    .replace(/<[^>]*>/g, " ")
    .replaceAll("&gt;", ">")
    .replaceAll("&lt;", "<")
    .replaceAll("&#39;", "'")
    .replaceAll("&amp;", "&")
    .replace(/\s+/g, " ");
}

/** Every tag as it is written. */
const tagsOf = (markup: string): string[] => markup.match(/<[^>]*>/g) ?? [];

/** Tags with the names of their attributes: what a browser makes of the page, whatever its texts. */
const skeleton = (markup: string): string[] => tagsOf(markup).map((tag) => tag.replace(/="[^"]*"/g, "").replace(/\s+/g, " "));

/** The report with every text replaced, names of figures and of attacks too, and tiers alone kept. */
function withTexts(value: unknown, replace: (text: string) => string): unknown {
  if (typeof value === "string") return /^T[0-5]$/.test(value) ? value : replace(value);
  if (Array.isArray(value)) return value.map((each) => withTexts(each, replace));
  if (typeof value !== "object" || value === null) return value;
  const free =
    !("vocabularyTop1" in value) && Object.keys(value).some((key) => key.includes("-") || key === "distinctIds" || key === "meanMargin");
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [free ? replace(key) : key, withTexts(each, replace)]));
}

const rowOf = (name: string): string => {
  const rows = page.split(/<tr role="row"/);
  return rows.find((row) => row.includes(`<span class="name">${name}</span>`)) ?? "";
};

describe("the page of a report", () => {
  test("no text of a report becomes markup", () => {
    const payloads = [
      "<script>alert(1)</script>",
      `"><img src=x onerror=alert(1)>`,
      `' onmouseover='alert(1)' x='`,
      "</title></style><script>alert(1)</script>",
      "--><svg/onload=alert(1)>",
      "&lt;script&gt;",
    ];
    for (const payload of payloads) {
      // Distinct texts stay distinct, so that both pages have the same parts.
      const hostile = renderReport(withTexts(example, (text) => `${text}${payload}`) as LabReport);
      const harmless = renderReport(withTexts(example, (text) => `${text}${payload.replace(/[<>"'&;=/()]/g, "x")}`) as LabReport);
      assert.deepEqual(skeleton(hostile), skeleton(harmless));
      assert.doesNotMatch(hostile, /<script|<img|<svg\/|&lt;script&gt;alert\(1\)&lt;\/script&gt;<\/style>/);
    }
  });

  test("it loads nothing, links to nothing and runs nothing", () => {
    assert.doesNotMatch(page, /https?:|<script|<link|<iframe|<object|<embed|<base|\ssrc=|\shref=|\son\w+=|url\(|@import|javascript:/i);
    const style = /<style>([^]*?)<\/style>/.exec(page)?.[1] ?? "";
    const hash = createHash("sha256").update(style).digest("base64");
    assert.ok(
      page.includes(`default-src &#39;none&#39;; style-src &#39;sha256-${hash}&#39;`),
      "the policy allows the page's own style sheet alone",
    );
    assert.doesNotMatch(page, /\sstyle="/);
  });

  test("elements are closed in order", () => {
    const open: string[] = [];
    for (const tag of tagsOf(page.replace(/<style>[^]*?<\/style>/g, ""))) {
      const [, slash, name = ""] = /^<(\/?)([\w!]+)/.exec(tag) ?? [];
      if (name === "!doctype" || tag.endsWith("/>")) continue;
      if (slash) assert.equal(open.pop(), name, tag);
      else open.push(name);
    }
    assert.deepEqual(open, []);
  });

  test("screen readers find their way", () => {
    for (const landmark of ["header", "main", "footer"]) assert.equal(page.split(`<${landmark}>`).length, 2, landmark);
    assert.equal(page.split("<h1>").length, 2);
    const ids = [...page.matchAll(/\sid="([^"]*)"/g)].map((match) => match[1]);
    assert.equal(new Set(ids).size, ids.length);
    for (const [, names = ""] of page.matchAll(/aria-labelledby="([^"]*)"/g))
      for (const id of names.split(" ")) assert.ok(ids.includes(id), id);
    for (const heading of page.match(/<th\s[^>]*>/g) ?? []) assert.match(heading, /scope="(?:row|col|rowgroup|colgroup)"/);
    for (const table of page.match(/<table[^]*?<\/table>/g) ?? []) assert.match(table, /^<table[^>]*>\s*<caption>/);
    for (const picture of page.match(/<svg[^]*?<\/svg>/g) ?? [])
      assert.match(picture, /aria-hidden="true"|role="img"[^]*<title id=[^]*<desc id=/);
  });

  test("the verdict comes first, then the parts in their order", () => {
    const text = textOf(page);
    const places = [
      "What attacks recover of story-llama-unseen Unseen",
      verdictOf(example).sentence,
      "Who attacks",
      "Most recovered in this run",
      "Vocabulary, top 1",
      "What an advantage is worth",
      "Defences",
      "Notes on the attacks",
      "To repeat it",
      "What this report does not say",
    ].map((part) => text.indexOf(part));
    assert.ok(places.every((place) => place >= 0), places.join(" ")); // prettier-ignore
    assert.deepEqual(
      places,
      places.toSorted((a, b) => a - b),
    );
  });

  test("every attack has its row, with its figures rounded as documented", () => {
    for (const result of example.attacks) {
      const row = textOf(rowOf(result.name));
      assert.ok(row.includes(result.title), result.name);
      assert.ok(row.includes(result.knowledge), result.name);
      if (result.notRun !== null) {
        assert.ok(row.includes(`Not run: ${result.notRun}.`));
        continue;
      }
      const { vocabularyTop1, vocabularyTop10, textTokens, bleu, special, control, controlSetting, spread } = result;
      for (const share of [vocabularyTop1, vocabularyTop10, textTokens, bleu, special, control])
        assert.ok(row.includes(` ${percent(share)} `));
      for (const each of [spread.vocabularyTop1, spread.textTokens]) {
        const [least, greatest] = [percent(each?.least ?? null), percent(each?.greatest ?? null)];
        assert.ok(
          row.includes(least === greatest ? ` each ${least} ` : ` ${least} to ${greatest} `),
          `${result.name}: ${least} ${greatest}`,
        );
      }
      assert.ok(row.includes(` ${seconds(result.seconds)} `));
      assert.ok(row.includes(`${controlSetting?.setting}; needs at least ${percentInWords(controlSetting?.least ?? 0)} `));
    }
  });

  test("what a row cannot say is said in the row", () => {
    assert.match(rowOf("shadow-alignment"), /The control failed: this row says nothing\./);
    assert.match(rowOf("bigram-climb"), /Time ran out: a longer run may recover more\./);
    assert.doesNotMatch(rowOf("gram-match"), /class="flag"/);
    assert.match(
      textOf(rowOf("functional-fingerprint")),
      /Of the 93\.1 % of ids that it can tell apart in the public model it recovers more than 99\.9 %\. Under 3 keys only\./,
    );
    assert.match(
      renderReport(exampleReport([exampleResult("gram", "T2", { vocabularyTop1: 0, control: null })])),
      /The control could not be run: this row says nothing\./,
    );
    assert.match(
      renderReport(exampleReport([exampleResult("judge", "T0", { controlSetting: null, control: null })])),
      />\s*none <span class="quiet">it cannot succeed by design</,
    );
  });

  test("curves and defences are drawn, with their numbers", () => {
    for (const id of [
      "curve-0-vocabularyTop1",
      "curve-1-textTokens",
      "defence-0-fidelity",
      "defence-0-dial",
      "defence-1-vocabularyTop1",
      "defence-1-textTokens",
    ])
      assert.ok(page.includes(`<title id="${id}-title">`), id);
    const text = textOf(page);
    for (const { fidelity, recovery } of example.defences) {
      if (fidelity) assert.ok(text.includes(` ${percent(fidelity.top1)} `));
      for (const { vocabularyTop1 } of Object.values(recovery)) assert.ok(text.includes(` ${percent(vocabularyTop1)} `));
    }
    for (const { curve } of example.attacks)
      for (const { vocabularyTop1 } of curve?.points ?? []) assert.ok(text.includes(` ${percent(vocabularyTop1)} `));
  });

  test("settings, versions and the way to repeat it", () => {
    const text = textOf(page);
    for (const part of [
      "5f0c1d9a7be24c63a1f2908e4d6b37c5",
      "4,096 ids, 3 of them special",
      "200,000 tokens",
      "28 November 2026, 17:04 UTC",
      "unseen 0.1.0, Node v26.2.0, report 1",
      "unseen attack story-llama-unseen --base story-llama --keys 5 --seed 1 --budget 60 --defences --json",
    ])
      assert.ok(text.includes(part), part);
  });

  test("a report of nothing is a page", () => {
    assert.match(renderReport(exampleReport([])), /there was no attack/);
    const curve = { of: "pairs", points: [] };
    assert.match(renderReport(exampleReport([exampleResult("pairs", "T3", { curve })])), /No points/);
    assert.match(renderReport(exampleReport([exampleNotRun("gram", "T2", "there is no base")])), /Not run: there is no base\./);
  });

  test("what is no number is nowhere on the page", () => {
    const nan = exampleResult("broken", "T0", {
      vocabularyTop1: Number.NaN,
      textTokens: Number.NaN,
      seconds: Infinity,
      figures: { odd: Number.NaN },
      curve: { of: "pairs", points: [{ x: Number.NaN, vocabularyTop1: Number.NaN, textTokens: Infinity }] },
    });
    const defences = [{ ...example.defences[0], x: Number.NaN, cost: Infinity, fidelity: { meanKl: Number.NaN, top1: Number.NaN } }];
    assert.doesNotMatch(
      textOf(renderReport(exampleReport([nan], { defences: defences as LabReport["defences"] }))),
      /NaN|Infinity|undefined|null/,
    );
    assert.doesNotMatch(page, /NaN|undefined|\[object/);
  });
});
