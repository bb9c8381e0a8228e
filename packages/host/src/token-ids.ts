/**
 * Token ids in requests. Checked by hand: a schema would cost more than the tokens do. A message names the place, never the id.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";

/** @throws UnseenError `REQUEST_UNSUPPORTED` where a field holds text instead of ids */
export function refuseText(value: unknown, field: string): void {
  if (typeof value === "string" || (Array.isArray(value) && typeof value[0] === "string")) {
    throw new UnseenError("REQUEST_UNSUPPORTED", `${field}: expected token ids, got text; this server has no tokenizer.`, {
      hint: "Send requests through `unseen gateway`, which turns text into ids on your side.",
    });
  }
}

/** Whole numbers from 0 to below `limit`. @throws UnseenError `REQUEST_INVALID`, `TOKEN_OUT_OF_RANGE` */
export function parseIds(ids: readonly unknown[], field: string, limit: number): Uint32Array {
  for (let index = 0; index < ids.length; index++) {
    const id = ids[index];
    if (!Number.isInteger(id))
      throw new UnseenError(
        "REQUEST_INVALID",
        `${field}[${index}]: expected an integer token id, got ${id === null ? "null" : typeof id}.`,
      );
  }
  requireBelow(ids as readonly number[], field, limit);
  return Uint32Array.from(ids as readonly number[]);
}

/** Engines check some ids and trust others (CWE-129): none outside the vocabulary may reach them. @throws UnseenError `TOKEN_OUT_OF_RANGE` */
export function requireBelow(ids: ArrayLike<number>, field: string, limit: number): void {
  for (let index = 0; index < ids.length; index++) {
    const id = ids[index]!;
    if (id < 0 || id >= limit) {
      throw new UnseenError("TOKEN_OUT_OF_RANGE", `${field}[${index}]: expected an id below ${limit}.`, {
        hint: "Does the client hold the bundle of this model?",
      });
    }
  }
}
