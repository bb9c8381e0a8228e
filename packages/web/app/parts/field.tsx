/**
 * Form fields with their names, hints and mistakes.
 * @module
 */
import type { JSX } from "preact";
import { useId } from "preact/hooks";

interface FieldProperties {
  readonly name: string;
  readonly hint?: string;
  readonly mistake?: string | null;
}

interface Described {
  readonly id: string;
  readonly "aria-describedby"?: string;
  readonly "aria-invalid"?: boolean;
}

function Frame({
  name,
  hint,
  mistake,
  children,
}: FieldProperties & { readonly children: (described: Described) => JSX.Element }): JSX.Element {
  const id = useId();
  const described = [hint && `${id}-hint`, mistake && `${id}-mistake`].filter(Boolean).join(" ");
  return (
    <div class="field">
      <label class="name" for={id}>
        {name}
      </label>
      {children({ id, ...(described ? { "aria-describedby": described } : {}), ...(mistake ? { "aria-invalid": true } : {}) })}
      {hint && (
        <span class="quiet small" id={`${id}-hint`}>
          {hint}
        </span>
      )}
      {mistake && (
        <span class="small" id={`${id}-mistake`} role="alert">
          {mistake}
        </span>
      )}
    </div>
  );
}

export function TextField({
  name,
  hint,
  mistake,
  value,
  onInput,
  lines,
  ...rest
}: FieldProperties & {
  readonly value: string;
  readonly onInput: (value: string) => void;
  /** More than one: an area. */
  readonly lines?: number;
  readonly type?: "text" | "password" | "url" | "number";
  readonly placeholder?: string;
  readonly required?: boolean;
  readonly disabled?: boolean;
  readonly autocomplete?: string;
  readonly min?: number;
  readonly max?: number;
  readonly step?: number | "any";
  readonly list?: string;
  readonly autofocus?: boolean;
}): JSX.Element {
  return (
    <Frame name={name} {...(hint ? { hint } : {})} {...(mistake ? { mistake } : {})}>
      {(described) =>
        lines ? (
          <textarea
            {...described}
            rows={lines}
            value={value}
            placeholder={rest.placeholder}
            required={rest.required}
            disabled={rest.disabled}
            onInput={(event) => onInput(event.currentTarget.value)}
          />
        ) : (
          // Its type is one of several, and each has attributes of its own.
          <input
            autocomplete="off"
            spellcheck={false}
            {...described}
            {...(rest as { type: "text" })}
            value={value}
            onInput={(event) => onInput(event.currentTarget.value)}
          />
        )
      }
    </Frame>
  );
}

export function SelectField<Value extends string>({
  name,
  hint,
  mistake,
  value,
  choices,
  onChange,
  disabled,
}: FieldProperties & {
  readonly value: Value;
  readonly choices: readonly { readonly value: Value; readonly label: string }[];
  readonly onChange: (value: Value) => void;
  readonly disabled?: boolean;
}): JSX.Element {
  return (
    <Frame name={name} {...(hint ? { hint } : {})} {...(mistake ? { mistake } : {})}>
      {(described) => (
        <select {...described} value={value} disabled={disabled} onChange={(event) => onChange(event.currentTarget.value as Value)}>
          {choices.map((choice) => (
            <option key={choice.value} value={choice.value}>
              {choice.label}
            </option>
          ))}
        </select>
      )}
    </Frame>
  );
}

/** A slider; `shown` is its value in words. */
export function RangeField({
  name,
  hint,
  value,
  minimum,
  maximum,
  step,
  shown,
  onInput,
  disabled,
}: FieldProperties & {
  readonly value: number;
  readonly minimum: number;
  readonly maximum: number;
  readonly step: number | "any";
  readonly shown: string;
  readonly onInput: (value: number) => void;
  readonly disabled?: boolean;
}): JSX.Element {
  return (
    <Frame name={`${name}: ${shown}`} {...(hint ? { hint } : {})}>
      {(described) => (
        <input
          {...described}
          type="range"
          min={minimum}
          max={maximum}
          step={step}
          value={value}
          disabled={disabled}
          aria-valuetext={shown}
          onInput={(event) => onInput(event.currentTarget.valueAsNumber)}
        />
      )}
    </Frame>
  );
}

export function CheckField({
  name,
  hint,
  checked,
  onChange,
  disabled,
}: FieldProperties & {
  readonly checked: boolean;
  readonly onChange: (checked: boolean) => void;
  readonly disabled?: boolean;
}): JSX.Element {
  const id = useId();
  return (
    <div class="check">
      <input
        type="checkbox"
        id={id}
        checked={checked}
        disabled={disabled}
        aria-describedby={hint ? `${id}-hint` : undefined}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
      <span>
        <label for={id}>{name}</label>
        {hint && (
          <span class="quiet small" id={`${id}-hint`}>
            {" "}
            {hint}
          </span>
        )}
      </span>
    </div>
  );
}
