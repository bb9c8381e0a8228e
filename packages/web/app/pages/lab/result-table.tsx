/**
 * What each attack recovered, as they end.
 * @module
 */
import type { JSX } from "preact";
import type { AttackResultRow } from "../../../src/protocol/lab.ts";
import { duration, percent } from "../../parts/numbers.ts";
import { controlState, mostRecovered, saysSomething, type ControlState } from "./attack-run.ts";
import style from "./lab.module.css";

const CONTROLS: Readonly<Record<ControlState, { readonly word: string; readonly kind: string }>> = {
  held: { word: "held", kind: "good" },
  failed: { word: "failed", kind: "bad" },
  missing: { word: "not run", kind: "" },
  none: { word: "has none", kind: "" },
};

export function ResultTable({ results }: { readonly results: readonly AttackResultRow[] }): JSX.Element | null {
  if (results.length === 0) return null;
  return (
    <div class="scroll" tabIndex={0} role="group" aria-label="What each attack recovered">
      <table class={style["results"]}>
        <caption class="only-heard">What each attack recovered</caption>
        <thead>
          <tr>
            <th>Attack</th>
            <th>Tier</th>
            <th class="number">Vocabulary</th>
            <th class="number">Text</th>
            <th>Control</th>
            <th class="number">Time</th>
          </tr>
        </thead>
        <tbody>
          {results.map((result) => (
            <ResultRow key={result.name} result={result} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function ResultRow({ result }: { readonly result: AttackResultRow }): JSX.Element {
  const { name, title, tier, knowledge, vocabularyTop1, textTokens, seconds, control, controlSetting, remark, complete, notRun } = result;
  const state = controlState(result);
  const most = mostRecovered(result);
  return (
    <tr>
      <td>
        <div class={style["what"]}>
          <strong>{name}</strong>
          {notRun === null ? (
            <span class={`quiet small ${style["title"]}`}>{title}</span>
          ) : (
            <span class="quiet small">Not run: {notRun}.</span>
          )}
          {most !== null && !saysSomething(result) && <span class="small">Its control did not hold: these figures say nothing.</span>}
          {remark && <span class="quiet small">{remark}</span>}
          {notRun === null && !complete && <span class="quiet small">The time ran out; more time may recover more.</span>}
        </div>
      </td>
      <td title={`The attacker has ${knowledge}`}>{tier}</td>
      <td class="number">{notRun === null ? share(vocabularyTop1) : ""}</td>
      <td class="number">{notRun === null ? share(textTokens) : ""}</td>
      <td>
        <span class={`badge ${CONTROLS[state].kind}`}>{CONTROLS[state].word}</span>
        {state !== "none" && control !== null && controlSetting && (
          <span class={`quiet small ${style["control"]}`} title={controlSetting.setting}>
            {percent(control, 0)}, must be {percent(controlSetting.least, 0)}
          </span>
        )}
      </td>
      <td class="number">{notRun === null ? duration(seconds) : ""}</td>
    </tr>
  );
}

/** Rounding never turns "nearly" into "all" or "nothing". */
function share(value: number | null): string {
  if (value === null) return "";
  if (value > 0 && value < 0.0005) return "<0.1 %";
  if (value < 1 && value >= 0.9995) return ">99.9 %";
  return percent(value, value === 0 || value === 1 ? 0 : 1);
}
