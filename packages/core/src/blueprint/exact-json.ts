/**
 * JSON whose numbers keep their spelling. Python's readers tell 30.0 from 30 and refuse the one for the other;
 * JavaScript's numbers do not know the difference.
 * @module
 */
import { readFile } from "node:fs/promises";
import type { JsonObject } from "./config.ts";

// In the language since ECMAScript 2026 (JSON.parse source text access), in the type library not yet.
const exact = JSON as unknown as {
  parse(text: string, reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown): unknown;
  rawJSON(text: string): unknown;
};

/**
 * Parses an object so that `JSON.stringify` gives back each number as it was written. A number that JavaScript would
 * spell otherwise becomes an opaque object: such a tree is for passing on, not for reading.
 *
 * @example
 * ```ts
 * JSON.stringify(parseExactly('{"cap":30.0,"epsilon":1e-05}')); // {"cap":30.0,"epsilon":1e-05}
 * ```
 * @throws SyntaxError
 */
export function parseExactly(text: string): JsonObject {
  return exact.parse(text, (_key, value, { source }) =>
    typeof value === "number" && source !== undefined && source !== String(value) ? exact.rawJSON(source) : value,
  ) as JsonObject;
}

/** Reads a JSON object exactly; null where the file is absent. For files that have been read and checked before. */
export async function readExactly(file: string): Promise<JsonObject | null> {
  const text = await readFile(file, "utf8").catch(() => null);
  return text === null ? null : parseExactly(text);
}
