/**
 * A report as one page that needs nothing else: no script, no font, no picture, no network.
 * @module
 */
import { createHash } from "node:crypto";
import type { LabReport } from "../lab-report.ts";
import { renderCurves } from "./curves.ts";
import { renderDefences } from "./defences.ts";
import { html, trusted, type Html, type HtmlValue } from "./escape.ts";
import { renderNotes } from "./notes.ts";
import { counted, grouped, unbroken } from "./numbers.ts";
import { dateOf, renderLimits, renderSettings } from "./settings.ts";
import { STYLE } from "./style.ts";
import { renderAttacks } from "./table.ts";
import { renderTiers } from "./tiers.ts";
import { verdictOf } from "./verdict.ts";

/** Of all that a browser could load or run, only the page's own style sheet: a second wall behind escaping (CWE-79). */
const POLICY = `default-src 'none'; style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'; base-uri 'none'; form-action 'none'`;

/** The page of a report. Every text of the report is escaped; figures that are no numbers are left out. */
export function renderReport(report: LabReport): string {
  const { model, settings, attacks, defences } = report;
  const verdict = verdictOf(report);
  const curves = renderCurves(attacks);
  const facts = [
    `Strength ${model.strength}`,
    `${grouped(model.vocabulary)} token ids`,
    counted(settings.keys, "key"),
    dateOf(report.created),
  ];
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${POLICY}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="referrer" content="no-referrer" />
        <meta name="color-scheme" content="light dark" />
        <title>What attacks recover of ${model.name}</title>
        ${trusted(`<style>${STYLE}</style>`)}
      </head>
      <body>
        <header>
          <p class="eyebrow">Unseen: an encrypted model under attack</p>
          <h1>What attacks recover of ${model.name}</h1>
          <p class="verdict">${unbroken(verdict.sentence)}</p>
          <p class="limits">${unbroken(verdict.limits.join(" "))}</p>
          <p class="facts">${facts.join(" · ")}</p>
        </header>
        <main>
          ${section("tiers", "Who attacks", renderTiers(attacks))}
          ${section("attacks", "Attacks", attacks.length === 0 ? html`<p>This run had no attacks.</p>` : renderAttacks(attacks, settings.keys))}
          ${curves.length === 0 ? null : section("curves", "What an advantage is worth", curves)}
          ${defences.length === 0 ? null : section("defences", "Defences", renderDefences(defences))}
          ${attacks.length === 0 ? null : section("notes", "Notes on the attacks", renderNotes(attacks))}
          ${section("settings", "Settings", renderSettings(report))}
          ${section("not-said", "What this report does not say", renderLimits(report))}
        </main>
        <footer>
          <p>Made by unseen ${report.versions.unseen}. This page loads nothing and runs no script.</p>
        </footer>
      </body>
    </html> `;
  return page.toString();
}

function section(id: string, heading: string, content: HtmlValue): Html {
  return html`<section aria-labelledby="${id}">
    <h2 id="${id}">${heading}</h2>
    ${content}
  </section> `;
}
