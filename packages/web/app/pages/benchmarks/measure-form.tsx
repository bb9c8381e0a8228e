/**
 * What to compare, and how carefully.
 * @module
 */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { isActive } from "../../api/jobs.ts";
import { Button } from "../../parts/button.tsx";
import { CheckField, SelectField, TextField } from "../../parts/field.tsx";
import { FailureNotice } from "../../parts/notice.tsx";
import { library, refreshLibrary } from "../../api/library.ts";
import { useSubmission } from "../../parts/use-submission.ts";
import { beginComparison, comparing } from "./comparison.ts";

/** The program chooses the model that comes along. */
const BUNDLED = "";

export function MeasureForm(): JSX.Element {
  useEffect(() => void refreshLibrary(), []);
  const [model, setModel] = useState(BUNDLED);
  const [roundTrip, setRoundTrip] = useState("20");
  const [quick, setQuick] = useState(true);
  const { busy, failure, submit } = useSubmission();
  const running = comparing.value !== null && isActive(comparing.value.value);
  const own = library.value?.plain.filter(({ path, bundled }) => !bundled && !/\.(?:onnx|gguf)$/.test(path)) ?? [];
  const begin = (event: Event): void => {
    event.preventDefault();
    submit(() => beginComparison({ kind: "compare", roundTrip: Number(roundTrip), quick, ...(model === BUNDLED ? {} : { model }) }));
  };
  return (
    <form class="card" aria-label="Measure here" onSubmit={begin}>
      <div class="columns">
        <SelectField
          name="Model"
          hint="A decoder in clear. It is encrypted for this alone, under a key that is forgotten."
          value={model}
          choices={[
            { value: BUNDLED, label: "story-llama, which comes along" },
            ...own.map(({ name, path }) => ({ value: path, label: name })),
          ]}
          onChange={setModel}
          disabled={running}
        />
        <TextField
          name="Distance of the far servers, in milliseconds"
          hint="Of a round trip; 0 leaves them out. Another city is 20, another continent 100."
          type="number"
          min={0}
          max={10_000}
          step={1}
          value={roundTrip}
          onInput={setRoundTrip}
          disabled={running}
          required
        />
      </div>
      <CheckField
        name="Quick."
        hint="Less than a minute on two idle cores, where all takes up to four. Few rounds: what else the machine does shows more."
        checked={quick}
        onChange={setQuick}
        disabled={running}
      />
      <FailureNotice failure={failure} />
      <div class="row">
        <Button kind="primary" type="submit" icon="play" disabled={busy || running}>
          Measure
        </Button>
        {running && <span class="quiet small">One comparison at a time: two would measure each other.</span>}
      </div>
    </form>
  );
}
