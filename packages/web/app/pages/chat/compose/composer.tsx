/**
 * Where one says something: at the end of the page, always.
 * @module
 */
import type { JSX, RefObject } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Failure } from "../../../../src/protocol/failure.ts";
import { failureOf, reachable } from "../../../api/console.ts";
import { IconButton } from "../../../parts/button.tsx";
import { FailureNotice } from "../../../parts/notice.tsx";
import { useShortcut } from "../../../keyboard.ts";
import { changeDraft, clearDraft, contentOf, draftOf, isEmpty } from "../data/drafts.ts";
import style from "./compose.module.css";
import { PromptField } from "./prompt-field.tsx";

/** Characters; the gateway takes no more in one message. */
const MAXIMUM_CONTENT = 8 * 1024 * 1024;

export function Composer({
  conversation,
  busy,
  disabled,
  field,
  onSend,
  onStop,
  onEditLast,
}: {
  /** Id; null for a new one. */
  readonly conversation: string | null;
  /** An answer comes just now. */
  readonly busy: boolean;
  /** No model answers. */
  readonly disabled: boolean;
  readonly field: RefObject<HTMLTextAreaElement | null>;
  /** @throws ConsoleError */
  readonly onSend: (content: string) => Promise<void>;
  readonly onStop: () => void;
  readonly onEditLast: () => void;
}): JSX.Element {
  const draft = draftOf(conversation).value;
  const [failure, setFailure] = useState<Failure | null>(null);
  const [sending, setSending] = useState(false);
  useShortcut("/", "Write a message", () => field.current?.focus());
  useEffect(() => setFailure(null), [conversation]);
  useEffect(() => {
    // What it said of a gateway that was away is over.
    if (reachable.value) setFailure((shown) => (shown?.code === "GATEWAY_UNREACHABLE" ? null : shown));
  }, [reachable.value]);
  const send = async (): Promise<void> => {
    if (busy || sending || disabled || isEmpty(draft)) return;
    const content = contentOf(draft);
    if (content.length > MAXIMUM_CONTENT)
      return setFailure({ code: "REQUEST_TOO_LARGE", message: "this is too long for one message.", hint: "Send at most 8 MB at once." });
    setSending(true);
    setFailure(null);
    try {
      await onSend(content);
      clearDraft(conversation);
    } catch (error) {
      setFailure(failureOf(error));
    } finally {
      setSending(false);
    }
  };
  return (
    <form
      class={style["composer"]}
      aria-label="New message"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <FailureNotice failure={failure} />
      <div class={style["box"]}>
        <PromptField
          draft={draft}
          label="Message"
          placeholder={disabled ? "No model answers now" : "Say something"}
          field={field}
          onChange={(changed) => changeDraft(conversation, changed)}
          onSend={() => void send()}
          onUp={onEditLast}
          {...(busy ? { onEscape: onStop } : {})}
        />
        {busy ? (
          <IconButton label="Stop (Esc)" icon="stop" kind="primary" onClick={onStop} />
        ) : (
          <IconButton label="Send (Enter)" icon="send" kind="primary" type="submit" disabled={disabled || sending || isEmpty(draft)} />
        )}
      </div>
    </form>
  );
}
