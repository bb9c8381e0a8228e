/**
 * How recovery grows with what the attacker has: a figure for each kind of advantage.
 * @module
 */
import type { AttackResult } from "../result.ts";
import type { Html } from "./escape.ts";
import { renderFigure } from "./figure.ts";
import type { Plot } from "./plot.ts";
import type { Series } from "./series.ts";

/** Figures of all attacks that have a curve; those over the same advantage share one. */
export function renderCurves(attacks: readonly AttackResult[]): Html[] {
  const advantages = [...new Set(attacks.flatMap(({ curve }) => (curve ? [curve.of] : [])))];
  return advantages.map((of, index) => {
    const curves = attacks.flatMap(({ name, curve }) => (curve?.of === of ? [{ name, points: curve.points }] : []));
    const series = (field: "vocabularyTop1" | "textTokens"): Series[] =>
      curves.map(({ name, points }) => ({
        name,
        points: points.flatMap((point) => {
          const y = point[field];
          return y === null ? [] : [{ x: point.x, y }];
        }),
      }));
    const plot = (field: "vocabularyTop1" | "textTokens", label: string): Plot => ({
      id: `curve-${index}-${field}`,
      title: `${label} over ${of}`,
      x: { label: capital(of) },
      y: { label: `${label}, %` },
      series: series(field),
    });
    const text = plot("textTokens", "Text tokens read");
    return renderFigure({
      caption: `Recovery over ${of}: means over keys. Of the vocabulary every id counts once; of a text, frequent tokens count more often.`,
      plots: [plot("vocabularyTop1", "Vocabulary recovered"), ...(text.series.some(({ points }) => points.length > 0) ? [text] : [])],
    });
  });
}

/** With a capital letter, as a label begins. */
function capital(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
}
