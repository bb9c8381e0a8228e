/**
 * The table of attacks, grouped by tier.
 * @module
 */
import type { Tier } from "../attack.ts";
import type { AttackResult, Spread } from "../result.ts";
import { html, type Html } from "./escape.ts";
import { controlOf, saysSomething, TIERS } from "./judgement.ts";
import { counted, ended, NOTHING, percent, percentInWords, seconds, unbroken } from "./numbers.ts";
import { TIER_WORDS } from "./tiers.ts";

/** What a control counts, in words. */
const JUDGED: ReadonlyMap<string, string> = new Map([
  ["vocabularyTop1", "of the vocabulary"],
  ["distinguishableTop1", "of the ids that can be told apart"],
  ["textTokens", "of the tokens of a text"],
]);

const COLUMNS = ["Vocabulary, top 1", "Vocabulary, top 10", "Text tokens", "BLEU-4", "Special ids", "Seconds", "Control"];

/**
 * The table of attacks. Rounding is that of `percent` and `seconds` in `numbers.ts`.
 *
 * @param keys that the run had; a row with another number says so
 */
export function renderAttacks(attacks: readonly AttackResult[], keys: number): Html {
  const groups = TIERS.map((tier) => {
    const own = attacks.filter((result) => result.tier === tier);
    return own.length === 0 ? null : group(tier, own, keys);
  });
  return html`<table role="table" class="attacks">
    <caption>
      Shares in per cent, means over ${counted(keys, "key")}, with the least and the greatest of them below. Vocabulary: ordinary ids whose
      plain token is the likeliest guess, or among the ten likeliest. Text tokens and BLEU-4: of text as it reads with these guesses,
      frequent tokens counting more often. Special ids are counted apart. Seconds: of one key. Control: the same attack in a setting in
      which it must succeed. ${NOTHING} means that the attack does not aim at it.
    </caption>
    <thead role="rowgroup">
      <tr role="row">
        <th role="columnheader" scope="col">Attack</th>
        ${COLUMNS.map((name) => html`<th role="columnheader" scope="col" class="${name === "Control" ? "control" : "number"}">${name}</th>`)}
      </tr>
    </thead>
    ${groups}
  </table>`;
}

function group(tier: Tier, results: readonly AttackResult[], keys: number): Html {
  return html`<tbody role="rowgroup">
    <tr role="row" class="group">
      <th role="rowheader" scope="rowgroup" colspan="${COLUMNS.length + 1}"><b>${tier}</b> ${TIER_WORDS[tier].attacker}</th>
    </tr>
    ${results.map((result) => row(result, keys))}
  </tbody>`;
}

function row(result: AttackResult, keys: number): Html {
  const attack = html`<th role="rowheader" scope="row">
    <span class="name">${result.name}</span> <span class="title">${result.title}</span>
    <span class="quiet">The attacker has: ${ended(result.knowledge)}</span>
    ${notes(result, keys).map((note) => html`<span class="quiet">${unbroken(note)}</span>`)}
    ${flags(result).map((flag) => html`<strong class="flag">${flag}</strong>`)}
  </th>`;
  if (result.notRun !== null)
    return html`<tr role="row">
      ${attack}
      <td role="cell" class="not-run" colspan="${COLUMNS.length}">Not run: ${ended(result.notRun)}</td>
    </tr> `;
  const { spread } = result;
  const contents: (string | Html)[] = [
    withSpread(result.vocabularyTop1, spread.vocabularyTop1),
    percent(result.vocabularyTop10),
    withSpread(result.textTokens, spread.textTokens),
    percent(result.bleu),
    percent(result.special),
    seconds(result.seconds),
    control(result),
  ];
  const cells = contents.map((content, index) => {
    const kind = index === COLUMNS.length - 1 ? "control" : content === NOTHING ? "number empty" : "number";
    return html`<td role="cell" class="${kind}" data-label="${COLUMNS[index] ?? null}">${content}</td>`;
  });
  return html`<tr role="row" class="${controlOf(result) === "failed" ? "void" : "valid"}">
    ${attack}${cells}
  </tr> `;
}

function withSpread(mean: number | null, spread: Spread | null): string | Html {
  if (mean === null || spread === null) return percent(mean);
  const [least, greatest] = [percent(spread.least), percent(spread.greatest)];
  return html`${percent(mean)} <span class="quiet spread">${least === greatest ? `each ${least}` : `${least} to ${greatest}`}</span>`;
}

function control({ control: recovered, controlSetting }: AttackResult): string | Html {
  if (controlSetting === null) return html`none <span class="quiet">it cannot succeed by design</span>`;
  const { setting, judged, least } = controlSetting;
  return html`${recovered === null ? "not run" : percent(recovered)}
    <span class="quiet">${unbroken(`${setting}; needs at least ${percentInWords(least)} ${JUDGED.get(judged) ?? judged}`)}</span>`;
}

function notes({ distinguishable, distinguishableTop1, notRun, keys: had }: AttackResult, keys: number): string[] {
  if (notRun !== null) return [];
  const apart =
    distinguishable === null || distinguishable === 1 || distinguishableTop1 === null
      ? null
      : `Of the ${percentInWords(distinguishable)} of ids that it can tell apart in the public model it recovers ${percentInWords(distinguishableTop1)}.`;
  return [apart, had === keys ? null : `Under ${counted(had, "key")} only.`].filter((note) => note !== null);
}

/** What a reader must know before believing the row. */
function flags(result: AttackResult): string[] {
  if (result.notRun !== null) return [];
  const outcome = { held: null, none: null, failed: "failed", missing: "could not be run" }[controlOf(result)];
  const consequence = saysSomething(result) ? "more may be recoverable" : "this row says nothing";
  return [
    outcome === null ? null : `The control ${outcome}: ${consequence}.`,
    result.complete ? null : "Time ran out: a longer run may recover more.",
  ].filter((flag) => flag !== null);
}
