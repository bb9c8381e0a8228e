/**
 * A value that one takes elsewhere.
 * @module
 */
import type { JSX } from "preact";
import { CopyButton } from "../../parts/button.tsx";
import style from "./models.module.css";

/** @param what is copied, for who does not look */
export function Copied({ text, what }: { readonly text: string; readonly what: string }): JSX.Element {
  return (
    <span class={style["copied"]}>
      <span class="mono">{text}</span>
      <CopyButton text={text} label={`Copy ${what}`} />
    </span>
  );
}
