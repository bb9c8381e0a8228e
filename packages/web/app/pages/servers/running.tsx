/**
 * The mode is on: what each server sees, whether the answers are right, and what it costs.
 * @module
 */
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { TwoServers } from "../../../src/protocol/library.ts";
import { announce } from "../../parts/announcer.tsx";
import { Button } from "../../parts/button.tsx";
import { FailureNotice, Notice, sentence } from "../../parts/notice.tsx";
import { count, duration } from "../../parts/numbers.ts";
import { focusHeading } from "../models/focus-heading.ts";
import { fieldOf } from "../models/names.ts";
import { useSubmission } from "../../parts/use-submission.ts";
import { serving, stopServersHere } from "./jobs.ts";
import { ServerCard } from "./server-card.tsx";
import { ServersHere } from "./servers-here.tsx";
import { switchOff } from "./servers.ts";
import style from "./servers.module.css";

export function Running({ on }: { readonly on: TwoServers }): JSX.Element {
  const { busy, failure, submit } = useSubmission();
  const heading = useRef<HTMLHeadingElement>(null);
  // The button that switched it on is gone.
  useEffect(() => {
    if (document.activeElement === document.body) heading.current?.focus();
  }, []);
  // Also those that have ended: their addresses stay known.
  const known = serving.value.map(({ value }) => fieldOf(value.result, "url"));
  const isHere = on.servers.some(({ url }) => known.includes(url));
  const end = (): void =>
    submit(async () => {
      await switchOff();
      focusHeading();
      if (isHere) await stopServersHere();
      announce(isHere ? "Switched off, and the two servers on this machine were stopped." : "Two-server mode is off.");
    });
  const down = on.servers.filter(({ state }) => state === "down");
  return (
    <>
      <section class="card" aria-label="Two-server mode">
        <header class="row spread">
          <h2 class={style["model"]} ref={heading} tabIndex={-1}>
            <span class="badge good">on</span> {on.model}
          </h2>
          {!on.violation && (
            <a class="button primary" href={`/chat?model=${encodeURIComponent(on.model)}`}>
              Chat with it
            </a>
          )}
          <Button {...(on.violation ? { kind: "primary" as const } : {})} disabled={busy} onClick={end}>
            Switch off
          </Button>
        </header>
        {!on.violation && (
          <p>
            In the chat, choose the model <strong>{on.model}</strong>. What follows is about the last message, asked anew every 2 seconds.
          </p>
        )}
        {on.sameOperator && (
          <Notice kind="warning">
            Both servers are on one machine, for trying: whoever owns it has both halves, and then this protects no more than EE.
          </Notice>
        )}
        <FailureNotice failure={failure} />
      </section>
      <Integrity on={on} />
      {down.length > 0 && <DownNotice on={on} isHere={isHere} />}
      <div class={style["pair"]}>
        <ServerCard role="A" row={on.servers[0]} audited={on.violation !== null} />
        <ServerCard role="B" row={on.servers[1]} audited={on.violation !== null} />
      </div>
      {serving.value.length > 0 && (
        <details>
          <summary>The servers on this machine</summary>
          <div class="stack">
            <ServersHere />
          </div>
        </details>
      )}
    </>
  );
}

function DownNotice({ on, isHere }: { readonly on: TwoServers; readonly isHere: boolean }): JSX.Element {
  const names = on.servers.flatMap(({ state }, index) => (state === "down" ? [index === 0 ? "Server A" : "Server B"] : []));
  return (
    <Notice kind="bad">
      <span>
        {names.join(" and ")} {names.length === 1 ? "does" : "do"} not answer, and nothing is answered without{" "}
        {names.length === 1 ? "it" : "them"}.
      </span>
      <span class="small">
        {isHere
          ? "If it ran on this machine: switch off, then start two servers here again."
          : "Ask its operator to start it again: unseen shares serve DIRECTORY."}{" "}
        The gateway goes on by itself once it answers at the same address.
      </span>
    </Notice>
  );
}

function Integrity({ on }: { readonly on: TwoServers }): JSX.Element {
  const { checked, violation, roundTrips, secondsWaiting } = on;
  return (
    <section class="card" aria-label="Integrity and cost">
      {violation ? (
        <div class={style["lied"]} role="alert">
          <h2>A server answered wrongly</h2>
          <p>{sentence(violation.message)}</p>
          <p>
            {violation.hint} Nothing is sent to either server any more. Switch off, use another server in its place, and tell its operator
            what is written here.
          </p>
        </div>
      ) : (
        <h2>{checked === 0 ? "Nothing was asked yet" : "Every answer was right"}</h2>
      )}
      <dl class="facts">
        <dt>Products checked</dt>
        <dd>
          {count(checked, "product")}
          {violation
            ? ""
            : checked === 0
              ? "; say something in the chat"
              : ", none wrong (a wrong one passes with a probability of at most 2⁻⁶¹)"}
        </dd>
        <dt>Round trips</dt>
        <dd>{roundTrips.toLocaleString("en")}</dd>
        <dt>Spent waiting for them</dt>
        <dd>
          {duration(secondsWaiting)}
          {roundTrips > 0 && `, ${duration(secondsWaiting / roundTrips)} each`}
        </dd>
      </dl>
    </section>
  );
}
