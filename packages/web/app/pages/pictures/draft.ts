/**
 * What one is about to send, kept while one looks at other pages. A hub's key is kept nowhere else.
 * @module
 */
import { signal } from "@preact/signals";
import { DEFAULT_BITS, DEFAULT_NOISE, type RunSettings } from "./settings.ts";

export interface Draft {
  /** The parties: all on this machine, or a real hub. */
  readonly place: "here" | "hub";
  readonly hub: { readonly url: string; readonly key: string; readonly model: string; readonly policy: string };
  readonly settings: RunSettings;
}

export const draft = signal<Draft>({
  place: "here",
  hub: { url: "", key: "", model: "", policy: "" },
  settings: { cut: 1, noise: DEFAULT_NOISE, bits: DEFAULT_BITS },
});
