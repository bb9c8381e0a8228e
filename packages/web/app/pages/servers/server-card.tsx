/**
 * One of two servers, and what it saw of the last message.
 * @module
 */
import type { JSX } from "preact";
import type { ServerRow, ServerView } from "../../../src/protocol/library.ts";
import { fromBase64, hexRows } from "../../parts/bytes.ts";
import { byteSize, count } from "../../parts/numbers.ts";
import { evennessOf } from "./evenness.ts";
import { Histogram } from "./histogram.tsx";

/** Bytes of the sample that are shown. */
const SHOWN = 256;

export function ServerCard({
  role,
  row,
  audited,
}: {
  readonly role: "A" | "B";
  readonly row: ServerRow;
  /** Calls were repeated to find out who answered wrongly. */
  readonly audited: boolean;
}): JSX.Element {
  return (
    <section class="card" aria-label={`Server ${role}`}>
      <header class="row spread">
        <h2 class="grow">Server {role}</h2>
        <span class={`badge ${row.state === "up" ? "good" : "bad"}`}>{row.state}</span>
      </header>
      <dl class="facts">
        <dt>Address</dt>
        <dd>
          <code>{row.url}</code>
        </dd>
        <dt>Since switched on</dt>
        <dd>
          {byteSize(row.sentBytes)} to it, {byteSize(row.receivedBytes)} back
        </dd>
      </dl>
      {row.last ? <View role={role} view={row.last} audited={audited} /> : <p class="quiet">It was sent no message yet.</p>}
    </section>
  );
}

function View({ role, view, audited }: { readonly role: "A" | "B"; readonly view: ServerView; readonly audited: boolean }): JSX.Element {
  const sample = fromBase64(view.sample);
  const { kind, text } = evennessOf(view.histogram, view.chiSquare);
  const gotNumbers = view.histogram.some((times) => times > 0);
  return (
    <div class="stack">
      <h3>What it saw of the last message</h3>
      <p>
        {count(view.calls, "call")}, {byteSize(view.received)} in, {byteSize(view.sent)} out.{" "}
        {role === "A"
          ? "Your numbers less noise, 4 bytes each:"
          : "A seed of 32 random bytes, then for each call its number, group and rows:"}
      </p>
      <pre class="output" tabIndex={0} aria-label={`First bytes that server ${role} got`}>
        {hexRows(sample.subarray(0, SHOWN)).join("\n")}
      </pre>
      {view.received > SHOWN && (
        <p class="quiet small">
          The first {SHOWN} of {byteSize(view.received)}.
        </p>
      )}
      {gotNumbers ? (
        <>
          <Histogram histogram={view.histogram} label={`How often server ${role} got each byte value`} />
          {audited ? (
            <p class="notice">
              The last numbers were sent to it a second time, to find out who answered wrongly. They count twice, so evenness says nothing
              here.
            </p>
          ) : (
            <p class={kind === "even" ? "notice good" : "notice"}>{text}</p>
          )}
        </>
      ) : (
        <p class="notice good">
          It got no number that depends on your text: the seed and the counting are the same whatever you say. There is nothing to test.
        </p>
      )}
    </div>
  );
}
