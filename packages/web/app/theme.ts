/**
 * Light, dark, or as the system has it.
 * @module
 */
import { effect, signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";

const NAME = "unseen-theme";
const stored = localStorage.getItem(NAME);

export const theme = signal<Theme>(stored === "light" || stored === "dark" ? stored : "system");

effect(() => {
  if (theme.value === "system") {
    localStorage.removeItem(NAME);
    delete document.documentElement.dataset["theme"];
  } else {
    localStorage.setItem(NAME, theme.value);
    document.documentElement.dataset["theme"] = theme.value;
  }
});

/** To the other of light and dark. */
export function switchTheme(): void {
  theme.value = isDark() ? "light" : "dark";
}

export function isDark(): boolean {
  return theme.value === "system" ? matchMedia("(prefers-color-scheme: dark)").matches : theme.value === "dark";
}
