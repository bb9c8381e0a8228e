/**
 * How strongly a model is transformed, with a sentence on each choice.
 * @module
 */
import type { JSX } from "preact";
import style from "./models.module.css";

export type Strength = "permute" | "rotate";

const STRENGTHS: readonly { readonly value: Strength; readonly text: string }[] = [
  { value: "rotate", text: "Weights are mixed by rotations and scales, then rounded once to their format. The usual choice." },
  { value: "permute", text: "Weights change places and signs and keep their bits. Each row can be looked up in the public model." },
];

export function StrengthField({
  value,
  onChange,
}: {
  readonly value: Strength;
  readonly onChange: (value: Strength) => void;
}): JSX.Element {
  return (
    <fieldset class={style["choice"]}>
      <legend>Strength</legend>
      {STRENGTHS.map((strength) => (
        <div class="check" key={strength.value}>
          <input
            type="radio"
            name="strength"
            id={`strength-${strength.value}`}
            checked={value === strength.value}
            aria-describedby={`strength-${strength.value}-text`}
            onChange={() => onChange(strength.value)}
          />
          <span>
            <label for={`strength-${strength.value}`}>
              <code>{strength.value}</code>
            </label>
            <span class="quiet small" id={`strength-${strength.value}-text`}>
              {" "}
              {strength.text}
            </span>
          </span>
        </div>
      ))}
      <span class="quiet small">
        Neither keeps a host that has the public model from reading. <a href="/models/protections">What each is worth</a>
      </span>
    </fieldset>
  );
}
