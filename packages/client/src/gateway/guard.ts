/**
 * Who may talk to the gateway: the key's holder, and no web page that happens to be open in the same browser.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { createHash, timingSafeEqual } from "node:crypto";

export interface GuardOptions {
  /** Demanded from everyone when set; without it any key is accepted. */
  readonly apiKey?: string | undefined;
  /** Names under which the gateway may be addressed; null accepts any (when it listens on the network). */
  readonly hostNames: ReadonlySet<string> | null;
  /** Origins of web pages that may call; none by default. */
  readonly origins: readonly string[];
}

/** Names of this machine for itself. */
export const loopbackNames: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);

/**
 * Checks a request's headers before anything else of it is read.
 * @throws UnseenError UNAUTHORIZED, PERMISSION_DENIED.
 */
export function guard(request: Request, options: GuardOptions): void {
  guardAddress(request, options);
  if (options.apiKey !== undefined && !sameSecret(presentedKey(request), options.apiKey)) {
    throw new UnseenError("UNAUTHORIZED", "the API key is missing or wrong.", {
      hint: "Send the gateway's key as `Authorization: Bearer KEY`.",
    });
  }
}

/** Checks under which name the gateway is addressed, and by whose page. @throws UnseenError PERMISSION_DENIED. */
export function guardAddress(request: Request, options: Pick<GuardOptions, "hostNames" | "origins">): void {
  // DNS rebinding: a web page's own name that suddenly resolves to 127.0.0.1 (CWE-350).
  const address = request.headers.get("host") ?? new URL(request.url).host;
  if (options.hostNames && !options.hostNames.has(address.replace(/:\d+$/, "").toLowerCase())) {
    throw new UnseenError("PERMISSION_DENIED", "the Host header names another machine.", {
      hint: "Address the gateway as 127.0.0.1 or localhost.",
    });
  }
  // A page may send simple requests to any address without asking (CWE-352); programs send no Origin.
  const origin = request.headers.get("origin");
  // The gateway's own page may; where any name is accepted, a page's own name says nothing.
  const own = options.hostNames !== null && origin === `http://${address}`;
  if (origin !== null && !own && !options.origins.includes(origin) && !options.origins.includes("*")) {
    throw new UnseenError("PERMISSION_DENIED", "web pages may not call this gateway.", { hint: "Allow the page's origin with --origin." });
  }
}

/** The key that a request presents, empty where there is none. */
export function presentedKey(request: Request): string {
  return /^Bearer\s+(.*)$/i.exec(request.headers.get("authorization") ?? "")?.[1]?.trim() ?? "";
}

/** Compares digests, so that the time taken says nothing about the key (CWE-208). */
export function sameSecret(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}
