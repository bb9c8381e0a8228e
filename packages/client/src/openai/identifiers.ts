/**
 * Names of things that exist for one request only.
 * @module
 */
import { randomBytes } from "node:crypto";

/** A fresh identifier such as `chatcmpl-9f…`; the random part says nothing about the request. */
export function freshId(prefix: string): string {
  return `${prefix}${randomBytes(16).toString("hex")}`;
}

/** Seconds since the epoch, as OpenAI dates things. */
export function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}
