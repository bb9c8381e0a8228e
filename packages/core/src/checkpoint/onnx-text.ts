/**
 * Names and texts of an ONNX file.
 * @module
 */
import { UnseenError } from "../errors.ts";
import { MAXIMUM_NAME_LENGTH, checkName, quote } from "./checks.ts";
import { Message, type Field, type FieldBudget } from "./protobuf.ts";

/** Bytes of one text: a metadata value, a text attribute (CWE-770). */
export const MAXIMUM_TEXT_BYTES = 16 * 2 ** 20;

/** A name fit for messages; empty where it is not given. Throws `CHECKPOINT_MALFORMED`, `CHECKPOINT_TOO_LARGE`. */
export function readName(field: Field | null): string {
  const name = field?.text(4 * MAXIMUM_NAME_LENGTH) ?? "";
  return name === "" ? name : checkName(name, field!.where);
}

/** Any text; empty where it is not given. Throws `CHECKPOINT_MALFORMED`, `CHECKPOINT_TOO_LARGE`. */
export function readText(field: Field | null): string {
  return field?.text(MAXIMUM_TEXT_BYTES) ?? "";
}

/** `StringStringEntryProto` as a map. Throws `CHECKPOINT_DUPLICATE` for a key that comes twice (CWE-436). */
export function readEntries(entries: readonly Field[], budget: FieldBudget): Map<string, string> {
  const map = new Map<string, string>();
  for (const field of entries) {
    const entry = new Message(field.slice(), "an entry", budget);
    const key = readName(entry.one(1));
    if (map.has(key)) throw duplicate(field.source.name, "key", key);
    map.set(key, readText(entry.one(2)));
  }
  return map;
}

/** A name that occurs twice. */
export function duplicate(where: string, what: string, name: string): UnseenError {
  return new UnseenError("CHECKPOINT_DUPLICATE", `${where}: ${what} ${quote(name)} occurs twice.`, {
    hint: "The file is damaged or hostile; download it again.",
  });
}
