/**
 * Beside each message: what the untrusted machine saw of it, loaded when one looks.
 * @module
 */
import { useSignal, type Signal } from "@preact/signals";
import type { JSX } from "preact";
import type { Message } from "../../../../src/protocol/conversations.ts";
import { failureOf } from "../../../api/console.ts";
import { answeringModels } from "../data/answering-models.ts";
import type { Exchange } from "../data/host-views.ts";
import type { Thread } from "../data/thread.ts";
import { HostSide, ServerSides } from "./host-side.tsx";
import style from "./thread.module.css";
import { useSeen } from "./use-seen.ts";

export function HostCell({
  answer,
  direction,
  later,
  thread,
}: {
  readonly answer: Signal<Message>;
  /** Seen from this machine: beside a question stands what was sent, beside its answer what came back. */
  readonly direction: "sent" | "received";
  /** Whether something was said before, which is sent again each time. */
  readonly later: boolean;
  readonly thread: Thread;
}): JSX.Element | null {
  const { id, wire, state, model } = answer.value;
  const exchanges = thread.hostSide(id).value;
  const failed = useSignal<string | null>(null);
  const seen = useSeen<HTMLDivElement>(() => {
    thread.loadHostSide(answer.peek()).catch((error: unknown) => {
      failed.value = failureOf(error).message;
    });
  }, [wire, state]);
  const live = state === "streaming";
  if (failed.value !== null) return <p class="small quiet">What the host saw could not be read: {failed}</p>;
  if (exchanges === null || exchanges.length === 0)
    return (
      <div ref={seen} class={`small quiet ${style["pending"]}`}>
        {direction === "sent" || (wire && exchanges === null)
          ? ""
          : live
            ? "Nothing was sent yet."
            : state === "failed"
              ? "Nothing was sent to a host."
              : "What the host saw of this was not kept."}
      </div>
    );
  if (!isShared(exchanges, model)) return <HostSide exchanges={exchanges} direction={direction} live={live} later={later} />;
  return direction === "sent" ? null : <ServerSides exchanges={exchanges} />;
}

/** Whether two servers multiplied shares of it: they get no ids. */
function isShared(exchanges: readonly Exchange[], model: string | null): boolean {
  const protection = answeringModels.value.find(({ id }) => id === model)?.protection;
  if (protection !== undefined) return protection === "shares";
  return exchanges.length > 1 && exchanges.every(({ sent, received }) => sent.ids.length + received.ids.length === 0);
}
