/**
 * What to attack, with what, and for how long.
 * @module
 */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Failure } from "../../../src/protocol/failure.ts";
import type { LabList } from "../../../src/protocol/lab.ts";
import type { EncryptedRow, Library } from "../../../src/protocol/library.ts";
import { failureOf } from "../../api/console.ts";
import { startJob } from "../../api/jobs.ts";
import { announce } from "../../parts/announcer.tsx";
import { Button } from "../../parts/button.tsx";
import { SelectField, TextField } from "../../parts/field.tsx";
import { FailureNotice } from "../../parts/notice.tsx";
import { AttackChoice } from "./attack-choice.tsx";
import { DefenceChoice } from "./defence-choice.tsx";
import { guessBase } from "./guess-base.ts";
import type { ShownJob } from "./shown-job.ts";

/** Choices of the base beside the library's paths. */
const [NO_BASE, OTHER_BASE] = ["none", "other"];

export function AttackForm({
  library,
  lab,
  model,
  onModel,
  busy,
  onStart,
}: {
  readonly library: Library;
  readonly lab: LabList;
  readonly model: EncryptedRow;
  readonly onModel: (path: string) => void;
  /** An attack runs already. */
  readonly busy: boolean;
  readonly onStart: (job: ShownJob) => void;
}): JSX.Element {
  const { attacks } = lab;
  const [base, setBase] = useState<string | null>(null);
  const [otherBase, setOtherBase] = useState("");
  const [traffic, setTraffic] = useState("");
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set(attacks.map(({ name }) => name)));
  const [keys, setKeys] = useState("1");
  const [budget, setBudget] = useState("30");
  const [defences, setDefences] = useState<ReadonlySet<string>>(new Set());
  const [passphrase, setPassphrase] = useState("");
  const [failure, setFailure] = useState<Failure | null>(null);
  const [starting, setStarting] = useState(false);

  const selected = base ?? guessBase(model, library.plain)?.path ?? NO_BASE!;
  const basePath = selected === NO_BASE ? "" : selected === OTHER_BASE ? otherBase : selected;
  const asks = library.keys.find(({ name }) => name === model.key)?.protection === "passphrase";
  const measurable =
    basePath === "" ? [] : lab.defences.filter(({ needsTraffic }) => traffic !== "" || !needsTraffic).map(({ name }) => name);
  const measured = measurable.filter((name) => defences.has(name));

  const begin = async (): Promise<void> => {
    setFailure(null);
    if (chosen.size === 0) return setFailure({ code: "USAGE", message: "no attack is chosen.", hint: "Choose one at least." });
    setStarting(true);
    try {
      const job = await startJob({
        kind: "attack",
        model: model.path,
        ...(basePath ? { base: basePath } : {}),
        ...(traffic ? { traffic } : {}),
        ...(chosen.size < attacks.length ? { attacks: [...chosen] } : {}),
        keys: Number(keys),
        budget: Number(budget),
        ...(measured.length > 0 ? { defences: measured } : {}),
        ...(asks ? { passphrase } : {}),
      });
      onStart(job);
      announce("The attack has begun.");
    } catch (error) {
      setFailure(failureOf(error));
    }
    setStarting(false);
  };

  return (
    <form
      class="card"
      aria-labelledby="attack"
      onSubmit={(event) => {
        event.preventDefault();
        void begin();
      }}
    >
      <h2 id="attack">Attack your own model</h2>
      <div class="columns">
        <SelectField
          name="Encrypted model"
          value={model.path}
          choices={library.encrypted.map(({ name, strength, path }) => ({ value: path, label: `${name}, ${strength}` }))}
          onChange={(path) => {
            setBase(null);
            onModel(path);
          }}
        />
        <SelectField
          name="Its public base"
          hint="What a host would download. Without it only attackers who do not know the model are tried."
          value={selected}
          choices={[
            ...library.plain.map(({ name, path }) => ({ value: path, label: name })),
            { value: OTHER_BASE!, label: "Another path" },
            { value: NO_BASE!, label: "None" },
          ]}
          onChange={setBase}
        />
        {selected === OTHER_BASE && <TextField name="Path of the base" required value={otherBase} onInput={setOtherBase} />}
        <TextField
          name="Traffic, a path (optional)"
          hint="A text file on this machine of what is sent, paragraph by paragraph. Attacks on texts need it."
          value={traffic}
          onInput={setTraffic}
        />
        <TextField
          name="Keys"
          type="number"
          required
          min={1}
          max={100}
          step={1}
          value={keys}
          hint="One for a first look; five for figures to quote."
          onInput={setKeys}
        />
        <TextField
          name="Seconds for each attack and key"
          type="number"
          required
          min={1}
          max={86_400}
          step={1}
          value={budget}
          hint="At most. More may recover more."
          onInput={setBudget}
        />
        {asks && (
          <TextField name={`Passphrase of the key ${model.key}`} type="password" required value={passphrase} onInput={setPassphrase} />
        )}
      </div>
      <AttackChoice attacks={attacks} chosen={chosen} onChange={setChosen} />
      <DefenceChoice defences={lab.defences} measurable={measurable} chosen={defences} onChange={setDefences} />
      <FailureNotice failure={failure} />
      <div class="row">
        <Button kind="primary" type="submit" icon="lab" disabled={busy || starting}>
          Attack
        </Button>
        {busy && <span class="quiet">An attack runs already.</span>}
      </div>
    </form>
  );
}
