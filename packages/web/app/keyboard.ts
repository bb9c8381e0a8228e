/**
 * Keyboard shortcuts: each is described where it is made, so that the list of them is complete.
 * @module
 */
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

export interface Shortcut {
  /** Such as `Control+K` or `?`; on Apple's machines Control is ⌘. */
  readonly keys: string;
  readonly description: string;
  run(event: KeyboardEvent): void;
}

/** Those of what is on the screen now. */
export const shortcuts = signal<readonly Shortcut[]>([]);

const isApple = /Mac|iP(?:hone|ad|od)/.test(navigator.platform);

/** For people. */
export function shownKeys(keys: string): string {
  return isApple ? keys.replace("Control+", "⌘").replace("Shift+", "⇧") : keys.replace("Control", "Ctrl");
}

/** A shortcut for as long as a component is on the screen. Single characters work where nobody is typing. */
export function useShortcut(keys: string, description: string, run: Shortcut["run"]): void {
  const latest = useRef(run);
  latest.current = run;
  useEffect(() => {
    const shortcut: Shortcut = { keys, description, run: (event) => latest.current(event) };
    shortcuts.value = [...shortcuts.value, shortcut];
    return () => {
      shortcuts.value = shortcuts.value.filter((other) => other !== shortcut);
    };
  }, [keys, description]);
}

addEventListener("keydown", (event) => {
  if (event.isComposing || event.defaultPrevented) return;
  const pressed = describe(event);
  const typing = (event.target as Element | null)?.closest("input, textarea, select, [contenteditable]");
  const found = shortcuts.value.findLast(({ keys }) => keys === pressed);
  if (!found || (typing && [...pressed].length === 1)) return;
  // While a dialog asks, the page behind it hears nothing but what belongs to all.
  if (document.querySelector("dialog[open]") && pressed !== "?") return;
  event.preventDefault();
  found.run(event);
});

function describe(event: KeyboardEvent): string {
  const key = event.key.length === 1 ? event.key.toUpperCase() : event.key;
  if (event.ctrlKey || event.metaKey) return `Control+${event.shiftKey ? "Shift+" : ""}${key}`;
  return key;
}
