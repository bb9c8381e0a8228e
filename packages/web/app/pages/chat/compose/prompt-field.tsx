/**
 * A field for something to say: it grows, Enter sends, and long pasted texts become an attachment.
 * @module
 */
import type { JSX, RefObject } from "preact";
import { useLayoutEffect } from "preact/hooks";
import { IconButton } from "../../../parts/button.tsx";
import { byteSize } from "../../../parts/numbers.ts";
import type { Draft } from "../data/drafts.ts";
import style from "./compose.module.css";

/** Characters that the field itself holds: it is laid out again at every key. */
export const MAXIMUM_FIELD = 20_000;

/** Moves a text that is too long for the field to the attachments. */
export function draftFrom(text: string): Draft {
  return text.length > MAXIMUM_FIELD ? { text: "", attached: [text] } : { text, attached: [] };
}

export function PromptField({
  draft,
  label,
  placeholder,
  field,
  onChange,
  onSend,
  onUp,
  onEscape,
}: {
  readonly draft: Draft;
  readonly label: string;
  readonly placeholder?: string;
  readonly field: RefObject<HTMLTextAreaElement | null>;
  readonly onChange: (draft: Draft) => void;
  readonly onSend: () => void;
  /** Up, where nothing is typed. */
  readonly onUp?: () => void;
  readonly onEscape?: () => void;
}): JSX.Element {
  useLayoutEffect(() => {
    // The style sheet does it where browsers know how.
    if (CSS.supports("field-sizing", "content")) return;
    const element = field.current!;
    element.style.height = "auto";
    element.style.height = `${element.scrollHeight}px`;
  }, [draft.text]);
  const attach = (text: string): void => {
    onChange({ ...draft, attached: [...draft.attached, text] });
  };
  const remove = (index: number): void => {
    onChange({ ...draft, attached: draft.attached.filter((_, other) => other !== index) });
    field.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.isComposing) return;
    // On a screen keyboard there is no other way to a new line.
    if (event.key === "Enter" && !event.shiftKey && !matchMedia("(hover: none) and (pointer: coarse)").matches) {
      event.preventDefault();
      onSend();
    } else if (event.key === "ArrowUp" && draft.text === "" && draft.attached.length === 0 && onUp) {
      event.preventDefault();
      onUp();
    } else if (event.key === "Escape" && onEscape) {
      event.preventDefault();
      onEscape();
    }
  };
  return (
    <>
      {draft.attached.length > 0 && (
        <ul class={style["attached"]} aria-label="Attached texts" aria-live="polite">
          {draft.attached.map((text, index) => (
            <li key={index} class={style["chip"]}>
              <span class={style["chipText"]}>
                <strong>{sizeOf(text)} of text</strong> <bdi class="quiet">{text.slice(0, 60)}</bdi>
              </span>
              <IconButton label={`Remove the text of ${sizeOf(text)}`} icon="close" tiny onClick={() => remove(index)} />
            </li>
          ))}
        </ul>
      )}
      <textarea
        ref={field}
        class={style["text"]}
        rows={1}
        aria-label={label}
        placeholder={placeholder}
        value={draft.text}
        dir="auto"
        onInput={(event) => onChange({ ...draft, text: event.currentTarget.value })}
        onKeyDown={onKeyDown}
        onPaste={(event) => {
          const text = event.clipboardData?.getData("text/plain") ?? "";
          if (text.length + draft.text.length <= MAXIMUM_FIELD) return;
          event.preventDefault();
          attach(text);
        }}
      />
    </>
  );
}

/** In UTF-8, as it is sent. */
function sizeOf(text: string): string {
  return byteSize(new Blob([text]).size);
}
