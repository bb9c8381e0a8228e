/**
 * The access code of this browser. It comes in the address's fragment, is kept for this origin alone, and goes out in a header: a cookie
 * would reach every port of this machine.
 * @module
 */
import { signal } from "@preact/signals";

const NAME = "unseen-access";

/** Whether the gateway accepts this browser; null while unknown. */
export const granted = signal<boolean | null>(null);

/** Takes the code out of the address, so that it is in no history and on no screenshot. */
export function takeAccessFromAddress(): void {
  const code = new URLSearchParams(location.hash.slice(1)).get("access");
  if (code === null) return;
  localStorage.setItem(NAME, code);
  history.replaceState(null, "", location.pathname + location.search);
}

/** Keeps a code that a person pasted: the code, or the address with it. */
export function keepAccess(text: string): void {
  localStorage.setItem(NAME, /access=([\w-]+)/.exec(text)?.[1] ?? text.trim());
}

/** The header that presents it. */
export function accessHeader(): Record<string, string> {
  const code = localStorage.getItem(NAME);
  return code === null ? {} : { authorization: `Bearer ${code}` };
}
