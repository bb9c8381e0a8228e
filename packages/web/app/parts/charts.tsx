/**
 * Line and bar charts. Each has its numbers as a table beside it, for who cannot see it and for who wants to copy them.
 * @module
 */
import type { JSX } from "preact";
import { compact } from "./numbers.ts";
import { linearScale, logarithmicScale, type Scale } from "./scale.ts";
import style from "./charts.module.css";

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Series {
  readonly name: string;
  readonly points: readonly Point[];
}

export interface AxisOptions {
  readonly label: string;
  readonly logarithmic?: boolean;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly format?: (value: number) => string;
}

/** In units of the drawing, which grows with its place. */
const [WIDTH, HEIGHT] = [560, 300];
const MARGIN = { left: 56, right: 22, top: 12, bottom: 44 };
const [INNER_WIDTH, INNER_HEIGHT] = [WIDTH - MARGIN.left - MARGIN.right, HEIGHT - MARGIN.top - MARGIN.bottom];
/** Series differ in colour, in their marks and in their dashes, so that no one has to tell colours apart. */
const DASHES = ["", "6 4", "2 3", "9 3 2 3", "1 4"];

/** Curves over a common axis. A point that is no number is left out. */
export function LineChart({
  title,
  x,
  y,
  series,
}: {
  readonly title: string;
  readonly x: AxisOptions;
  readonly y: AxisOptions;
  readonly series: readonly Series[];
}): JSX.Element {
  const drawn = series.map((one) => ({ ...one, points: one.points.filter((point) => isDrawable(point.x, x) && isDrawable(point.y, y)) }));
  const all = drawn.flatMap(({ points }) => points);
  const [across, up] = [
    scaleOf(
      x,
      all.map((point) => point.x),
    ),
    scaleOf(
      y,
      all.map((point) => point.y),
    ),
  ];
  const left = (value: number): number => MARGIN.left + across.place(value) * INNER_WIDTH;
  const top = (value: number): number => MARGIN.top + (1 - up.place(value)) * INNER_HEIGHT;
  return (
    <figure class={style["chart"]}>
      <figcaption>{title}</figcaption>
      <Legend names={series.map(({ name }) => name)} />
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`${title}. The numbers are in the table below.`}>
        <Grid across={across} up={up} left={left} top={top} x={x} y={y} />
        {drawn.map(({ points }, index) => (
          <g key={index} class={style[`series${(index % 5) + 1}`]}>
            <polyline points={points.map((point) => `${left(point.x)},${top(point.y)}`).join(" ")} stroke-dasharray={DASHES[index % 5]} />
            {points.map((point) => (
              <Mark
                key={`${point.x} ${point.y}`}
                shape={index % 5}
                x={left(point.x)}
                y={top(point.y)}
                title={`${drawn[index]!.name}: ${format(x, point.x)}, ${format(y, point.y)}`}
              />
            ))}
          </g>
        ))}
      </svg>
      <NumbersTable head={[x.label, ...series.map(({ name }) => name)]} rows={rowsOf(series, x, y)} />
    </figure>
  );
}

export interface Bar {
  readonly name: string;
  /** null: not measured; `note` says why. */
  readonly value: number | null;
  readonly note?: string;
}

/** One bar a name, its value at its end. */
export function BarChart({
  title,
  axis,
  bars,
}: {
  readonly title: string;
  readonly axis: AxisOptions;
  readonly bars: readonly Bar[];
}): JSX.Element {
  const values = bars.flatMap(({ value }) => (value === null ? [] : [value]));
  const scale = scaleOf({ minimum: axis.logarithmic ? Math.min(...values) : 0, ...axis }, values);
  return (
    <figure class={style["chart"]}>
      <figcaption>{title}</figcaption>
      <dl class={style["bars"]}>
        {bars.map(({ name, value, note }, index) => (
          <div key={name} class={style[`series${(index % 5) + 1}`]}>
            <dt>{name}</dt>
            <dd>
              {value !== null && (
                <span class={style["bar"]} style={{ width: `${Math.max(0.5, scale.place(value) * 100)}%` }} aria-hidden="true" />
              )}
              <span>
                {value === null ? "not measured" : format(axis, value)}
                {note && <span class="quiet small"> {note}</span>}
              </span>
            </dd>
          </div>
        ))}
      </dl>
      <p class="quiet small">
        {axis.label}
        {axis.logarithmic ? "; each step of the scale is ten times the one before" : ""}
      </p>
    </figure>
  );
}

function Legend({ names }: { readonly names: readonly string[] }): JSX.Element | null {
  if (names.length < 2) return null;
  return (
    <ul class={style["legend"]} aria-hidden="true">
      {names.map((name, index) => (
        <li key={name} class={style[`series${(index % 5) + 1}`]}>
          <svg width="28" height="12">
            <polyline points="0,6 28,6" stroke-dasharray={DASHES[index % 5]} />
            <Mark shape={index % 5} x={14} y={6} title="" />
          </svg>
          {name}
        </li>
      ))}
    </ul>
  );
}

function Grid({
  across,
  up,
  left,
  top,
  x,
  y,
}: {
  readonly across: Scale;
  readonly up: Scale;
  readonly left: (value: number) => number;
  readonly top: (value: number) => number;
  readonly x: AxisOptions;
  readonly y: AxisOptions;
}): JSX.Element {
  const bottom = MARGIN.top + INNER_HEIGHT;
  return (
    <g class={style["grid"]}>
      {up.ticks.map((tick) => (
        <g key={`y${tick}`}>
          <line x1={MARGIN.left} x2={WIDTH - MARGIN.right} y1={top(tick)} y2={top(tick)} />
          <text x={MARGIN.left - 8} y={top(tick) + 4} text-anchor="end">
            {format(y, tick)}
          </text>
        </g>
      ))}
      {across.ticks.map((tick) => (
        <text key={`x${tick}`} x={left(tick)} y={bottom + 18} text-anchor="middle">
          {format(x, tick)}
        </text>
      ))}
      <text x={MARGIN.left + INNER_WIDTH / 2} y={HEIGHT - 6} text-anchor="middle">
        {x.label}
      </text>
    </g>
  );
}

function Mark({
  shape,
  x,
  y,
  title,
}: {
  readonly shape: number;
  readonly x: number;
  readonly y: number;
  readonly title: string;
}): JSX.Element {
  const label = title ? <title>{title}</title> : null;
  if (shape === 0)
    return (
      <circle cx={x} cy={y} r={4}>
        {label}
      </circle>
    );
  if (shape === 1)
    return (
      <rect x={x - 3.5} y={y - 3.5} width={7} height={7}>
        {label}
      </rect>
    );
  const corners =
    shape === 2
      ? [
          [0, -5],
          [4.6, 3.6],
          [-4.6, 3.6],
        ]
      : shape === 3
        ? [
            [0, -5],
            [5, 0],
            [0, 5],
            [-5, 0],
          ]
        : [
            [0, 5],
            [4.6, -3.6],
            [-4.6, -3.6],
          ];
  return <polygon points={corners.map(([right, down]) => `${x + right!},${y + down!}`).join(" ")}>{label}</polygon>;
}

/** The numbers themselves. */
function NumbersTable({ head, rows }: { readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] }): JSX.Element {
  return (
    <details>
      <summary class="small quiet">Numbers</summary>
      <div class="scroll">
        <table class="small">
          <thead>
            <tr>
              {head.map((name) => (
                <th key={name} class="number">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row[0]}>
                {row.map((cell, index) => (
                  <td key={index} class="number">
                    {cell}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}

function rowsOf(series: readonly Series[], x: AxisOptions, y: AxisOptions): string[][] {
  const places = [...new Set(series.flatMap(({ points }) => points.map((point) => point.x)))].toSorted((one, other) => one - other);
  return places.map((place) => [
    format(x, place),
    ...series.map(({ points }) => {
      const found = points.find((point) => point.x === place);
      return found ? format(y, found.y) : "";
    }),
  ]);
}

function scaleOf(axis: AxisOptions, values: readonly number[]): Scale {
  const minimum = axis.minimum ?? Math.min(...values);
  const maximum = axis.maximum ?? Math.max(...values);
  if (values.length === 0) return linearScale(axis.minimum ?? 0, axis.maximum ?? 1);
  return axis.logarithmic ? logarithmicScale(minimum, maximum) : linearScale(minimum, maximum);
}

function isDrawable(value: number, axis: AxisOptions): boolean {
  return Number.isFinite(value) && (!axis.logarithmic || value > 0);
}

function format(axis: AxisOptions, value: number): string {
  return (axis.format ?? compact)(value);
}
