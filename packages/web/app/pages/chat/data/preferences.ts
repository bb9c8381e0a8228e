/**
 * What this browser remembers of how the chat is to look. Nothing of it is content.
 * @module
 */
import { effect, signal, type Signal } from "@preact/signals";

/** Whether what hosts see stands beside what one says: where there is room for it, until one chooses. */
export const hostSideShown = remembered("unseen-host-side", () => matchMedia("(width >= 1200px)").matches);
/** Whether the list of conversations stands beside them, on a wide screen. */
export const sidebarShown = remembered("unseen-sidebar", () => true);

function remembered(name: string, initial: () => boolean): Signal<boolean> {
  const stored = localStorage.getItem(name);
  const preference = signal(stored === null ? initial() : stored === "true");
  let first = true;
  effect(() => {
    const value = String(preference.value);
    if (!first) localStorage.setItem(name, value);
    first = false;
  });
  return preference;
}
