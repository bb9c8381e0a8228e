/**
 * Where the focus goes when what had it is no more.
 * @module
 */

/** The page's heading: reading goes on from there. */
export function focusHeading(): void {
  document.querySelector<HTMLElement>("h1")?.focus();
}
