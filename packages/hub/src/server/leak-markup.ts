/**
 * What was measured to be readable from the features of a cut, beside what needs no features at all.
 * @module
 */
import { html } from "hono/html";
import type { Leak } from "../protocol.ts";
import { percent, type Markup } from "./page-frame.ts";

/** One measurement. */
export function leakMarkup(leak: Leak): Markup {
  const { psnr, psnrBaseline, ssim, ssimBaseline, attributes, pictures, decisionsKept } = leak;
  return html`<div class="leak">
    <strong>Measured leak</strong>
    <p class="facts">
      ${obfuscationText(leak.obfuscation)}. An inverter trained on ${leak.trained} pictures (${leak.data}), tried on ${leak.tested} others.
      ${decisionsKept === null ? "" : `Decisions that stay the same: ${percent(decisionsKept)}.`}
    </p>
    <div class="scroll">
      <table>
        <tr>
          <th>what an attacker gets</th>
          <th class="number">from the features</th>
          <th class="number">without them</th>
        </tr>
        ${row("PSNR", `${psnr.toFixed(1)} dB`, `${psnrBaseline.toFixed(1)} dB`)} ${row("SSIM", ssim.toFixed(3), ssimBaseline.toFixed(3))}
        ${attributes.map(({ name, recovered, baseline }) => row(name, percent(recovered), percent(baseline)))}
      </table>
    </div>
    ${
      pictures === null
        ? ""
        : html`<figure>
            <img src="/v1/blobs/${pictures}" alt="Pictures of the test, and what the inverter recovered of them." loading="lazy" />
            <figcaption>Above: pictures of the test. Below: what was rebuilt from their features alone.</figcaption>
          </figure>`
    }
  </div>`;
}

function row(name: string, recovered: string, baseline: string): Markup {
  return html`<tr>
    <td>${name}</td>
    <td class="number">${recovered}</td>
    <td class="number">${baseline}</td>
  </tr>`;
}

function obfuscationText({ clip, noise, bits, channels }: Leak["obfuscation"]): string {
  const parts = [
    clip === null ? "not clipped" : `clipped at ${clip}`,
    noise === 0 ? "no noise" : `noise of ${percent(noise)} of the range`,
    bits === 0 ? "not rounded" : `${bits} bits`,
    channels === 1 ? "all channels" : `${percent(channels)} of the channels`,
  ];
  return `Features sent: ${parts.join(", ")}`;
}
