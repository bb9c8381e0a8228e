/**
 * The tiers of the threat model in plain words.
 * @module
 */
import type { Tier } from "../attack.ts";
import type { AttackResult } from "../result.ts";
import { html, type Html } from "./escape.ts";
import { recoveryOf, TIERS, worst } from "./judgement.ts";
import { percentInWords } from "./numbers.ts";

/** What there is to say of a tier; `docs/threat-model.md` says it at length. */
export interface TierWords {
  /** Begins a sentence in the singular. */
  readonly subject: string;
  readonly attacker: string;
  readonly worth: string;
}

export const TIER_WORDS: Readonly<Record<Tier, TierWords>> = {
  T0: {
    subject: "Someone who sees only the ids, on the wire or in a log,",
    attacker: "Sees token ids on the wire or in a log, and has no weights.",
    worth: "A substitution cipher on tokens: it hides single requests, and not much traffic of a known kind.",
  },
  T1: {
    subject: "A host that cannot tell which public model this is",
    attacker: "Is the host, and cannot identify the original model.",
    worth: "The same. Holds for a private model only: a fine-tune of a public one is identified by its weights.",
  },
  T2: {
    subject: "A host that has the public model",
    attacker: "Is the host, and has the public original and our source code.",
    worth: "Obfuscation. The tier to assume for an open model.",
  },
  T3: {
    subject: "An attacker who knows some of the text",
    attacker: "Has what T2 has, or less, and knows or chooses some of the text.",
    worth: "Nothing. A template that opens each request is known text.",
  },
  T4: {
    subject: "A host that does not follow the protocol",
    attacker: "Is a host that lies, swaps, delays or stops.",
    worth: "Nothing.",
  },
  T5: {
    subject: "A group of hosts that share what they know",
    attacker: "Is several hosts that share what they know.",
    worth: "Nothing beyond what one host of the same model has.",
  },
};

/** The table of tiers, with the most that an attack of this run recovered in each. */
export function renderTiers(attacks: readonly AttackResult[]): Html {
  const rows = TIERS.map((tier) => {
    const { attacker, worth } = TIER_WORDS[tier];
    return html`<tr role="row">
      <th role="rowheader" scope="row" class="tier">${tier}</th>
      <td role="cell" data-label="The attacker">${attacker}</td>
      <td role="cell" data-label="What encryption is worth there">${worth}</td>
      <td role="cell" data-label="Most recovered in this run" class="most">${most(attacks.filter((result) => result.tier === tier))}</td>
    </tr> `;
  });
  return html`<table role="table" class="tiers">
    <caption>
      Who attacks, what encryption is worth against them, and the most that this run recovered (vocabulary or text, whichever is more).
    </caption>
    <thead role="rowgroup">
      <tr role="row">
        <th role="columnheader" scope="col">Tier</th>
        <th role="columnheader" scope="col">The attacker</th>
        <th role="columnheader" scope="col">What encryption is worth there</th>
        <th role="columnheader" scope="col">Most recovered in this run</th>
      </tr>
    </thead>
    <tbody role="rowgroup">
      ${rows}
    </tbody>
  </table>`;
}

function most(results: readonly AttackResult[]): Html {
  const found = worst(results);
  if (!found) return html`<span class="quiet">${silence(results)}</span>`;
  const { share, of } = found.recovery;
  const width = Math.max(0, Math.min(1, share)) * 100;
  return html`<svg class="bar" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
      <rect class="bar-track" width="100" height="6" />
      <rect class="bar-value" width="${width}" height="6" />
    </svg>
    <span class="bar-label"><b>${percentInWords(share)}</b> of ${of === "text" ? "a text" : "the vocabulary"}</span>
    <span class="quiet">${found.result.name}</span>`;
}

/** Why there is no figure. */
function silence(results: readonly AttackResult[]): string {
  if (results.length === 0) return "not measured";
  return results.some((result) => recoveryOf(result)) ? "unknown: no control held" : "not run";
}
