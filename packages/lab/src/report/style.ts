/**
 * The page's style sheet: paper-like, light or dark as the reader's machine is, cards instead of wide tables on a phone, plain in print.
 * @module
 */
import { DARK, LIGHT, properties } from "./palette.ts";

const FONTS = `
  --serif: Charter, "Bitstream Charter", "Sitka Text", Cambria, "Liberation Serif", Georgia, serif;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", Arial, sans-serif;
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "Liberation Mono", monospace;`;

const TEXT = `
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 4.5rem 2rem 5rem; max-width: 66rem; background: var(--paper); color: var(--ink); font: 1.0625rem/1.55 var(--serif); overflow-wrap: break-word; }
h1, h2, h3, p, dl, ul, figure, pre { margin: 0; }
.eyebrow { color: var(--quiet); font: 500 0.8125rem/1.4 var(--sans); letter-spacing: 0.02em; }
h1 { margin-top: 0.75rem; font-size: 1.375rem; font-weight: 600; line-height: 1.3; }
.verdict { margin-top: 1.5rem; max-width: 46rem; font-size: clamp(1.5rem, 1.1rem + 1.8vw, 2.125rem); line-height: 1.25; letter-spacing: -0.011em; text-wrap: pretty; }
.limits { margin-top: 1.25rem; max-width: 44rem; text-wrap: pretty; }
.facts { margin-top: 1.25rem; color: var(--quiet); font: 0.875rem/1.5 var(--sans); font-variant-numeric: tabular-nums; }
section { margin-top: 4.5rem; }
h2 { margin-bottom: 1.25rem; padding-top: 0.875rem; border-top: 1px solid var(--ink); font-size: 1.375rem; font-weight: 600; line-height: 1.3; }
h3 { margin-bottom: 1rem; font: 600 1rem/1.4 var(--mono); }
section section { margin-top: 3rem; }
h2 + section { margin-top: 0; }
section > p, section > ul { max-width: 44rem; }
section > ul { padding-left: 1.25rem; }
li + li { margin-top: 0.5rem; }
.quiet { color: var(--quiet); }
code { font-family: var(--mono); font-size: 0.9em; }
pre { margin: 0.75rem 0; padding: 0.875rem 1rem; overflow-x: auto; background: var(--shade); line-height: 1.5; }
p.quiet { font-size: 0.9375rem; }
p code { white-space: nowrap; }
footer { margin-top: 5rem; padding-top: 0.875rem; border-top: 1px solid var(--rule); color: var(--quiet); font: 0.8125rem/1.5 var(--sans); }`;

const TABLES = `
table { width: 100%; border-collapse: separate; border-spacing: 0; font: 0.875rem/1.45 var(--sans); font-variant-numeric: tabular-nums lining-nums; }
caption { padding-bottom: 1.25rem; max-width: 44rem; color: var(--quiet); font: 0.9375rem/1.5 var(--serif); text-align: left; text-wrap: pretty; }
th, td { padding: 0.75rem 0.625rem; border-bottom: 1px solid var(--rule); font-weight: 400; text-align: left; vertical-align: top; }
th:first-child, td:first-child { padding-left: 0; }
th:last-child, td:last-child { padding-right: 0; }
thead th { border-bottom: 1px solid var(--quiet); color: var(--quiet); font-size: 0.8125rem; line-height: 1.3; vertical-align: bottom; }
.number { text-align: right; }
tbody td.number { white-space: nowrap; }
.tiers .tier { font-weight: 600; }
.tiers .most { width: 15rem; }
.bar { display: block; width: 100%; height: 0.375rem; margin: 0.5rem 0; }
.bar-track { fill: var(--rule); }
.bar-value { fill: var(--accent); }
.bar-label { display: block; }
.attacks thead th { width: 5.25rem; }
.attacks thead th:first-child { width: auto; }
.attacks thead th:last-child { width: 11.5rem; }
.attacks .control { padding-left: 1.75rem; }
.attacks .group th { padding-top: 2rem; border-bottom-color: var(--quiet); color: var(--quiet); }
.attacks tbody:first-of-type .group th { padding-top: 1.25rem; }
.attacks .group b { margin-right: 0.5rem; color: var(--ink); }
.attacks tbody th span, .attacks .flag { display: block; }
.attacks .name { font-family: var(--mono); font-size: 0.9375em; font-weight: 600; }
.attacks .title { margin: 0.125rem 0 0.25rem; }
.attacks td { font-size: 0.9375rem; }
.attacks td .quiet { display: block; font-size: 0.75rem; line-height: 1.4; white-space: normal; }
.attacks td .spread { white-space: nowrap; }
.attacks th .quiet { font-size: 0.8125rem; }
.attacks .empty, .attacks .not-run { color: var(--quiet); }
.attacks .flag { margin-top: 0.5rem; padding: 0.25rem 0.625rem; border-left: 3px solid var(--warning); background: var(--warning-paper); color: var(--warning); font-size: 0.8125rem; font-weight: 600; }
.attacks .void td { color: var(--quiet); }
.attacks .void td:last-child { color: var(--warning); }
.numbers { width: auto; min-width: 60%; }
.numbers th, .numbers td { padding: 0.3125rem 0.75rem; }
.numbers tbody > tr > * { white-space: nowrap; }
.numbers caption { max-width: min(44rem, calc(100vw - 2.25rem)); }
.numbers tbody tr:last-child > * { border-bottom-color: var(--quiet); }
.scroll { overflow-x: auto; }
.scroll + .scroll { margin-top: 1.5rem; }
dl.settings { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1.125rem 2rem; margin-bottom: 2rem; font: 0.9375rem/1.45 var(--sans); font-variant-numeric: tabular-nums; }
.settings dt { color: var(--quiet); font-size: 0.8125rem; }
dd { margin: 0; overflow-wrap: anywhere; }
.notes > div { display: grid; grid-template-columns: 15rem 1fr; gap: 0.25rem 2rem; padding: 0.875rem 0; border-bottom: 1px solid var(--rule); }
.notes dt { font: 600 0.875rem/1.6 var(--mono); overflow-wrap: anywhere; }
.notes dd { max-width: 42rem; font-size: 1rem; }`;

const FIGURES = `
figure + figure { margin-top: 3rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 1.5rem 2.5rem; }
.panel { max-width: 32rem; }
.plot { display: block; width: 100%; height: auto; font-family: var(--sans); font-size: 12px; font-variant-numeric: tabular-nums; overflow: visible; }
.grid { stroke: var(--rule); stroke-width: 1; }
.axis, .gap { fill: none; stroke: var(--quiet); stroke-width: 1; }
.gap { stroke: var(--ink); }
.tick, .axis-label { fill: var(--quiet); }
.axis-label { fill: var(--ink); }
.line { fill: none; stroke: currentColor; stroke-width: 2; stroke-linejoin: round; }
.marker { fill: currentColor; stroke: var(--paper); stroke-width: 1; }
.leader { fill: none; stroke: currentColor; stroke-width: 0.75; opacity: 0.6; }
.line-label { fill: currentColor; font-size: 11.5px; }
.legend { display: flex; flex-wrap: wrap; gap: 0.375rem 1.75rem; margin-top: 1rem; padding: 0; list-style: none; font: 0.8125rem/1.5 var(--sans); }
.legend li { margin: 0; }
.swatch { vertical-align: -1px; margin-right: 0.375rem; }
figcaption { margin-top: 1rem; max-width: 44rem; color: var(--quiet); font-size: 0.9375rem; line-height: 1.5; text-wrap: pretty; }
details { margin-top: 0.875rem; font: 0.875rem/1.5 var(--sans); }
summary { width: fit-content; color: var(--accent); cursor: pointer; }
details .scroll { margin-top: 1rem; }
.defence .scroll { margin-top: 1.75rem; }
summary:focus-visible, .scroll:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; }`;

/** A row becomes a card: its head across, then name and figure side by side. */
const PHONE = `
@media screen and (max-width: 48rem) {
  body { padding: 2rem 1.125rem 3rem; font-size: 1rem; }
  section { margin-top: 3rem; }
  .tiers, .tiers tbody, .tiers caption, .attacks, .attacks tbody, .attacks caption { display: block; }
  .tiers thead, .attacks thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .tiers tr { display: block; padding: 0.875rem 0; border-bottom: 1px solid var(--rule); }
  .tiers th, .tiers td { display: block; width: auto; padding: 0.125rem 0; border: 0; }
  .tiers .most { width: auto; }
  .tiers td:nth-child(n + 3)::before { content: attr(data-label); display: block; margin-top: 0.375rem; color: var(--quiet); font-size: 0.75rem; line-height: 1.4; }
  .attacks tr { display: grid; grid-template-columns: repeat(3, 1fr); gap: 0.75rem 1rem; padding: 1rem 0; border-bottom: 1px solid var(--rule); }
  .attacks th, .attacks td { display: block; padding: 0; border: 0; text-align: left; }
  .attacks tbody th, .attacks td:last-child, .attacks .not-run { grid-column: 1 / -1; }
  .attacks tbody .group th, .attacks tbody:first-of-type .group th { padding-top: 1rem; }
  .attacks td[data-label]::before { content: attr(data-label); display: block; color: var(--quiet); font-size: 0.75rem; line-height: 1.4; }
  .attacks .control { padding: 0; }
  .attacks td.empty { display: none; }
  .notes > div { grid-template-columns: 1fr; }
  .numbers { min-width: 100%; }
  .numbers tbody th { position: sticky; left: 0; background: var(--paper); }
}`;

const PRINT = `
@media print {
  @page { margin: 18mm 16mm; }
  html { font-size: 8.5pt; }
  body { padding: 0; max-width: none; }
  section { margin-top: 3rem; }
  h2, h3, caption, thead, .group { break-after: avoid; }
  caption, tr, figure, .numbers, .notes > div, .settings > div { break-inside: avoid; }
  th, td { padding: 0.5rem 0.4rem; }
  .tiers .most { width: 12rem; }
  .attacks thead th { width: 4.5rem; }
  .attacks thead th:last-child { width: 10rem; }
  .bar-track, .bar-value, .marker, .attacks .flag, pre { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .plots { grid-template-columns: 1fr 1fr; }
  .scroll { overflow: visible; }
  details:not([open]) { display: none; }
  pre { white-space: pre-wrap; }
}`;

const LINES = LIGHT.lines.map((_, index) => `.series-${index} { color: var(--line-${index}); }`).join("\n");

/** The whole style sheet. It loads nothing. */
export const STYLE = `
:root { color-scheme: light; ${properties(LIGHT)}${FONTS} }
@media screen and (prefers-color-scheme: dark) { :root { color-scheme: dark; ${properties(DARK)} } }
${TEXT}
${TABLES}
${FIGURES}
${LINES}
${PHONE}
${PRINT}
`;
