/**
 * Recovery over a growing advantage, and under defences.
 * @module
 */
import type { JSX } from "preact";
import type { AttackResultRow, DefencePointRow } from "../../../src/protocol/lab.ts";
import { LineChart } from "../../parts/charts.tsx";
import { Notice } from "../../parts/notice.tsx";
import { compact, percent } from "../../parts/numbers.ts";
import { curvesOf, defenceFigures, type DefenceFigure } from "./attack-run.ts";

const WORDS = { vocabulary: "Vocabulary recovered", text: "Text tokens read" } as const;
const shareAxis = (label: string) => ({ label, minimum: 0, maximum: 1, format: (share: number) => percent(share, 0) });

export function Curves({ results }: { readonly results: readonly AttackResultRow[] }): JSX.Element | null {
  const figures = curvesOf(results);
  if (figures.length === 0) return null;
  return (
    <div class="columns">
      {figures.map(({ of, what, series }) => (
        <LineChart
          key={`${of} ${what}`}
          title={`${WORDS[what]} over ${of}`}
          x={{ label: of, logarithmic: span(series.flatMap(({ points }) => points.map(({ x }) => x))) > 50, format: whole }}
          y={shareAxis(WORDS[what])}
          series={series}
        />
      ))}
    </div>
  );
}

export function Defences({ points }: { readonly points: readonly DefencePointRow[] }): JSX.Element | null {
  if (points.length === 0) return null;
  const cutShort = [...new Set(points.flatMap((point) => point.cutShort ?? []))];
  return (
    <section class="stack" aria-labelledby="defences">
      <h3 id="defences">Defences</h3>
      <p class="small quiet">
        What attacks recover of the model under a defence, against what is left of the model. A defence that stops an attack and keeps the
        model would be low at the right.
      </p>
      {cutShort.length > 0 && (
        <Notice kind="warning">
          The time ran out before these found anything, so they say nothing: {cutShort.join(", ")}. Allow more seconds.
        </Notice>
      )}
      <div class="columns">
        {defenceFigures(points).map((figure) => (
          <DefenceChart key={figure.defence} figure={figure} />
        ))}
      </div>
    </section>
  );
}

function DefenceChart({ figure: { defence, across, what, series, points } }: { readonly figure: DefenceFigure }): JSX.Element {
  return (
    <div class="stack">
      <LineChart
        title={defence}
        x={
          across === "fidelity"
            ? {
                ...shareAxis("Same likeliest token as the plain model"),
                minimum: Math.min(0.9, ...series.flatMap(({ points: all }) => all.map(({ x }) => x))),
              }
            : { label: "Dial; the model stays exact" }
        }
        y={shareAxis(WORDS[what])}
        series={series}
      />
      <details>
        <summary class="small quiet">Cost of each setting</summary>
        <div class="scroll">
          <table class="small">
            <thead>
              <tr>
                <th class="number">Dial</th>
                <th class="number">Same token</th>
                <th class="number">KL, nats</th>
                <th class="number">Tokens or rows</th>
              </tr>
            </thead>
            <tbody>
              {points.map(({ x, fidelity, cost }) => (
                <tr key={x}>
                  <td class="number">{compact(x)}</td>
                  <td class="number">{fidelity ? percent(fidelity.top1) : "exact"}</td>
                  <td class="number">{fidelity ? compact(fidelity.meanKl) : "0"}</td>
                  <td class="number">x {compact(cost)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </div>
  );
}

/** How many times the smallest the largest is. */
function span(values: readonly number[]): number {
  const least = Math.min(...values);
  return least > 0 ? Math.max(...values) / least : 0;
}

function whole(value: number): string {
  return Number.isInteger(value) ? value.toLocaleString("en") : compact(value);
}
