/**
 * What the creator can read at a setting, as it was measured.
 * @module
 */
import type { JSX } from "preact";
import { percent } from "../../parts/numbers.ts";
import { bundledLeak, leakInWords, nearestMeasured, type Attribute, type LeakFile, type Measurement } from "./leak-figures.ts";
import style from "./pictures.module.css";
import { noiseInWords, type RunSettings } from "./settings.ts";

/** What attributes are called in the data, where a person would not know. */
const NAMES: Readonly<Record<string, string>> = { label: "pneumonia or normal" };

/** The nearest measured setting; says which it is. */
export function LeakPanel({ settings }: { readonly settings: RunSettings }): JSX.Element {
  const found = nearestMeasured(settings, bundledLeak.measurements);
  if (!found) return <p class="quiet">What the creator can read at this cut was not measured.</p>;
  const { measurement, exact } = found;
  return (
    <div class="stack">
      {!exact && (
        <p class="small">
          <strong>This very setting was not measured.</strong> The nearest that was: noise of {noiseInWords(measurement.noise)},{" "}
          {measurement.bits} bits.
        </p>
      )}
      <LeakFigures measurement={measurement} file={bundledLeak} />
      <p class="small quiet">
        By an attacker who knows the network, the settings and {bundledLeak.trained} public X-rays of the same kind, over{" "}
        {bundledLeak.tested} others (<code>{bundledLeak.command}</code>). {bundledLeak.attribution}
      </p>
    </div>
  );
}

/** Figures and pictures of one measurement. */
export function LeakFigures({
  measurement,
  file,
}: {
  readonly measurement: Pick<Measurement, "psnr" | "ssim" | "attributes" | "decisionsKept"> & { readonly pictures: string | null };
  readonly file: Pick<LeakFile, "psnrBaseline" | "ssimBaseline">;
}): JSX.Element {
  const { psnr, ssim, attributes, decisionsKept, pictures } = measurement;
  return (
    <>
      <p>
        <strong>{leakInWords(measurement, file)}</strong>
      </p>
      {pictures && <BeforeAndAfter png={pictures} />}
      <dl class="facts">
        <dt>Rebuilt pictures</dt>
        <dd>
          {psnr.toFixed(1)} dB, SSIM {ssim.toFixed(3)}
          <span class="quiet small">
            {" "}
            without the features {file.psnrBaseline.toFixed(1)} dB, {file.ssimBaseline.toFixed(3)}
          </span>
        </dd>
        {decisionsKept !== null && (
          <>
            <dt>Same answers</dt>
            <dd>{percent(decisionsKept, 0)}</dd>
          </>
        )}
      </dl>
      <details>
        <summary class="small">What else can be told from the features</summary>
        <AttributesTable attributes={attributes} />
      </details>
    </>
  );
}

function BeforeAndAfter({ png }: { readonly png: string }): JSX.Element {
  return (
    <figure class={style["sheet"]}>
      <img src={`data:image/png;base64,${png}`} alt="Above, pictures; below, what was rebuilt of each from its features" />
      <figcaption class="small quiet">Above: pictures. Below: what was rebuilt of them.</figcaption>
    </figure>
  );
}

function AttributesTable({ attributes }: { readonly attributes: readonly Attribute[] }): JSX.Element {
  return (
    <table class="small">
      <thead>
        <tr>
          <th>Question</th>
          <th class="number">Right</th>
          <th class="number">By guessing</th>
        </tr>
      </thead>
      <tbody>
        {attributes.map(({ name, recovered, baseline }) => (
          <tr key={name}>
            <td>{NAMES[name] ?? name}</td>
            <td class="number">{percent(recovered, 0)}</td>
            <td class="number">{percent(baseline, 0)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
