/**
 * Encrypts a model.
 * @module
 */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { asksForPassphrase, keys, library } from "../../api/library.ts";
import { announce } from "../../parts/announcer.tsx";
import { Button } from "../../parts/button.tsx";
import { Dialog } from "../../parts/dialog.tsx";
import { SelectField, TextField } from "../../parts/field.tsx";
import { SubmissionFailure } from "../../parts/submission-failure.tsx";
import { useSubmission } from "../../parts/use-submission.ts";
import { beginJob } from "./jobs.ts";
import style from "./models.module.css";
import { freeName, modelNameMistake, modelNameOf } from "./names.ts";
import { StrengthField, type Strength } from "./strength-field.tsx";

const ELSEWHERE = "";
/** Made on its first use. */
const DEFAULT_KEY = "default";

const FORMATS = [
  { value: "", label: "As the model has it" },
  { value: "safetensors", label: "safetensors, a directory" },
  { value: "gguf", label: "GGUF, one file" },
] as const;
const PRECISIONS = [
  { value: "", label: "As the model has it" },
  { value: "f32", label: "f32: 32 bits, no rounding to speak of" },
  { value: "f16", label: "f16: 16 bits" },
  { value: "bf16", label: "bf16: 16 bits, coarser, larger range" },
] as const;

export function EncryptDialog({ path, onClose }: { readonly path: string | null; readonly onClose: () => void }): JSX.Element {
  const plain = library.value?.plain ?? [];
  const taken = (library.value?.encrypted ?? []).map(({ name }) => name);
  const [chosen, setChosen] = useState(path ?? plain[0]?.path ?? ELSEWHERE);
  const [typed, setTyped] = useState("");
  const [strength, setStrength] = useState<Strength>("rotate");
  const [key, setKey] = useState(keys.value.find(({ name }) => name === DEFAULT_KEY)?.name ?? keys.value[0]?.name ?? DEFAULT_KEY);
  const [passphrase, setPassphrase] = useState("");
  // null: the proposal.
  const [named, setNamed] = useState<string | null>(null);
  const [format, setFormat] = useState<(typeof FORMATS)[number]["value"]>("");
  const [precision, setPrecision] = useState<(typeof PRECISIONS)[number]["value"]>("");
  const [mistake, setMistake] = useState<string | null>(null);
  const { busy, failure, submit } = useSubmission();
  const model = chosen === ELSEWHERE ? typed.trim() : chosen;
  const isOnnx = model.endsWith(".onnx");
  const asks = asksForPassphrase(key);
  const name = named ?? freeName(modelNameOf(model), taken);
  const begin = (): void => {
    const found = modelNameMistake(name);
    setMistake(found);
    if (found !== null) return;
    submit(async () => {
      const weights = isOnnx ? {} : { ...(format ? { format } : {}), ...(precision ? { precision } : {}) };
      await beginJob({ kind: "encrypt", model, strength, key, name, ...weights, ...(asks ? { passphrase } : {}) });
      announce(`Encrypting ${name}.`);
      onClose();
    });
  };
  return (
    <Dialog
      title="Encrypt a model"
      onClose={onClose}
      onSubmit={begin}
      actions={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" disabled={busy}>
            Encrypt
          </Button>
        </>
      }
    >
      <div class={style["form"]}>
        <SelectField
          name="Model"
          value={chosen}
          choices={[
            ...plain.map((row) => ({ value: row.path, label: row.family ? `${row.name} (${row.family})` : row.name })),
            { value: ELSEWHERE, label: "Another one on this machine" },
          ]}
          onChange={setChosen}
        />
        {chosen === ELSEWHERE && (
          <TextField
            name="Path"
            hint="A Hugging Face directory, a .gguf or an .onnx file, from the beginning."
            placeholder="/home/me/model"
            value={typed}
            onInput={setTyped}
            required
          />
        )}
        <StrengthField value={strength} onChange={setStrength} />
        <SelectField
          name="Key"
          value={key}
          choices={
            keys.value.length > 0
              ? keys.value.map((row) => ({
                  value: row.name,
                  label: row.protection === "passphrase" ? `${row.name} (asks for a passphrase)` : row.name,
                }))
              : [{ value: DEFAULT_KEY, label: `${DEFAULT_KEY} (made now)` }]
          }
          hint="Who has this key reads what is said to the model. Best is one key for each model."
          onChange={setKey}
        />
        {asks && <TextField name="Passphrase" type="password" value={passphrase} onInput={setPassphrase} required />}
        <TextField
          name="Name"
          hint="What it is called in the chat and by programs. A host does not get it."
          value={name}
          onInput={setNamed}
          mistake={mistake}
          required
        />
        {!isOnnx && (
          <details>
            <summary>Format and precision</summary>
            <div class={style["form"]}>
              <SelectField name="Format" value={format} choices={FORMATS} onChange={setFormat} />
              <SelectField name="Precision" value={precision} choices={PRECISIONS} onChange={setPrecision} />
            </div>
          </details>
        )}
        <SubmissionFailure failure={failure} />
      </div>
    </Dialog>
  );
}
