/**
 * What belongs to single attacks: their source, a remark, and figures that no other has.
 * @module
 */
import type { AttackResult } from "../result.ts";
import { html, type Html } from "./escape.ts";
import { figure, inWords } from "./numbers.ts";

/** A list with an entry for each attack. */
export function renderNotes(attacks: readonly AttackResult[]): Html {
  const entries = attacks.map(({ name, source, remark, figures }) => {
    const own = Object.entries(figures).map(([key, value]) => `${inWords(key)}: ${figure(value)}`);
    return html`<div>
      <dt>${name}</dt>
      <dd>
        ${remark === null ? null : html`<p>${remark}</p>`} ${own.length === 0 ? null : html`<p>${own.join("; ")}.</p>`}
        <p class="quiet">Source: ${source}</p>
      </dd>
    </div> `;
  });
  return html`<dl class="notes">${entries}</dl>`;
}
