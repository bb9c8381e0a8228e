/**
 * What the model says of the picture.
 * @module
 */
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { announce } from "../../parts/announcer.tsx";
import { BarChart } from "../../parts/charts.tsx";
import { Notice } from "../../parts/notice.tsx";
import { compact, percent } from "../../parts/numbers.ts";
import { softmax, type RunResult } from "./run-story.ts";

/** Bars that are shown; a network with a thousand classes has as many. */
const SHOWN = 10;

export function Answer({ result }: { readonly result: RunResult }): JSX.Element {
  const heading = useRef<HTMLHeadingElement>(null);
  const { label, labels = [], outputs, plainLabel, maxError } = result;
  useEffect(() => {
    announce(`The answer is ${label}.`);
    heading.current?.scrollIntoView({ block: "nearest" });
  }, [label]);
  const shares = softmax(outputs[0]?.values ?? [])
    .map((value, index) => ({ name: labels[index] ?? `class ${index}`, value }))
    .toSorted((one, other) => other.value - one.value);
  return (
    <section class="card" aria-labelledby="answer">
      <h2 id="answer" ref={heading}>
        Answer: {label}
      </h2>
      <BarChart
        title="The model's outputs"
        axis={{
          label: "As shares that add up to 100 %; they do not say how often the model is right",
          minimum: 0,
          maximum: 1,
          format: (share) => percent(share),
        }}
        bars={shares.slice(0, SHOWN)}
      />
      {plainLabel !== undefined && (
        <dl class="facts">
          <dt>Without any protection</dt>
          <dd>
            {plainLabel}
            {plainLabel === label ? ", the same" : ": the noise changed the answer"}
          </dd>
          {maxError !== undefined && (
            <>
              <dt>Largest error of a feature</dt>
              <dd>{compact(maxError)}, from computing on ciphertext, before the noise</dd>
            </>
          )}
        </dl>
      )}
      <Notice kind="warning">This is not a medical device: do not use it for any decision about a person.</Notice>
    </section>
  );
}
