/**
 * The hub for people: which models there are, and what each cut costs and leaks.
 * @module
 */
import type { Hono } from "hono";
import { html } from "hono/html";
import type { ModelManifest, PublishedCut } from "../protocol.ts";
import type { ListedModel } from "./catalogue.ts";
import type { Hub } from "./hub.ts";
import { leakMarkup } from "./leak-markup.ts";
import { bytesText, page, PAGE_POLICY, type Markup } from "./page-frame.ts";
import type { Environment } from "./request.ts";

/** Adds the pages. */
export function addPages(application: Hono<Environment>, hub: Hub): void {
  application.get("/", async (context) => {
    context.header("content-security-policy", PAGE_POLICY);
    return context.html(listPage(await hub.catalogue.list(), await hub.enclaves.hasSimulator()));
  });
  application.get("/models/:name", async (context) => {
    const model = await hub.catalogue.model(context.req.param("name"));
    const wanted = context.req.query("version") ?? model.versions[0]!.version;
    const { version, manifest } = await hub.catalogue.version(wanted, model.name);
    context.header("content-security-policy", PAGE_POLICY);
    return context.html(modelPage(model, version, manifest, await hub.enclaves.hasSimulator()));
  });
}

function listPage(models: readonly ListedModel[], isSimulated: boolean): Markup {
  return page(
    "Unseen model hub",
    html`${isSimulated ? warning() : ""}
      <h1>Models</h1>
      <p class="facts">
        Their first layers run on your encrypted picture; the rest runs at whoever made them, on features that you have decrypted and
        coarsened. The hub passes on what it cannot open.
      </p>
      <h2>Published here</h2>
      ${
        models.length === 0
          ? html`<p class="missing">None yet.</p>`
          : html`<div class="scroll">
              <table>
                <tr>
                  <th>model</th>
                  <th>creator</th>
                  <th class="number">versions</th>
                  <th>latest</th>
                </tr>
                ${models.map(
                  ({ name, creator, versions }) =>
                    html`<tr>
                      <td><a href="/models/${name}">${name}</a></td>
                      <td>${creator}</td>
                      <td class="number">${versions.length}</td>
                      <td>${versions[0]?.published.slice(0, 10)}</td>
                    </tr>`,
                )}
              </table>
            </div>`
      }`,
  );
}

function modelPage(model: ListedModel, version: string, manifest: ModelManifest, isSimulated: boolean): Markup {
  const { name, card, licence, labels, picture, cuts } = manifest;
  const [channels, height, width] = picture.shape;
  return page(
    `${name} - Unseen model hub`,
    html`${isSimulated ? warning() : ""}
      <nav><a href="/">All models</a></nav>
      <h1>${name}</h1>
      <p class="facts">
        By ${model.creator}. Licence ${licence}. Pictures of ${width} x ${height}, ${channels} ${channels === 1 ? "channel" : "channels"};
        ${labels.length}
        ${labels.length === 1 ? "class" : "classes"}${labels.length > 0 ? `: ${labels.slice(0, 20).join(", ")}` : ""}${labels.length > 20 ? ", ..." : ""}.
      </p>
      <h2>Where it can be cut</h2>
      <p class="facts">
        The layers before the cut see ciphertext alone. What is sent on after it can be read in part: the closer a figure "from the
        features" is to the one "without them", the less.
      </p>
      ${cuts.map((cut) => cutMarkup(cut, manifest))}
      <h2>Model card</h2>
      ${card === "" ? html`<p class="missing">None.</p>` : html`<pre>${card}</pre>`}
      <h2>Versions</h2>
      <ul>
        ${model.versions.map(
          (other) =>
            html`<li>
              <a href="/models/${name}?version=${other.version}"><code>${other.version.slice(0, 16)}</code></a
              >, ${other.published.slice(0, 10)}${other.version === version ? " (shown)" : ""}
            </li>`,
        )}
      </ul>
      <p class="facts">Version <code>${version}</code>, model file <code>${manifest.model}</code>.</p>`,
  );
}

function warning(): Markup {
  return html`<p class="warning">
    <strong>SIMULATOR.</strong> An enclave here is not trusted hardware: for tests and demonstrations alone.
  </p>`;
}

function cutMarkup(cut: PublishedCut, { leaks }: ModelManifest): Markup {
  const measured = leaks.filter((leak) => leak.cut === cut.cut);
  const { parameters, seconds, depth, features } = cut;
  return html`<section class="cut">
    <h3>
      After ${cut.layers.join(", ")}
      <small>(cut ${cut.cut}, ${parameters.scheme.toUpperCase()}, degree ${parameters.degree})</small>
    </h3>
    <div class="scroll">
      <table>
        <tr>
          <th class="number">depth</th>
          <th class="number">keys</th>
          <th class="number">upload</th>
          <th class="number">download</th>
          <th class="number">seconds</th>
          <th class="number">features</th>
        </tr>
        <tr>
          <td class="number">${depth}</td>
          <td class="number">${bytesText(cut.keyBytes)}</td>
          <td class="number">${bytesText(cut.uploadBytes)}</td>
          <td class="number">${bytesText(cut.downloadBytes)}</td>
          <td class="number">${seconds === null ? "not measured" : seconds.toFixed(2)}</td>
          <td class="number">${features.join(" x ")}</td>
        </tr>
      </table>
    </div>
    ${
      measured.length === 0
        ? html`<div class="leak"><span class="missing">Leak: not measured.</span> Take it that the features show the picture.</div>`
        : measured.map(leakMarkup)
    }
  </section>`;
}
