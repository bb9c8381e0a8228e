/**
 * What defences stop and what they cost: figures and a table for each.
 * @module
 */
import type { DefencePoint } from "../lab-report.ts";
import { html, type Html } from "./escape.ts";
import { renderFigure } from "./figure.ts";
import { figure, percent } from "./numbers.ts";
import type { Plot } from "./plot.ts";
import type { Series } from "./series.ts";

type Aim = "vocabularyTop1" | "textTokens";

/** What the dial of a defence turns. */
const DIALS: ReadonlyMap<string, string> = new Map([
  ["weight-noise", "Noise, relative to each matrix"],
  ["table-noise", "Noise, relative to the word table"],
  ["simulated-tuning", "Update, relative to each matrix"],
  ["homophones", "Ids of the most frequent token"],
  ["decoys", "Decoys for each request"],
]);

/** A part of the page for each defence, in the order of the report. */
export function renderDefences(points: readonly DefencePoint[]): Html[] {
  const names = [...new Set(points.map(({ defence }) => defence))];
  return names.map((name, index) => {
    const own = points.filter(({ defence }) => defence === name).toSorted((one, other) => one.x - other.x);
    const dial = DIALS.get(name) ?? "Setting";
    const inexact = own.some(({ fidelity }) => fidelity !== null);
    return html`<section class="defence" aria-labelledby="defence-${index}">
      <h3 id="defence-${index}">${name}</h3>
      ${inexact ? againstFidelity(`defence-${index}`, dial, own) : overCost(`defence-${index}`, own)} ${table(name, dial, own)}
      ${cutShort(own)}
    </section> `;
  });
}

/** Attacks that the time left without a result. */
function cutShort(points: readonly DefencePoint[]): Html {
  const names = [...new Set(points.flatMap((point) => point.cutShort ?? []))];
  return names.length === 0 ? html`` : html`<p>The time ran out before these found anything, so they say nothing: ${names.join(", ")}.</p>`;
}

function againstFidelity(id: string, dial: string, points: readonly DefencePoint[]): Html {
  const y = { label: "Vocabulary recovered, %" };
  return renderFigure({
    caption:
      "First, recovery against what the model still computes. A useful defence would reach the lower right: little recovered at full agreement. " +
      "Then the same over the dial.",
    plots: [
      {
        id: `${id}-fidelity`,
        title: "Vocabulary recovered against agreement with the plain model",
        x: { label: "Same likeliest next token, %", share: true },
        y,
        series: seriesOf(points, "vocabularyTop1", ({ fidelity }) => fidelity?.top1 ?? 1),
      },
      {
        id: `${id}-dial`,
        title: `Vocabulary recovered over ${dial.toLowerCase()}`,
        x: { label: dial },
        y,
        series: seriesOf(points, "vocabularyTop1", ({ x }) => x),
      },
    ],
    tabulated: true,
  });
}

function overCost(id: string, points: readonly DefencePoint[]): Html {
  const plot = (aim: Aim, label: string): Plot => ({
    id: `${id}-${aim}`,
    title: `${label} over cost`,
    x: { label: "Cost as a factor, 1 = none" },
    y: { label: `${label}, %` },
    series: seriesOf(points, aim, ({ cost }) => cost),
  });
  const text = plot("textTokens", "Text tokens read");
  return renderFigure({
    caption: "Recovery over cost: the factor of tokens sent, or of vocabulary rows. The model computes what it did.",
    plots: [plot("vocabularyTop1", "Vocabulary recovered"), ...(text.series.some((series) => series.points.length > 0) ? [text] : [])],
    tabulated: true,
  });
}

function attacksOf(points: readonly DefencePoint[]): string[] {
  return [...new Set(points.flatMap(({ recovery }) => Object.keys(recovery)))];
}

function recovered({ recovery }: DefencePoint, attack: string, aim: Aim): number | null {
  return Object.hasOwn(recovery, attack) ? (recovery[attack]?.[aim] ?? null) : null;
}

/** One line an attack. */
function seriesOf(points: readonly DefencePoint[], aim: Aim, x: (point: DefencePoint) => number): Series[] {
  return attacksOf(points).map((name) => ({
    name,
    points: points.flatMap((point) => {
      const y = recovered(point, name, aim);
      return y === null ? [] : [{ x: x(point), y }];
    }),
  }));
}

function table(name: string, dial: string, points: readonly DefencePoint[]): Html {
  const attacks = attacksOf(points);
  const rows = points.map((point) => {
    const { fidelity } = point;
    return html`<tr>
      <th scope="row" class="number">${figure(point.x)}</th>
      <td class="number">${fidelity ? figure(fidelity.meanKl) : "exact"}</td>
      <td class="number">${fidelity ? percent(fidelity.top1) : "exact"}</td>
      <td class="number">${figure(point.cost)}</td>
      ${attacks.map((attack) => [
        html`<td class="number">${percent(recovered(point, attack, "vocabularyTop1"))}</td>`,
        html`<td class="number">${percent(recovered(point, attack, "textTokens"))}</td>`,
      ])}
      <td class="number">${point.keys}</td>
    </tr> `;
  });
  return html`<div class="scroll" role="region" tabindex="0" aria-label="${`${name}: all settings`}">
    <table class="numbers">
      <caption>
        ${name}: all settings. Shares in per cent, means over keys; divergence in nats, of the defended model's next token from the plain
        one's.
      </caption>
      <thead>
        <tr>
          <th rowspan="2" scope="col" class="number">${dial}</th>
          <th rowspan="2" scope="col" class="number">Mean divergence</th>
          <th rowspan="2" scope="col" class="number">Same likeliest token</th>
          <th rowspan="2" scope="col" class="number">Cost</th>
          ${attacks.map((attack) => html`<th colspan="2" scope="colgroup" class="number">${attack}</th>`)}
          <th rowspan="2" scope="col" class="number">Keys</th>
        </tr>
        <tr>
          ${attacks.map(
            () =>
              html`<th scope="col" class="number">vocabulary</th>
                <th scope="col" class="number">text</th>`,
          )}
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </div>`;
}
