/**
 * Which attacks to run, by what the attacker must have.
 * @module
 */
import type { JSX } from "preact";
import type { AttackRow, TierName } from "../../../src/protocol/lab.ts";
import { Button } from "../../parts/button.tsx";
import { CheckField } from "../../parts/field.tsx";
import { count } from "../../parts/numbers.ts";
import style from "./lab.module.css";

/** The tiers of the threat model that attacks here belong to. */
const TIERS: Readonly<Record<TierName, string>> = {
  T0: "Sees only the ids, on the wire or in a log",
  T1: "Is the host, and cannot tell which public model this is",
  T2: "Is the host, and has the public model",
  T3: "Knows some of the text as well",
  T4: "Is a host that lies",
  T5: "Is several hosts that share what they know",
};

export function AttackChoice({
  attacks,
  chosen,
  onChange,
}: {
  readonly attacks: readonly AttackRow[];
  readonly chosen: ReadonlySet<string>;
  readonly onChange: (chosen: ReadonlySet<string>) => void;
}): JSX.Element {
  const tiers = (Object.keys(TIERS) as TierName[]).filter((tier) => attacks.some((attack) => attack.tier === tier));
  const choose = (name: string, wanted: boolean): void =>
    onChange(new Set(wanted ? [...chosen, name] : [...chosen].filter((other) => other !== name)));
  const all = chosen.size === attacks.length;
  return (
    <details class={style["choice"]}>
      <summary>Attacks: {all ? `all ${attacks.length}` : `${chosen.size} of ${count(attacks.length, "attack")}`}</summary>
      <div class="stack">
        <div class="row">
          <Button tiny onClick={() => onChange(new Set(attacks.map(({ name }) => name)))}>
            All
          </Button>
          <Button tiny onClick={() => onChange(new Set())}>
            None
          </Button>
        </div>
        {tiers.map((tier) => (
          <fieldset key={tier} class={style["tier"]}>
            <legend>
              <strong>{tier}</strong> <span class="quiet">{TIERS[tier]}</span>
            </legend>
            {attacks
              .filter((attack) => attack.tier === tier)
              .map(({ name, title, knowledge }) => (
                <CheckField
                  key={name}
                  name={name}
                  hint={`${title} Needs ${knowledge}.`}
                  checked={chosen.has(name)}
                  onChange={(wanted) => choose(name, wanted)}
                />
              ))}
          </fieldset>
        ))}
      </div>
    </details>
  );
}
