/**
 * All protections side by side: one chart, what each leaves to see, and every figure.
 * @module
 */
import type { JSX } from "preact";
import type { HeadRow, ProtectionRow } from "../../../src/protocol/comparison.ts";
import { BarChart } from "../../parts/charts.tsx";
import { byteSize, compact, duration, percent } from "../../parts/numbers.ts";
import style from "./benchmarks.module.css";
import { exactness, ratio, timesAsLong, viewsOf, type Figures } from "./rows.ts";

export function FiguresView({ figures }: { readonly figures: Figures }): JSX.Element {
  const { rows, head } = figures;
  return (
    <>
      <div class={style["together"]}>
        <section class="card" aria-label="Time">
          <BarChart
            title="Time for a token, relative to no protection"
            // One step below 1, so that the plain model has a bar.
            axis={{ label: "Time of a token: no protection is 1", logarithmic: true, minimum: 0.1, format: timesAsLong }}
            bars={rows.map((row) => ({
              name: row.name,
              value: row.overhead,
              note: row.refusal ?? (row.overhead === null ? "yet" : exactness(row)),
            }))}
          />
        </section>
        <section class="card" aria-label="What the untrusted machine learns">
          <h3>What the untrusted machine learns</h3>
          <dl class={style["views"]}>
            {viewsOf(figures).map(({ names, learns }) => (
              <div key={learns}>
                <dt>{names.join("; ")}</dt>
                <dd>{learns}</dd>
              </div>
            ))}
          </dl>
        </section>
      </div>
      <section class="card" aria-label="All figures">
        <h3>All figures</h3>
        <div class="scroll" role="region" aria-label="All figures, as a table" tabIndex={0}>
          <FiguresTable rows={rows} />
        </div>
        <p class="quiet small">
          Medians of rounds in which all take turns; in brackets the least and the most of all rounds. Where two ranges overlap, their
          difference says nothing. Bytes are those of one token of prompt or answer, both ways, inside TLS. KL is the divergence from the
          plain model in 32-bit floating point.
        </p>
      </section>
      {head && <HeadCard head={head} />}
    </>
  );
}

function FiguresTable({ rows }: { readonly rows: readonly ProtectionRow[] }): JSX.Element {
  return (
    <table class={`small ${style["figures"]}`}>
      <thead>
        <tr>
          <th scope="col">Protection</th>
          {["Tokens a second", "Time of a token", "First token", "Bytes a token", "Same next token", "KL, nats"].map((name) => (
            <th scope="col" class="number" key={name}>
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row.id}>
            <th scope="row">{row.name}</th>
            {row.refusal === null ? (
              cells(row).map((cell, index) => (
                <td class="number" key={index}>
                  {cell}
                </td>
              ))
            ) : (
              <td colSpan={6}>Not measured: {row.refusal}</td>
            )}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function cells({ id, tokensPerSecond, overhead, overheadRange, firstTokenSeconds, bytesPerToken, fidelity }: ProtectionRow): string[] {
  const reference = id === "plain" ? "reference" : "–";
  return [
    tokensPerSecond === null ? "–" : compact(tokensPerSecond),
    overhead === null ? "–" : `${ratio(overhead)} x (${overheadRange?.map(ratio).join(" to ") ?? "–"})`,
    firstTokenSeconds === null ? "–" : duration(firstTokenSeconds),
    bytesPerToken === null ? "–" : byteSize(bytesPerToken),
    fidelity ? percent(fidelity.greedyAgreement) : reference,
    fidelity ? compact(fidelity.meanKl) : reference,
  ];
}

/** Pictures, not words: in units of its own. */
function HeadCard({ head }: { readonly head: HeadRow }): JSX.Element {
  return (
    <section class="card" aria-label="First layers on ciphertext">
      <h3>First layers on ciphertext</h3>
      <p class="quiet">
        This protects pictures, not words, so it stands apart: the first {head.layers.length} layers of {head.network} (
        {head.layers.join(", ")}
        ), for one picture.
      </p>
      <dl class="facts">
        <dt>On ciphertext ({head.scheme})</dt>
        <dd>{duration(head.ciphertextSeconds)}</dd>
        <dt>The same in clear</dt>
        <dd>{milliseconds(head.clearSeconds)}</dd>
        <dt>That is</dt>
        <dd>{timesAsLong(head.overhead)}</dd>
        <dt>Largest error of a feature</dt>
        <dd>{compact(head.largestError)}</dd>
        <dt>Sent</dt>
        <dd>
          keys {byteSize(head.keyBytes)} once, picture {byteSize(head.pictureBytes)}, features back {byteSize(head.featureBytes)}
        </dd>
      </dl>
    </section>
  );
}

function milliseconds(seconds: number): string {
  return `${Number((seconds * 1000).toPrecision(2))} ms`;
}
