/**
 * A figure of the page: one or two plots, what their lines stand for, and the numbers behind them.
 * @module
 */
import { html, type Html } from "./escape.ts";
import { figure, percent } from "./numbers.ts";
import { renderPlot, type Plot } from "./plot.ts";
import { shareScale } from "./scale.ts";
import { renderLegend } from "./series.ts";

export interface Figure {
  readonly caption: string;
  /** All with the same lines in the same order. */
  readonly plots: readonly Plot[];
  /** Whether a table below has the numbers already. */
  readonly tabulated?: boolean;
}

/** Draws a figure. */
export function renderFigure({ caption, plots, tabulated = false }: Figure): Html {
  // One vertical scale for all, so that they can be compared.
  const greatest = Math.max(
    0,
    ...plots.flatMap(({ series }) => series.flatMap(({ points }) => points.map(({ y }) => y))).filter(Number.isFinite),
  );
  const end = shareScale(greatest).ticks.at(-1)?.label;
  return html`<figure>
    <div class="plots">${plots.map((plot) => html`<div class="panel">${renderPlot({ ...plot, y: { ...plot.y, greatest } })}</div> `)}</div>
    ${renderLegend(plots[0]?.series ?? [])}
    <figcaption>${caption}${end === "100" ? null : ` The vertical axis ends at ${end} %.`}</figcaption>
    ${
      tabulated
        ? null
        : html`<details>
            <summary>The numbers of this figure</summary>
            ${plots.map(numbers)}
          </details>`
    }
  </figure>`;
}

function numbers({ title, x, series }: Plot): Html {
  const places = [...new Set(series.flatMap(({ points }) => points.map((point) => point.x)))].toSorted((a, b) => a - b);
  const lines = series.map(({ points }) => new Map(points.map((point) => [point.x, point.y])));
  const rows = places.map((place) => {
    const cells = lines.map((line) => html`<td class="number">${percent(line.get(place) ?? null)}</td>`);
    return html`<tr>
      <th scope="row" class="number">${x.share ? percent(place) : figure(place)}</th>
      ${cells}
    </tr> `;
  });
  return html`<div class="scroll">
    <table class="numbers">
      <caption>
        ${title}, per cent
      </caption>
      <thead>
        <tr>
          <th scope="col" class="number">${x.label}</th>
          ${series.map(({ name }) => html`<th scope="col" class="number">${name}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </div> `;
}
