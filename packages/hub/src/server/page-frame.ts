/**
 * What all pages share: no script, nothing loaded from elsewhere, light and dark.
 * @module
 */
import { createHash } from "node:crypto";
import { html, raw } from "hono/html";
import type { HtmlEscapedString } from "hono/utils/html";

/** A piece of a page; what was put into it is escaped. */
export type Markup = HtmlEscapedString | Promise<HtmlEscapedString>;

// What is hashed is what stands between the tags, to the last space.
const STYLE = `
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 16%, transparent); --faint: color-mix(in srgb, currentColor 5%, transparent);
  --accent: light-dark(#0b6b5d, #5fd3bd); }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 2.5rem 1.25rem 4rem; font: 16px/1.55 system-ui, sans-serif; }
a { color: var(--accent); text-underline-offset: .15em; }
nav { margin-bottom: 1.5rem; font-size: .9rem; }
h1 { margin: 0; font-size: 1.75rem; line-height: 1.2; overflow-wrap: anywhere; }
h2 { margin: 2.5rem 0 .75rem; font-size: 1.15rem; }
h3 { margin: 0; font-size: 1rem; }
p.facts { margin: .4rem 0 0; opacity: .75; overflow-wrap: anywhere; }
code, pre { font-family: ui-monospace, monospace; font-size: .875rem; overflow-wrap: anywhere; }
pre { margin: 0; padding: .9rem 1rem; background: var(--faint); border: 1px solid var(--line); border-radius: .5rem; white-space: pre-wrap; }
.scroll { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .45rem 1rem .45rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { font-weight: 600; }
tr:last-child td { border-bottom: 0; }
td.number, th.number { text-align: right; }
section.cut { margin-top: 1rem; padding: 1rem 1.25rem; border: 1px solid var(--line); border-radius: .5rem; }
section.cut h3, p.facts + .scroll { margin-bottom: .5rem; }
section.cut h3 small { font-weight: 400; opacity: .75; }
.leak { margin-top: 1rem; padding-top: 1rem; border-top: 1px solid var(--line); }
.warning { border: 2px solid #b45309; border-radius: .5rem; padding: .5rem .75rem; }
.leak figure { margin: 0; } .leak figcaption { font-size: .9em; opacity: .75; }
.leak img { max-width: 100%; height: auto; margin-top: .75rem; border-radius: .25rem; image-rendering: pixelated; }
.missing { opacity: .75; font-style: italic; }
ul { padding-left: 1.25rem; }
`;

/** `Content-Security-Policy` of every page: its own style, pictures of this hub, nothing else. */
export const PAGE_POLICY = `default-src 'none'; style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

/** A whole page. */
export function page(title: string, body: Markup): Markup {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        ${raw(`<style>${STYLE}</style>`)}
      </head>
      <body>
        ${body}
      </body>
    </html>`;
}

/** Bytes for people. */
export function bytesText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1024 ** 2 ? `${(bytes / 1024).toFixed(0)} KiB` : `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}

/** A share for people, in three digits. */
export function percent(share: number): string {
  return `${Number((share * 100).toPrecision(3))} %`;
}
