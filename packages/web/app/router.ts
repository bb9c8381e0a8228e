/**
 * Addresses and the page that each means.
 * @module
 */
import { computed, signal } from "@preact/signals";

/** Path and query, as the address shows them. */
const address = signal(location.pathname + location.search);

export interface Route {
  /** First part of the path; empty for `/`. */
  readonly page: string;
  /** The other parts, decoded. */
  readonly rest: readonly string[];
  readonly query: URLSearchParams;
}

export const route = computed((): Route => {
  const { pathname, searchParams } = new URL(address.value, location.origin);
  const [page = "", ...rest] = pathname.split("/").filter(Boolean).map(decode);
  return { page, rest, query: searchParams };
});

/** Goes to an address of this site. */
export function navigate(to: string, { replace = false } = {}): void {
  if (to === address.value) return;
  history[replace ? "replaceState" : "pushState"](null, "", to);
  address.value = to;
}

addEventListener("popstate", () => {
  address.value = location.pathname + location.search;
});

// Links of this site are followed without loading the page again.
addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = (event.target as Element | null)?.closest("a");
  if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
  event.preventDefault();
  navigate(link.pathname + link.search);
});

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
