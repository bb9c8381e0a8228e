/**
 * The messages, oldest first, and beside each what the untrusted machine sees of it.
 * @module
 */
import type { Signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Message } from "../../../../src/protocol/conversations.ts";
import { failureOf } from "../../../api/console.ts";
import { announce } from "../../../parts/announcer.tsx";
import { Button } from "../../../parts/button.tsx";
import { FailureNotice } from "../../../parts/notice.tsx";
import { hostSideShown } from "../data/preferences.ts";
import { Answer } from "./answer.tsx";
import type { ThreadContext } from "./context.ts";
import { HostCell } from "./host-cell.tsx";
import { Question } from "./question.tsx";
import { useReadingPlace } from "./reading-place.ts";
import { SplitHead } from "./split-head.tsx";
import { useSeen } from "./use-seen.ts";
import style from "./thread.module.css";

export function ThreadView({ context }: { readonly context: ThreadContext }): JSX.Element {
  const { thread } = context;
  const entries = thread.shown.value;
  const place = useReadingPlace(entries[0]?.peek().id, thread);
  const older = async (): Promise<void> => {
    place.hold();
    await thread.showOlder().catch((error: unknown) => announce(failureOf(error).message));
  };
  const top = useSeen<HTMLDivElement>(() => void older());
  const bottom = useSeen<HTMLDivElement>(() => thread.showNewer(), [entries.length]);
  useEffect(() => {
    const { value: found } = context.found;
    if (found !== null) place.lookAt(found);
  }, [context.found.value]);
  return (
    <div class={style["frame"]}>
      {/* Reached with Tab, so that the keyboard can scroll it. */}
      <div class={style["scroller"]} ref={place.scroller} tabIndex={0} role="region" aria-label="Messages">
        <div class={style["list"]} ref={place.list} data-split={hostSideShown.value}>
          {hostSideShown.value && entries.length > 0 && <SplitHead protection={context.model.value?.protection ?? null} />}
          <FailureNotice failure={thread.failure.value} />
          {thread.older.value && (
            <div class={style["older"]} ref={top}>
              <Button tiny onClick={() => void older()}>
                Older messages
              </Button>
            </div>
          )}
          {entries.map((entry, index) => (
            <Row key={entry.peek().id} entry={entry} next={entries[index + 1]} context={context} />
          ))}
          {thread.newer.value && (
            <div class={style["older"]} ref={bottom}>
              <Button tiny onClick={() => thread.showNewer()}>
                Newer messages
              </Button>
            </div>
          )}
        </div>
      </div>
      {(place.away.value || thread.newer.value) && (
        <div class={style["toEnd"]}>
          <Button tiny icon="down" onClick={place.toEnd}>
            To the end
          </Button>
        </div>
      )}
      <Spoken streaming={thread.streaming.value} />
    </div>
  );
}

function Row({
  entry,
  next,
  context,
}: {
  readonly entry: Signal<Message>;
  readonly next: Signal<Message> | undefined;
  readonly context: ThreadContext;
}): JSX.Element {
  const { id, role } = entry.peek();
  const answer = role === "assistant" ? entry : next;
  return (
    <article
      class={style["row"]}
      data-message={id}
      data-found={context.found.value === id}
      tabIndex={-1}
      aria-label={role === "user" ? "You said" : "The model said"}
    >
      <div class={style["words"]}>
        {role === "user" ? <Question entry={entry} context={context} /> : <Answer entry={entry} context={context} />}
      </div>
      {hostSideShown.value && (
        <div class={style["numbers"]}>
          {answer?.peek().role === "assistant" && (
            <HostCell
              answer={answer}
              direction={role === "user" ? "sent" : "received"}
              later={role === "user" && entry.peek().parent !== null}
              thread={context.thread}
            />
          )}
        </div>
      )}
    </article>
  );
}

/** For who listens: that an answer begins, and that it ended. */
function Spoken({ streaming }: { readonly streaming: string | null }): JSX.Element {
  const before = useRef<string | null>(null);
  const ended = before.current !== null && streaming === null;
  useEffect(() => {
    before.current = streaming;
  }, [streaming]);
  return (
    <p class="only-heard" role="status">
      {streaming !== null ? "The model answers." : ended ? "The answer ended." : ""}
    </p>
  );
}
