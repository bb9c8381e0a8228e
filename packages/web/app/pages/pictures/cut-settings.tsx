/**
 * The sliders, and beside them what a setting costs and what it gives away.
 * @module
 */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Failure } from "../../../src/protocol/failure.ts";
import { failureOf } from "../../api/console.ts";
import { Button } from "../../parts/button.tsx";
import { RangeField, TextField } from "../../parts/field.tsx";
import { FailureNotice } from "../../parts/notice.tsx";
import { byteSize, duration } from "../../parts/numbers.ts";
import { costOf, cuts, cutsJob, measureCuts, type CutCost } from "./costs.ts";
import { draft } from "./draft.ts";
import { LeakPanel } from "./leak-panel.tsx";
import { MeasureHere } from "./measure-here.tsx";
import style from "./pictures.module.css";
import { noiseInWords, NOISES, type RunSettings } from "./settings.ts";

const MOST_CUTS = 3;

export function CutSettings(): JSX.Element {
  const { place, settings } = draft.value;
  const change = (changed: Partial<RunSettings>): void => {
    draft.value = { ...draft.value, settings: { ...settings, ...changed } };
  };
  return (
    <div class={style["settings"]}>
      <div class="stack">
        {place === "here" ? (
          <RangeField
            name="Cut"
            value={Math.min(settings.cut, MOST_CUTS)}
            minimum={1}
            maximum={MOST_CUTS}
            step={1}
            shown={`after layer ${settings.cut}`}
            hint="The layers before it run on ciphertext, the others at the creator."
            onInput={(cut) => change({ cut })}
          />
        ) : (
          <TextField
            name="Cut"
            type="number"
            min={1}
            max={100}
            step={1}
            value={String(settings.cut)}
            hint="As the model offers: npx unseen hub models."
            onInput={(value) => change({ cut: Math.min(100, Math.max(1, Math.round(Number(value)) || 1)) })}
          />
        )}
        <RangeField
          name="Noise"
          value={NOISES.indexOf(settings.noise)}
          minimum={0}
          maximum={NOISES.length - 1}
          step={1}
          shown={noiseInWords(settings.noise)}
          hint="Added before the creator gets the features. More hides more, and changes answers."
          onInput={(index) => change({ noise: NOISES[index]! })}
        />
        <RangeField
          name="Bits"
          value={settings.bits}
          minimum={2}
          maximum={16}
          step={1}
          shown={`${settings.bits} for each value`}
          hint="To which the features are rounded."
          onInput={(bits) => change({ bits })}
        />
        {place === "here" && <Cost cut={settings.cut} />}
      </div>
      <section class={style["leak"]} aria-labelledby="leak">
        <h3 id="leak">What the creator can read</h3>
        {place === "here" ? (
          <>
            <LeakPanel settings={settings} />
            <MeasureHere settings={settings} />
          </>
        ) : (
          <p>
            The figures of the model's creator stand beside each cut in <code>npx unseen hub models</code>. Without figures, assume that the
            creator sees the picture.
          </p>
        )}
      </section>
    </div>
  );
}

/** Seconds and bytes of the cut on this machine. */
function Cost({ cut }: { readonly cut: number }): JSX.Element {
  const [failure, setFailure] = useState<Failure | null>(null);
  const load = (anew: boolean): void => {
    setFailure(null);
    measureCuts({ anew }).catch((error: unknown) => setFailure(failureOf(error)));
  };
  useEffect(() => {
    if (!cutsJob.value) load(false);
  }, []);
  const job = cutsJob.value?.value;
  const failed = failure ?? job?.failure ?? null;
  const cost = cuts.value && costOf(cut, cuts.value);
  return (
    <div class={style["cost"]} role="group" aria-label="What it costs here">
      {cost && <CostFacts cost={cost} />}
      {cuts.value && !cost && <p>This cut is not offered here.</p>}
      {!cuts.value && !failed && job?.state !== "stopped" && <p class="quiet">Measuring what each cut takes on this machine</p>}
      <FailureNotice failure={failed} />
      {(failed || job?.state === "stopped") && <Button onClick={() => load(true)}>Measure again</Button>}
    </div>
  );
}

function CostFacts({ cost }: { readonly cost: CutCost }): JSX.Element {
  return (
    <dl class="facts">
      <dt>On ciphertext</dt>
      <dd>{cost.layers.join(", ")}</dd>
      <dt>Takes here</dt>
      <dd>{cost.seconds === null ? "not measured" : `about ${duration(cost.seconds)}, and a few seconds around it`}</dd>
      <dt>Sent</dt>
      <dd>
        {byteSize(cost.uploadBytes)}
        {cost.keyBytes > 0 && `, and ${byteSize(cost.keyBytes)} of keys`}
      </dd>
      <dt>Received</dt>
      <dd>{byteSize(cost.downloadBytes)}</dd>
      <dt>The creator gets</dt>
      <dd>{cost.features.join(" x ")} features</dd>
    </dl>
  );
}
