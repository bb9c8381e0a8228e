/**
 * What the model said, how that went, and what can be done about it.
 * @module
 */
import type { Signal } from "@preact/signals";
import type { JSX } from "preact";
import type { Message } from "../../../../src/protocol/conversations.ts";
import { Button, CopyButton, IconButton } from "../../../parts/button.tsx";
import { FailureNotice, Notice } from "../../../parts/notice.tsx";
import { Markdown } from "../markdown/markdown.tsx";
import { answerFacts, canContinue, forgottenNote } from "./answer-facts.ts";
import { Branches } from "./branches.tsx";
import type { ThreadContext } from "./context.ts";
import style from "./message.module.css";

/** What is wrong with the question itself. */
const REFUSALS = new Set(["REQUEST_INVALID", "REQUEST_TOO_LARGE", "REQUEST_UNSUPPORTED"]);

export function Answer({ entry, context }: { readonly entry: Signal<Message>; readonly context: ThreadContext }): JSX.Element {
  const message = entry.value;
  const streaming = message.state === "streaming";
  return (
    <>
      {message.reasoning !== "" && (
        <details class={style["thoughts"]} open={streaming && message.content === ""}>
          <summary>Thoughts</summary>
          <p class={style["said"]} dir="auto">
            {message.reasoning}
          </p>
        </details>
      )}
      {message.content !== "" && <Markdown text={message.content} complete={!streaming} />}
      {streaming && message.content === "" && message.reasoning === "" && <p class={style["waiting"]}>The model begins to answer</p>}
      {!streaming && <Outcome message={message} context={context} />}
      {!streaming && (
        <div class={style["actions"]}>
          <Branches message={message} onChoose={(id) => void context.choose(id)} />
          {message.content !== "" && <CopyButton text={message.content} label="Copy the answer" />}
          {context.thread.streaming.value === null && context.model.value && (
            <IconButton
              label="Another answer"
              icon="again"
              tiny
              onClick={() => void context.take({ kind: "regenerate", answer: message.id })}
            />
          )}
          <span class={style["facts"]}>{answerFacts(message).join(" · ")}</span>
        </div>
      )}
    </>
  );
}

/** Whatever is not an ordinary end. */
function Outcome({ message, context }: { readonly message: Message; readonly context: ThreadContext }): JSX.Element | null {
  const { thread } = context;
  const model = context.model.value;
  const note = forgottenNote(message);
  const free = thread.streaming.value === null && model !== null;
  const goesOn = canContinue(message, thread.summary.value?.settings.sampling ?? {}, model);
  // The same question would be refused again.
  const isRefused = message.state === "failed" && message.content === "" && REFUSALS.has(message.failure?.code ?? "");
  const proceed = (): void => void context.take({ kind: "continue", answer: message.id });
  return (
    <>
      {message.state === "failed" && <FailureNotice failure={message.failure} />}
      {message.state === "interrupted" && <Notice kind="warning">The gateway ended while this was being said.</Notice>}
      {message.state === "stopped" && message.content === "" && <p class="quiet">Stopped before the first word.</p>}
      {note && <p class="small quiet">{note}</p>}
      {free && isRefused && (
        <div class="row">
          <Button tiny icon="edit" onClick={() => (context.editing.value = message.parent)}>
            Edit the question
          </Button>
        </div>
      )}
      {free && !isRefused && (goesOn || (message.content === "" && message.state !== "complete")) && (
        <div class="row">
          <Button tiny icon={goesOn ? "play" : "again"} onClick={proceed}>
            {goesOn ? "Continue" : "Try again"}
          </Button>
          {message.state === "stopped" && message.content !== "" && <span class="small quiet">Stopped.</span>}
        </div>
      )}
    </>
  );
}
