/**
 * Which defences to measure beside the attacks: what each stops, and what the model still computes under it.
 * @module
 */
import type { JSX } from "preact";
import type { DefenceRow } from "../../../src/protocol/lab.ts";
import { CheckField } from "../../parts/field.tsx";
import style from "./lab.module.css";

export function DefenceChoice({
  defences,
  measurable,
  chosen,
  onChange,
}: {
  readonly defences: readonly DefenceRow[];
  /** Names of those that can be measured with what is given. */
  readonly measurable: readonly string[];
  readonly chosen: ReadonlySet<string>;
  readonly onChange: (chosen: ReadonlySet<string>) => void;
}): JSX.Element {
  const taken = measurable.filter((name) => chosen.has(name));
  return (
    <details class={style["choice"]}>
      <summary>Defences to measure: {taken.length === 0 ? "none" : taken.join(", ")}</summary>
      <div class="stack">
        <p class="quiet small">
          The model is changed more and more, and at each step attacked and compared with the plain one: recovery against fidelity. Minutes
          for each; points come one by one.
        </p>
        {defences.map(({ name, title, needsTraffic }) => {
          const can = measurable.includes(name);
          return (
            <CheckField
              key={name}
              name={name}
              hint={can ? title : `${title} Needs ${needsTraffic ? "the base and traffic" : "the base"}.`}
              checked={can && chosen.has(name)}
              disabled={!can}
              onChange={(wanted) => onChange(new Set(wanted ? [...chosen, name] : [...chosen].filter((other) => other !== name)))}
            />
          );
        })}
      </div>
    </details>
  );
}
