/**
 * Settings of one conversation: what the model is told first, and how it chooses its words.
 * @module
 */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { ConversationSettings, Sampling } from "../../../../src/protocol/conversations.ts";
import type { Failure } from "../../../../src/protocol/failure.ts";
import type { OfferedRow } from "../../../../src/protocol/library.ts";
import { failureOf } from "../../../api/console.ts";
import { Button } from "../../../parts/button.tsx";
import { Dialog } from "../../../parts/dialog.tsx";
import { TextField } from "../../../parts/field.tsx";
import { FailureNotice } from "../../../parts/notice.tsx";
import { samplingFields, samplingFrom, type SamplingName, type SamplingTexts } from "../data/sampling.ts";
import style from "../chat-page.module.css";

export function SettingsDialog({
  settings,
  model,
  onSave,
  onClose,
}: {
  readonly settings: ConversationSettings;
  /** Whose defaults stand where nothing is typed. */
  readonly model: OfferedRow | null;
  /** @throws ConsoleError */
  readonly onSave: (settings: ConversationSettings) => Promise<void>;
  readonly onClose: () => void;
}): JSX.Element {
  const [system, setSystem] = useState(settings.system);
  const [texts, setTexts] = useState(() => textsOf(settings.sampling));
  const [failure, setFailure] = useState<Failure | null>(null);
  const { sampling, mistakes } = samplingFrom(texts);
  const save = async (): Promise<void> => {
    if (Object.keys(mistakes).length > 0) return;
    try {
      await onSave({ ...settings, system: system.trim(), sampling });
      onClose();
    } catch (error) {
      setFailure(failureOf(error));
    }
  };
  return (
    <Dialog
      title="Settings of this conversation"
      onClose={onClose}
      onSubmit={() => void save()}
      actions={
        <>
          <Button
            onClick={() => {
              setSystem("");
              setTexts({});
            }}
          >
            Reset all
          </Button>
          <Button kind="primary" type="submit">
            Save
          </Button>
        </>
      }
    >
      <FailureNotice failure={failure} />
      <TextField
        name="System prompt"
        lines={4}
        value={system}
        onInput={setSystem}
        hint="The model is told this before everything else. Empty: nothing."
      />
      <fieldset class={style["sampling"]}>
        <legend>How it chooses words. Empty: as the model's makers advise.</legend>
        {samplingFields.map(({ name, label, hint, initial }) => (
          <TextField
            key={name}
            name={label}
            hint={hint}
            mistake={mistakes[name] ?? null}
            value={texts[name] ?? ""}
            placeholder={String(defaultOf(model, name) ?? initial)}
            onInput={(text) => setTexts({ ...texts, [name]: text })}
          />
        ))}
      </fieldset>
    </Dialog>
  );
}

function textsOf(sampling: Sampling): SamplingTexts {
  return Object.fromEntries(Object.entries(sampling).map(([name, value]) => [name, String(value)]));
}

function defaultOf(model: OfferedRow | null, name: SamplingName): number | undefined {
  return (model?.defaults as Sampling | undefined)?.[name];
}
