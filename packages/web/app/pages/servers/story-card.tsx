/**
 * What two servers are, and on what they rest.
 * @module
 */
import type { JSX } from "preact";
import style from "./servers.module.css";

export function StoryCard(): JSX.Element {
  return (
    <section class="card" aria-label="What it is">
      <div class={style["drawing"]} aria-hidden="true">
        <span class={style["place"]}>This machine</span>
        <span class={style["ways"]}>
          <span>numbers less noise →</span>
          <span>seed of the noise →</span>
        </span>
        <span class={style["ways"]}>
          <span class={style["place"]}>Server A</span>
          <span class={style["place"]}>Server B</span>
        </span>
      </div>
      <div class="columns">
        <div class="stack">
          <h3>What each machine sees</h3>
          <p>
            Server A gets numbers from which noise was taken away, uniformly random to whoever lacks the noise. Server B gets a seed of
            noise, which has nothing to do with your text. Both multiply by the same weights, and this machine adds their answers.
          </p>
          <p>Each server alone learns the model, the number of tokens and the timing. No token.</p>
        </div>
        <div class="stack">
          <h3>What it rests on</h3>
          <ul class={style["list"]}>
            <li>
              The two operators do not work together. Both together have what a single host has under EE: assume that it reads everything.
            </li>
            <li>AES-256: server A would have to break it.</li>
            <li>Wrong answers are found: each product is checked with secret numbers, and the server that lied is named.</li>
          </ul>
          <p class="quiet">It costs four round trips for each layer and token, so it is slow over long distances.</p>
        </div>
      </div>
    </section>
  );
}
