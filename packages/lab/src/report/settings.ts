/**
 * How a report came about, how to make it again, and what it does not say.
 * @module
 */
import type { LabReport } from "../lab-report.ts";
import { commandLine } from "./command-line.ts";
import { html, type Html, type HtmlValue } from "./escape.ts";
import { counted, duration, grouped } from "./numbers.ts";

const WITH_TEXTS = html`Add the texts that were used, with <code>--traffic</code>, <code>--prior</code> and <code>--known</code>: they are
  not in the report.`;

/** The list of settings and the command that repeats the run. */
export function renderSettings(report: LabReport): Html {
  const { model, settings, versions } = report;
  const entries: readonly (readonly [string, HtmlValue])[] = [
    ["Model", `${model.name}, ${model.family}`],
    ["Public original", model.base ?? "not given: attacks that need it were not run"],
    ["Strength", model.strength],
    ["Vocabulary", `${grouped(model.vocabulary)} ids, ${grouped(model.special)} of them special`],
    ["Fingerprint", html`<code>${model.fingerprint}</code>`],
    ["Keys", grouped(settings.keys)],
    ["Seed", String(settings.seed)],
    ["Budget", `${duration(settings.budgetSeconds)} for each attack and key`],
    ["Recorded", counted(settings.recordedTokens, "token")],
    ["Held out, to score on", counted(settings.heldOutTokens, "token")],
    ["The attacker's own texts", counted(settings.priorTokens, "token")],
    ["Made", html`<time datetime="${report.created}">${dateOf(report.created)}</time>`],
    ["Versions", `unseen ${versions.unseen}, Node ${versions.node}, report ${report.version}`],
  ];
  const texts = settings.recordedTokens + settings.priorTokens + settings.heldOutTokens > 0;
  return html`<dl class="settings">
      ${entries.map(
        ([name, value]) =>
          html`<div>
            <dt>${name}</dt>
            <dd>${value}</dd>
          </div> `,
      )}
    </dl>
    <p>To repeat it, where the model and its key are:</p>
    <pre><code>${commandLine(report)}</code></pre>
    <p class="quiet">${texts ? WITH_TEXTS : null} The same seed and texts give the same figures, save where the time runs out.</p>`;
}

/** `28 November 2026, 14:03 UTC`; text that is no date stays as it is. */
export function dateOf(created: string): string {
  const date = new Date(created);
  if (Number.isNaN(date.getTime())) return created;
  const day = date.toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });
  return `${day}, ${date.toISOString().slice(11, 16)} UTC`;
}

/** What no figure of the page rules out. */
export function renderLimits({ defences }: LabReport): Html {
  const limits = [
    "What other attacks recover, or these with more time, more traffic or better texts. A figure is what an attacker gets at least, never at most.",
    "Anything about another model, another language or other texts than these.",
    "What needs no attack: lengths, timing, the number and order of requests, equal texts that look equal, and which model it is.",
    "What happens at a tier without a figure. A host that lies is not measured by attacks on recordings.",
    ...(defences.length > 0 ? ["What an attack recovers that is made for a defence. Published defences fell to such attacks."] : []),
    "That a low figure is safe. An attack that fails shows that this attack failed.",
  ];
  return html`<ul>
    ${limits.map((limit) => html`<li>${limit}</li> `)}
  </ul>`;
}
