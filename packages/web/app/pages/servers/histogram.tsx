/**
 * How often each byte value came: bars around a line at equal shares.
 * @module
 */
import type { JSX } from "preact";
import { binned } from "./evenness.ts";
import style from "./servers.module.css";

const BINS = 64;
/** In units of the drawing, which grows with its place. */
const [WIDTH, HEIGHT, BOTTOM] = [512, 120, 18];

export function Histogram({ histogram, label }: { readonly histogram: readonly number[]; readonly label: string }): JSX.Element {
  const bins = binned(histogram, BINS);
  const expected = bins.reduce((sum, times) => sum + times, 0) / BINS;
  const [least, most] = [Math.min(...bins), Math.max(...bins)];
  const top = Math.max(most, expected * 1.25);
  const width = WIDTH / BINS;
  const height = (times: number): number => (times / top) * (HEIGHT - BOTTOM);
  const digits = (times: number): string => Math.round(times).toLocaleString("en");
  return (
    <figure class="stack">
      <svg
        class={style["histogram"]}
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        role="img"
        aria-label={`${label}, four values a bar: from ${digits(least)} to ${digits(most)} times, ${digits(expected)} if all came equally often.`}
      >
        {bins.map((times, bin) => (
          <rect key={bin} x={bin * width + 0.5} y={HEIGHT - BOTTOM - height(times)} width={width - 1} height={height(times)}>
            <title>{`${bin * 4} to ${bin * 4 + 3}: ${digits(times)} times`}</title>
          </rect>
        ))}
        <line x1="0" x2={WIDTH} y1={HEIGHT - BOTTOM - height(expected)} y2={HEIGHT - BOTTOM - height(expected)} />
        <text x="0" y={HEIGHT - 4}>
          byte 0
        </text>
        <text x={WIDTH} y={HEIGHT - 4} text-anchor="end">
          255
        </text>
      </svg>
      <figcaption class="quiet small">
        How often each byte value came, four values a bar: {digits(least)} to {digits(most)} times; the line is {digits(expected)}, if all
        came equally often.
      </figcaption>
    </figure>
  );
}
