/**
 * Which model answers, and what protects what is said to it.
 * @module
 */
import type { JSX } from "preact";
import type { OfferedRow, Protection } from "../../../src/protocol/library.ts";
import style from "./chat-page.module.css";

const NAMES: Readonly<Record<Protection, string>> = { ee: "EE", "ee+tee": "EE + TEE", shares: "two servers" };

export function ModelPicker({
  models,
  chosen,
  onChoose,
}: {
  readonly models: readonly OfferedRow[];
  /** Id in the conversation's settings, whether offered or not; null: the first. */
  readonly chosen: string | null;
  readonly onChoose: (id: string) => void;
}): JSX.Element {
  const current = models.find(({ id }) => id === chosen);
  const missing = chosen !== null && !current;
  const shown = missing ? null : (current ?? models[0] ?? null);
  return (
    <span class={style["picker"]}>
      <select
        class={style["select"]}
        aria-label="Model"
        value={missing ? chosen : (shown?.id ?? "")}
        disabled={models.length === 0}
        onChange={(event) => onChoose(event.currentTarget.value)}
      >
        {models.length === 0 && <option value="">No model answers now</option>}
        {missing && (
          <option value={chosen} disabled>
            {chosen} (does not answer now)
          </option>
        )}
        {models.map(({ id, protection }) => (
          <option key={id} value={id}>
            {models.length > 1 ? `${id} · ${NAMES[protection]}` : id}
          </option>
        ))}
      </select>
      {shown && (
        <a class={`badge ${shown.simulated ? "warning" : "accent"}`} href="/models/protections" title="What this protection is worth">
          {NAMES[shown.protection]}
          {shown.simulated ? ", simulated" : ""}
        </a>
      )}
    </span>
  );
}

/** The model that answers under some settings; null where none does. */
export function modelFor(models: readonly OfferedRow[], chosen: string | null): OfferedRow | null {
  return models.find(({ id }) => id === chosen) ?? (chosen === null ? (models[0] ?? null) : null);
}
