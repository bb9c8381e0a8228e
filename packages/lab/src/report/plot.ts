/**
 * Line plots of shares as SVG: axes, ticks, grid, and the name of each line at its end.
 * @module
 */
import { html, type Html } from "./escape.ts";
import { figure, percentInWords } from "./numbers.ts";
import { isDrawable, scaleFor, shareScale, type Scale } from "./scale.ts";
import { colourClass, dashes, marker, type Point, type Series } from "./series.ts";

export interface Plot {
  /** Unique in the page, of letters, digits and hyphens. */
  readonly id: string;
  readonly title: string;
  /** The horizontal axis. Shares 0..1 are written in per cent. */
  readonly x: { readonly label: string; readonly share?: boolean };
  /** The vertical axis, of shares 0..1 up to `greatest`. */
  readonly y: { readonly label: string; readonly greatest?: number };
  readonly series: readonly Series[];
}

const WIDTH = 440;
const HEIGHT = 280;
const LEFT = 34;
const RIGHT = 322;
const TOP = 32;
const BOTTOM = 234;
const LINE_HEIGHT = 13;
/** Characters of a label's line. */
const LABEL_WIDTH = 15;

interface Drawn {
  readonly name: string;
  readonly index: number;
  readonly points: readonly Point[];
  /** In the units of the picture. */
  readonly places: readonly Point[];
}

/** Draws a plot; points that are no numbers, or lie beyond any axis, are left out. */
export function renderPlot({ id, title, x, y, series }: Plot): Html {
  const drawable = series.map(({ points }) => points.filter((point) => isDrawable(point.x) && Number.isFinite(point.y)));
  const all = drawable.flat();
  const scale = all.length === 0 ? null : x.share ? shareScale() : scaleFor(all.map((point) => point.x));
  const vertical = shareScale(y.greatest);
  const drawn = series
    .map(({ name }, index): Drawn => {
      const points = drawable[index] as readonly Point[];
      const places = scale ? points.map((point) => ({ x: across(scale.place(point.x)), y: up(vertical.place(point.y)) })) : [];
      return { name, index, points, places };
    })
    .filter(({ points }) => points.length > 0);
  return html`<svg class="plot" role="img" viewBox="0 0 ${WIDTH} ${HEIGHT}" aria-labelledby="${id}-title ${id}-description">
    <title id="${id}-title">${title}</title>
    <desc id="${id}-description">${describe(drawn, x)}</desc>
    ${grid(vertical, y.label)}
    ${scale ? horizontalAxis(scale, x.label) : html`<text class="axis-label" x="${LEFT + 12}" y="${TOP + 24}">No points</text>`}
    ${drawn.map(line)} ${labels(drawn)}
  </svg>`;
}

function across(place: number): number {
  return rounded(LEFT + (RIGHT - LEFT) * place);
}

function up(place: number): number {
  return rounded(BOTTOM - (BOTTOM - TOP) * place);
}

function rounded(coordinate: number): number {
  return Number(coordinate.toFixed(1));
}

function grid(scale: Scale, label: string): Html {
  const lines = scale.ticks.map(({ at, label: value }) => {
    const height = up(at);
    return html`<path class="${at === 0 ? "axis" : "grid"}" d="M${LEFT} ${height}H${RIGHT}" />
      <text class="tick" x="${LEFT - 7}" y="${height + 4}" text-anchor="end">${value}</text>`;
  });
  return html`${lines}<text class="axis-label" x="0" y="12">${label}</text>`;
}

function horizontalAxis(scale: Scale, label: string): Html {
  const ticks = scale.ticks.map(({ at, label: value }) => {
    const place = across(at);
    return html`<path class="axis" d="M${place} ${BOTTOM}v5" />
      <text class="tick" x="${place}" y="${BOTTOM + 18}" text-anchor="middle">${value}</text>`;
  });
  const middle = (LEFT + RIGHT) / 2;
  const gap = scale.gap === null ? null : across(scale.gap);
  return html`${ticks} ${gap === null ? null : html`<path class="gap" d="M${gap - 3} ${BOTTOM + 4}l3-8m2 8l3-8" />`}
    <text class="axis-label" x="${middle}" y="${BOTTOM + 38}" text-anchor="middle">${label}</text>`;
}

function line({ index, places }: Drawn): Html {
  const path = places.map(({ x, y }, at) => `${at === 0 ? "M" : "L"}${x} ${y}`).join("");
  return html`<g class="${colourClass(index)}">
    ${places.length > 1 ? html`<path class="line" d="${path}" stroke-dasharray="${dashes(index)}" />` : null}
    ${places.map(({ x, y }) => marker(index, x, y))}
  </g>`;
}

/** Names beside the rightmost point of each line, moved apart; none where there is no room for all: the legend has them. */
function labels(drawn: readonly Drawn[]): Html | null {
  const placed = drawn
    .map(({ name, index, places }) => {
      const end = places.reduce((right, point) => (point.x >= right.x ? point : right));
      const lines = wrapped(name);
      return { index, end, lines, height: lines.length * LINE_HEIGHT + 3, y: 0 };
    })
    .toSorted((one, other) => one.end.y - other.end.y);
  if (placed.reduce((sum, { height }) => sum + height, 0) > BOTTOM - TOP + LINE_HEIGHT) return null;
  let floor = TOP - LINE_HEIGHT;
  for (const each of placed) {
    each.y = Math.max(floor, each.end.y - each.height / 2);
    floor = each.y + each.height;
  }
  let ceiling = BOTTOM + LINE_HEIGHT / 2;
  for (const each of placed.toReversed()) {
    each.y = Math.min(each.y, ceiling - each.height);
    ceiling = each.y;
  }
  return html`${placed.map(({ index, end, lines, height, y }) => {
    const middle = rounded(y + height / 2);
    const text = lines.map((part, at) => html`<tspan x="${RIGHT + 20}" y="${rounded(y + LINE_HEIGHT * (at + 0.85))}">${part}</tspan>`);
    return html`<g class="${colourClass(index)}">
      <path class="leader" d="M${end.x + 6} ${end.y}L${RIGHT + 10} ${middle}H${RIGHT + 17}" /><text class="line-label">${text}</text>
    </g>`;
  })}`;
}

/** A name in at most two lines, broken after hyphens and spaces. */
function wrapped(name: string): string[] {
  const lines = [""];
  for (const word of name.split(/(?<=[-\s])/)) {
    const last = lines.at(-1) as string;
    if (last !== "" && (last + word).trimEnd().length > LABEL_WIDTH) lines.push(word);
    else lines[lines.length - 1] = last + word;
  }
  const [first = "", ...rest] = lines;
  return (rest.length === 0 ? [first] : [first, rest.join("")]).map((text) =>
    text.trimEnd().length > LABEL_WIDTH ? `${text.slice(0, LABEL_WIDTH - 1)}…` : text,
  );
}

/** The plot in words, for who cannot see it. */
function describe(drawn: readonly Drawn[], { label, share = false }: Plot["x"]): string {
  const lines = drawn.map(({ name, points }) => {
    const said = ({ x, y }: Point): string => `${percentInWords(y)} at ${share ? percentInWords(x) : figure(x)}`;
    const [first, last] = [points[0] as Point, points.at(-1) as Point];
    return `${name}: ${points.length === 1 ? said(first) : `${said(first)}, ${said(last)}`}.`;
  });
  return `${label} against the share recovered. ${lines.length === 0 ? "No points." : lines.join(" ")}`;
}
