/**
 * What makes a line of a plot recognisable: colour, dashes and marker together, so that none is needed alone.
 * @module
 */
import { html, type Html } from "./escape.ts";
import { LIGHT } from "./palette.ts";

/** Colours of lines; the style sheet has their values for light and dark. */
const SERIES_COLOURS = LIGHT.lines.length;

const DASHES = ["none", "7 3", "2 3", "10 3 2 3", "5 2"];

/** Outlines around 0 0, radius about 4. */
const MARKERS = [
  "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
  "M-3.5-3.5h7v7h-7z",
  "M0-4.5L4.5 3.5h-9z",
  "M0-5L5 0L0 5L-5 0z",
  "M0 4.5L-4.5-3.5h9z",
];

/** One line of a plot. */
export interface Series {
  readonly name: string;
  /** In the order in which they are joined. `y` is a share 0..1. */
  readonly points: readonly Point[];
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Class of the line's colour. */
export function colourClass(index: number): string {
  return `series-${index % SERIES_COLOURS}`;
}

export function dashes(index: number): string {
  return DASHES[index % DASHES.length] as string;
}

/** The marker of a point. */
export function marker(index: number, x: number, y: number): Html {
  return html`<path class="marker" d="${MARKERS[index % MARKERS.length] as string}" transform="translate(${x} ${y})" />`;
}

/** What each line stands for; nothing for a single one, which its plot names. */
export function renderLegend(series: readonly Series[]): Html | null {
  if (series.length < 2) return null;
  const entries = series.map(
    ({ name }, index) =>
      html`<li>
        <svg class="swatch ${colourClass(index)}" viewBox="0 0 32 12" width="32" height="12" aria-hidden="true">
          <path class="line" d="M1 6H31" stroke-dasharray="${dashes(index)}" />
          ${marker(index, 16, 6)}
        </svg>
        ${name}
      </li> `,
  );
  return html`<ul class="legend">
    ${entries}
  </ul>`;
}
