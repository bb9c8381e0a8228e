/**
 * The protections side by side, and what was measured on this user's own models.
 * @module
 */
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { library, refreshLibrary } from "../../api/library.ts";
import { CopyButton } from "../../parts/button.tsx";
import { WorthText } from "./measured.tsx";
import style from "./models.module.css";
import { protections, tiers, type ProtectionFacts } from "./protections.ts";

export function ProtectionsTab(): JSX.Element {
  useEffect(() => void refreshLibrary(), []);
  const own = library.value?.encrypted.filter(({ worth }) => worth.own) ?? [];
  return (
    <>
      <p class={style["worth"]}>
        Numbers without words are not the same as secrecy. What a protection is worth depends on who looks. Begin with whom you fear, not
        with what sounds strong.
      </p>
      <section class="stack" aria-label="The four protections">
        <h2>The four protections</h2>
        <div class={style["protections"]}>
          {protections.map((facts) => (
            <Facts key={facts.name} facts={facts} />
          ))}
        </div>
      </section>
      <section class="stack" aria-label="Who can do what">
        <h2>Who can do what</h2>
        <p class="quiet">
          "Reads" means: gets your text. "Learns" means: statistics, structure, lengths, timing. The column of enclaves was shown with
          simulated hardware alone. The last row holds for everything: on your own machine all is in clear.
        </p>
        <div class="scroll" role="region" aria-label="Who can do what, as a table" tabIndex={0}>
          <table class={style["matrix"]}>
            <thead>
              <tr>
                <th scope="col">Who looks</th>
                {protections.map(({ name }) => (
                  <th scope="col" key={name}>
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {tiers.map((tier) => (
                <tr key={tier.name}>
                  <th scope="row">
                    {tier.name}
                    <span class="quiet small">{tier.who}</span>
                  </th>
                  {tier.against.map((text, index) => (
                    <td key={protections[index]!.name}>{text}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
        <p class="quiet small">
          If you fear T2 and none of these will do, run the model on a machine of your own. The whole argument is in docs/threat-model.md;
          how to choose, in docs/guides/choosing-a-protection.md.
        </p>
      </section>
      <section class="stack" aria-label="Measured on your models">
        <h2>Measured on your models</h2>
        {own.length > 0 ? (
          <dl class="facts">
            {own.map(({ name, path, worth }) => [
              <dt key={`${path} name`}>{name}</dt>,
              <dd key={path}>
                <WorthText worth={worth} />
              </dd>,
            ])}
          </dl>
        ) : (
          <p>
            None of your models was attacked yet. The <a href="/lab">lab</a> attacks one as each of these would, and says what it recovered.
            A figure of 0 % is no promise: it knows the attacks that we know.
          </p>
        )}
      </section>
    </>
  );
}

function Facts({ facts }: { readonly facts: ProtectionFacts }): JSX.Element {
  return (
    <article class={`card ${style["protection"]}`} aria-label={facts.name}>
      <header>
        <h3>{facts.name}</h3>
        <p class="quiet">{facts.title}</p>
      </header>
      <dl>
        <div>
          <dt>The untrusted machine gets</dt>
          <dd>{facts.gets}</dd>
        </div>
        <div>
          <dt>It costs</dt>
          <dd>{facts.cost}</dd>
        </div>
        <div>
          <dt>It rests on</dt>
          <dd>{facts.restsOn}</dd>
        </div>
        <div>
          <dt>Whom it helps against</dt>
          <dd>{facts.helps}</dd>
        </div>
        <div>
          <dt>What it does not do</dt>
          <dd>{facts.doesNot}</dd>
        </div>
        {facts.figures.length > 0 && (
          <div>
            <dt>Measured</dt>
            {facts.figures.map(({ text, command }) => (
              <dd key={command}>
                {text}
                <span class={`quiet small ${style["copied"]}`}>
                  <code>{command}</code>
                  <CopyButton text={command} label={`Copy the command ${command}`} />
                </span>
              </dd>
            ))}
          </div>
        )}
      </dl>
      <p class="small">
        <a href={facts.page.path}>{facts.page.label}</a>
        <span class="quiet">. More: {facts.guide}</span>
      </p>
    </article>
  );
}
