/**
 * Which of several messages at one place is shown, and the way to the others.
 * @module
 */
import type { JSX } from "preact";
import type { Message } from "../../../../src/protocol/conversations.ts";
import { IconButton } from "../../../parts/button.tsx";
import style from "./message.module.css";

export function Branches({
  message,
  onChoose,
}: {
  readonly message: Message;
  readonly onChoose: (id: string) => void;
}): JSX.Element | null {
  const { siblings, id, role } = message;
  if (siblings.length < 2) return null;
  const index = siblings.indexOf(id);
  const noun = role === "user" ? "question" : "answer";
  return (
    <span class={style["branches"]} role="group" aria-label={`Other ${noun}s`}>
      <IconButton label={`Previous ${noun}`} icon="left" tiny disabled={index <= 0} onClick={() => onChoose(siblings[index - 1]!)} />
      <span>
        {index + 1} / {siblings.length}
      </span>
      <IconButton
        label={`Next ${noun}`}
        icon="right"
        tiny
        disabled={index + 1 >= siblings.length}
        onClick={() => onChoose(siblings[index + 1]!)}
      />
    </span>
  );
}
