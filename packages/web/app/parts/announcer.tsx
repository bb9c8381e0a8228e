/**
 * Says aloud, for who does not look, what changed on the screen; and shows it for a moment to who does.
 * @module
 */
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import style from "./announcer.module.css";

const SHOWN = 4_000; // ms

const words = signal("");
let timer: ReturnType<typeof setTimeout> | undefined;

/** One short sentence. */
export function announce(text: string): void {
  words.value = text;
  clearTimeout(timer);
  timer = setTimeout(() => {
    words.value = "";
  }, SHOWN);
}

export function Announcer(): JSX.Element {
  return (
    <div class={style["announcer"]} role="status" data-shown={words.value !== ""}>
      {words}
    </div>
  );
}
