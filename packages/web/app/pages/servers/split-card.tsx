/**
 * First step: splits a model.
 * @module
 */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { isActive } from "../../api/jobs.ts";
import { Button } from "../../parts/button.tsx";
import { SelectField, TextField } from "../../parts/field.tsx";
import { CommandLine, JobView } from "../../parts/job-view.tsx";
import { FailureNotice } from "../../parts/notice.tsx";
import { asksForPassphrase, keys, library } from "../../api/library.ts";
import { useSubmission } from "../../parts/use-submission.ts";
import { beginSplit, forgetJob, splits, splitting } from "./jobs.ts";
import style from "./servers.module.css";

const DEFAULT_KEY = "default";
const BITS = [
  { value: "8", label: "8: smaller and faster" },
  { value: "16", label: "16: closer to the model, twice the traffic back" },
] as const;

export function SplitCard(): JSX.Element {
  const models = [
    ...(library.value?.plain.filter(({ path }) => !/\.(?:onnx|gguf)$/.test(path)) ?? []),
    ...(library.value?.encrypted.filter(({ path }) => !/\.(?:onnx|gguf)$/.test(path)) ?? []),
  ];
  const [chosen, setChosen] = useState<string | null>(null);
  const [bits, setBits] = useState<"8" | "16">("8");
  const [key, setKey] = useState<string | null>(null);
  const [passphrase, setPassphrase] = useState("");
  const { busy, failure, submit } = useSubmission();
  const model = chosen ?? models[0]?.path ?? "";
  const isPlain = library.value?.plain.some(({ path }) => path === model) ?? true;
  const keyName = key ?? keys.value.find(({ name }) => name === DEFAULT_KEY)?.name ?? keys.value[0]?.name ?? DEFAULT_KEY;
  const asks = isPlain && asksForPassphrase(keyName);
  const running = splitting.value.some(({ value }) => isActive(value));
  const begin = (event: Event): void => {
    event.preventDefault();
    submit(() => beginSplit({ kind: "share", model, bits: bits === "16" ? 16 : 8, key: keyName, ...(asks ? { passphrase } : {}) }));
  };
  return (
    <section class="card" aria-label="Step 1: split a model">
      <h2>1. Split a model</h2>
      <p class="quiet">
        It is encrypted under your key and rounded to whole numbers. Both servers get the same directory; everything that is not a large
        product stays here. Skip this if it was done before.
      </p>
      <form class="stack" onSubmit={begin}>
        <div class="columns">
          <SelectField
            name="Model"
            value={model}
            choices={models.map(({ path, name, family }) => ({ value: path, label: family ? `${name} (${family})` : name }))}
            onChange={setChosen}
          />
          <SelectField name="Bits of a weight" value={bits} choices={BITS} onChange={setBits} />
          {isPlain && (
            <SelectField
              name="Key"
              value={keyName}
              choices={
                keys.value.length > 0
                  ? keys.value.map(({ name }) => ({ value: name, label: name }))
                  : [{ value: DEFAULT_KEY, label: `${DEFAULT_KEY} (made now)` }]
              }
              onChange={setKey}
            />
          )}
          {asks && <TextField name="Passphrase of the key" type="password" value={passphrase} onInput={setPassphrase} required />}
        </div>
        <FailureNotice failure={failure} />
        <div class="row">
          <Button
            {...(splits.value.length > 0 ? {} : { kind: "primary" as const })}
            type="submit"
            disabled={busy || running || model === ""}
          >
            Split
          </Button>
        </div>
      </form>
      {splitting.value
        .filter(({ value }) => value.state !== "done")
        .map((job) => (
          <JobView key={job.value.id} job={job} title={`Splitting ${job.value.subject}`} onForget={() => forgetJob(job.value)} />
        ))}
      {splits.value.map(({ name, fingerprint, directories }) => (
        <div class="stack" key={`${fingerprint} ${directories[0]}`}>
          <p>
            <span class="badge good">split</span> <strong>{name}</strong>. Copy one directory to each operator, nothing else:
          </p>
          <ul class={style["list"]}>
            {directories.map((directory) => (
              <li key={directory}>
                <code>{directory}</code>
              </li>
            ))}
          </ul>
          <p>There it is served by</p>
          <CommandLine command="unseen shares serve DIRECTORY --hostname 0.0.0.0 --tls-certificate CHAIN.pem --tls-key KEY.pem" />
        </div>
      ))}
    </section>
  );
}
