/**
 * The stages of a run as a time line, with what each took and moved.
 * @module
 */
import type { JSX } from "preact";
import { byteSize, duration, percent } from "../../parts/numbers.ts";
import style from "./pictures.module.css";
import type { StageRow } from "./run-story.ts";

const WORDS: Readonly<Record<StageRow["state"], string>> = { waiting: "to come", running: "now", done: "done" };

export function Way({ stages }: { readonly stages: readonly StageRow[] }): JSX.Element {
  const seconds = stages.reduce((sum, stage) => sum + (stage.seconds ?? 0), 0);
  const bytes = stages.reduce((sum, stage) => sum + stage.bytes, 0);
  return (
    <table class={style["way"]}>
      <caption class="only-heard">Stages</caption>
      <thead>
        <tr>
          <th>Stage</th>
          <th class={style["who"]}>Who</th>
          <th class="number">Time</th>
          <th class="number">Bytes</th>
        </tr>
      </thead>
      <tbody>
        {stages.map((stage) => (
          <tr key={stage.name} data-state={stage.state}>
            <td>
              <span class={style["dot"]} aria-hidden="true" />
              {stage.label}
              <span class="only-heard">, {WORDS[stage.state]}</span>
            </td>
            <td class={`quiet ${style["who"]}`}>{stage.who}</td>
            <td class="number">{timeOf(stage)}</td>
            <td class="number">{stage.bytes > 0 ? byteSize(stage.bytes) : ""}</td>
          </tr>
        ))}
      </tbody>
      <tfoot>
        <tr>
          <th scope="row">All</th>
          <td class={style["who"]} />
          <td class="number">{duration(seconds)}</td>
          <td class="number">{byteSize(bytes)}</td>
        </tr>
      </tfoot>
    </table>
  );
}

function timeOf({ state, seconds, share }: StageRow): string {
  if (seconds !== null) return duration(seconds);
  if (state === "waiting") return "";
  return share === null ? "now" : percent(share, 0);
}
