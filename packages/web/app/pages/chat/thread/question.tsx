/**
 * Something that the person said, and saying something else in its place.
 * @module
 */
import type { Signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Message } from "../../../../src/protocol/conversations.ts";
import { Button, CopyButton, IconButton } from "../../../parts/button.tsx";
import { byteSize } from "../../../parts/numbers.ts";
import { draftFrom, PromptField } from "../compose/prompt-field.tsx";
import compose from "../compose/compose.module.css";
import { contentOf, isEmpty } from "../data/drafts.ts";
import { Branches } from "./branches.tsx";
import type { ThreadContext } from "./context.ts";
import style from "./message.module.css";

/** Characters that are shown at first, and added each time one asks for more: laying out megabytes would freeze the page. */
const FIRST = 1_500;
const MORE = 50_000;

export function Question({ entry, context }: { readonly entry: Signal<Message>; readonly context: ThreadContext }): JSX.Element {
  const message = entry.value;
  const { editing, thread } = context;
  if (editing.value === message.id) return <QuestionEditor message={message} context={context} />;
  return (
    <>
      <div class={style["question"]}>
        <LongText text={message.content} />
      </div>
      <div class={style["actions"]}>
        <Branches message={message} onChoose={(id) => void context.choose(id)} />
        <CopyButton text={message.content} label="Copy the question" />
        {thread.streaming.value === null && context.model.value && (
          <IconButton label="Edit the question" icon="edit" tiny onClick={() => (editing.value = message.id)} />
        )}
      </div>
    </>
  );
}

function LongText({ text }: { readonly text: string }): JSX.Element {
  const [shown, setShown] = useState(FIRST);
  return (
    <>
      <p class={style["said"]} dir="auto">
        {text.slice(0, shown)}
        {text.length > shown && " …"}
      </p>
      {text.length > shown && (
        <div class="row">
          <span class="small quiet">{byteSize(new Blob([text]).size)} of text</span>
          <Button tiny kind="plain" onClick={() => setShown(shown + MORE)}>
            Show more
          </Button>
        </div>
      )}
    </>
  );
}

function QuestionEditor({ message, context }: { readonly message: Message; readonly context: ThreadContext }): JSX.Element {
  const [draft, setDraft] = useState(() => draftFrom(message.content));
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    field.current?.focus();
    field.current?.setSelectionRange(field.current.value.length, field.current.value.length);
  }, []);
  const close = (): void => {
    context.editing.value = null;
  };
  const send = async (): Promise<void> => {
    if (isEmpty(draft)) return;
    if (await context.take({ kind: "say", parent: message.parent, content: contentOf(draft) })) close();
  };
  return (
    <form
      class="stack"
      aria-label="Edit the question"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <div class={compose["box"]}>
        <PromptField draft={draft} label="Question" field={field} onChange={setDraft} onSend={() => void send()} onEscape={close} />
      </div>
      <div class="row">
        <Button kind="primary" type="submit" disabled={isEmpty(draft)}>
          Ask this instead
        </Button>
        <Button onClick={close}>Cancel</Button>
        <span class="small quiet grow">The first question and its answers stay, as another branch.</span>
      </div>
    </form>
  );
}
