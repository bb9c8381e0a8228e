/**
 * A contest as a page: no script, nothing loaded from anywhere.
 * @module
 */
import { createHash } from "node:crypto";
import { html, raw } from "hono/html";
import type { HtmlEscapedString } from "hono/utils/html";
import type { Contest } from "./contest.ts";
import type { Standing } from "./store.ts";

// What is hashed is what stands between the tags, to the last space.
const STYLE = `
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); --accent: light-dark(#0b6b5d, #5fd3bd); }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 56rem; padding: 2.5rem 1.25rem 4rem; font: 16px/1.55 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.75rem; line-height: 1.2; }
h2 { margin: 2.5rem 0 .75rem; font-size: 1.15rem; }
p.facts { margin: .4rem 0 0; opacity: .75; }
code, .ids { font-family: ui-monospace, monospace; font-size: .875rem; overflow-wrap: anywhere; }
.ids { margin: 0; padding: .9rem 1rem; border: 1px solid var(--line); border-radius: .5rem; line-height: 1.8; max-height: 24rem; overflow: auto; }
.ids b { color: var(--accent); }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .45rem .75rem .45rem 0; border-bottom: 1px solid var(--line); text-align: left; }
.rank { width: 4rem; }
.number { text-align: right; padding-right: 2rem; }
li + li { margin-top: .35rem; }
pre { margin: 0; padding: .9rem 1rem; border: 1px solid var(--line); border-radius: .5rem; overflow-x: auto; }
`;

/** `Content-Security-Policy` of the page: its own style and nothing else. */
export const PAGE_POLICY = `default-src 'none'; style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

/** The page of a contest. Everything that comes from files or participants is escaped. */
export function contestPage(contest: Contest, standings: readonly Standing[]): HtmlEscapedString | Promise<HtmlEscapedString> {
  const { model, hints, prompt, response } = contest;
  const title = `${contest.practice ? "Practice contest" : "Contest"} of ${contest.date}`;
  const facts = `Family ${model.family}, ${model.vocabularySize} tokens in the vocabulary${model.fingerprint ? `, model ${model.fingerprint}` : ""}.`;
  const hinted = Object.entries(hints);
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        ${raw(`<style>${STYLE}</style>`)}
      </head>
      <body>
        <h1>${title}</h1>
        <p class="facts">${facts}</p>
        <h2>Leaderboard</h2>
        ${leaderboard(standings)}
        <h2>Prompt, ${prompt.length} tokens</h2>
        ${idList(prompt, hints)}
        <h2>Response, ${response.length} tokens</h2>
        ${idList(response, hints)}
        ${
          hinted.length === 0
            ? ""
            : html`<h2>Hints</h2>
                <table>
                  <tr>
                    <th>id</th>
                    <th>token</th>
                  </tr>
                  ${hinted.map(
                    ([id, text]) =>
                      html`<tr>
                        <td>${id}</td>
                        <td><code>${JSON.stringify(text)}</code></td>
                      </tr>`,
                  )}
                </table>`
        }
        <h2>Rules</h2>
        <ul>
          ${contest.rules.map((rule) => html`<li>${rule}</li>`)}
        </ul>
        <h2>Submit</h2>
        <pre><code>curl --data-binary @submission.json -H "Authorization: Bearer $TOKEN" ADDRESS/submissions</code></pre>
        <p>
          The token comes from the organiser. <a href="/contest.json">contest.json</a> and <a href="/leaderboard.json">leaderboard.json</a>
          are for programs.
        </p>
        <p class="facts">Contest ${contest.id}. Commitment to the solution: <code>${contest.commitment}</code></p>
      </body>
    </html>`;
}

function idList(ids: readonly number[], hints: Contest["hints"]): HtmlEscapedString | Promise<HtmlEscapedString> {
  if (ids.length === 0) return html`<p class="ids">none</p>`;
  return html`<p class="ids">
    ${ids.map((id) => (Object.hasOwn(hints, id) ? html`<b title="${JSON.stringify(hints[id])}">${id}</b> ` : `${id} `))}
  </p>`;
}

function leaderboard(standings: readonly Standing[]): HtmlEscapedString | Promise<HtmlEscapedString> {
  if (standings.length === 0) return html`<p>No submissions yet.</p>`;
  return html`<table>
    <tr>
      <th class="rank">rank</th>
      <th>participant</th>
      <th class="number">score</th>
      <th>submitted (UTC)</th>
    </tr>
    ${standings.map(
      ({ rank, participant, score, submitted }) =>
        html`<tr>
          <td class="rank">${rank}</td>
          <td>${participant}</td>
          <td class="number">${score}</td>
          <td>${submitted.slice(0, 19).replace("T", " ")}</td>
        </tr>`,
    )}
  </table>`;
}
