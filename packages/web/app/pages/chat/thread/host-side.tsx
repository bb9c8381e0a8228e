/**
 * What the untrusted machine sees of one message: numbers, what they would read as, and the exact bytes.
 * @module
 */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { ByteView } from "../../../parts/byte-view.tsx";
import { hexRows } from "../../../parts/bytes.ts";
import { byteSize, count } from "../../../parts/numbers.ts";
import type { Exchange, Side } from "../data/host-views.ts";
import { showHidden } from "../markdown/characters.ts";
import style from "./host-side.module.css";

/** Ids, and characters of their naive reading, that are shown before one asks for all. */
const FEW = 24;
const READING = 320;
/** Bytes of a server's random numbers that are shown in place. */
const SAMPLE = 96;

/** Of each exchange, what went one way. */
export function HostSide({
  exchanges,
  ...rest
}: Omit<SideProperties, "host" | "side"> & { readonly exchanges: readonly Exchange[] }): JSX.Element {
  return (
    <div class={style["side"]}>
      {exchanges.map((exchange, index) => (
        <SideView key={index} host={exchange.host} side={exchange[rest.direction]} {...rest} />
      ))}
    </div>
  );
}

interface SideProperties {
  readonly host: string;
  readonly side: Side;
  /** Seen from this machine. */
  readonly direction: "sent" | "received";
  /** More may come. */
  readonly live: boolean;
  /** It begins with what was said before: its end is shown. */
  readonly later: boolean;
}

function SideView({ host, side, direction, live, later }: SideProperties): JSX.Element {
  const [all, setAll] = useState(false);
  const { ids, naive, total } = side;
  const verb = direction === "sent" ? "received" : "sent";
  const cut = ids.length > FEW || naive.length > READING;
  const few = all ? ids : later ? ids.slice(-FEW) : ids.slice(0, FEW);
  const reading = all ? naive : later ? naive.slice(-READING) : naive.slice(0, READING);
  return (
    <section class={style["host"]} aria-label={`What the host ${host} ${verb}`}>
      <p class={style["name"]}>
        The host {verb}
        {ids.length > 0 ? ` ${count(ids.length, "number")}` : total > 0 ? "" : live ? " nothing yet" : " nothing"}
        {later && ids.length > 0 && <span class={style["label"]}>, with those of what was said before</span>}
      </p>
      {ids.length > 0 && (
        <>
          <p class={style["numbers"]}>{shortened(few.join(" "), ids.length > few.length, later)}</p>
          <p class={style["reading"]}>
            <span class={style["label"]}>Read as ordinary ids: </span>
            <span class={style["naive"]}>{shortened(showHidden(reading), naive.length > reading.length, later) || "nothing"}</span>
          </p>
        </>
      )}
      <div class={style["more"]}>
        {cut && (
          <button type="button" class={style["all"]} aria-expanded={all} onClick={() => setAll(!all)}>
            {all ? "Show less" : `Show all ${ids.length} numbers`}
          </button>
        )}
        {total > 0 && <Bytes side={side} host={host} verb={verb} />}
      </div>
    </section>
  );
}

/** Says on which side something is left out. */
function shortened(text: string, isCut: boolean, atBeginning: boolean): string {
  if (!isCut) return text;
  return atBeginning ? `… ${text}` : `${text} …`;
}

/** Drawn only while it is open: it changes with every word. */
function Bytes({
  side,
  host,
  verb,
  both = false,
}: {
  readonly side: Side;
  readonly host: string;
  readonly verb: string;
  /** Whether those of the other direction are beside them. */
  readonly both?: boolean;
}): JSX.Element {
  const [open, setOpen] = useState(false);
  return (
    <details open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        Exact bytes{both ? ` that it ${verb === "received" ? "got" : "sent"}` : ""}, {byteSize(side.total)}
        <span class="only-heard">
          , {verb} by {host}
        </span>
      </summary>
      {open && <ByteView bytes={side.bytes} total={side.total} label={`Bytes that ${host} ${verb}`} />}
    </details>
  );
}

/** Of two servers, each with what it got and sent. */
export function ServerSides({ exchanges }: { readonly exchanges: readonly Exchange[] }): JSX.Element {
  return (
    <div class={style["side"]}>
      {exchanges.map(({ host, sent, received }, index) => (
        <section key={index} class={style["host"]} aria-label={`What the server ${host} saw`}>
          <p class={style["name"]}>
            Server {index + 1} got {byteSize(sent.total)} and sent {byteSize(received.total)}
          </p>
          <pre class={style["sample"]} tabIndex={0} aria-label={`First numbers that ${host} got`}>
            {hexRows(bodyOf(sent.bytes).subarray(0, SAMPLE)).join("\n")}
          </pre>
          {sent.total > 0 && <Bytes side={sent} host={host} verb="received" both />}
          {received.total > 0 && <Bytes side={received} host={host} verb="sent" both />}
        </section>
      ))}
      <p class="small quiet">
        Beside the heads of its frames, one server got uniformly random numbers, and the other the random seed that belongs to them. Either
        alone learns lengths and timing from that, and no word, as long as the two do not work together.
      </p>
    </div>
  );
}

/** What follows HTTP's head. */
function bodyOf(bytes: Uint8Array): Uint8Array {
  for (let at = 0; at + 3 < bytes.length; at += 1)
    if (bytes[at] === 13 && bytes[at + 1] === 10 && bytes[at + 2] === 13 && bytes[at + 3] === 10) return bytes.subarray(at + 4);
  return bytes;
}
