/**
 * Which plain model an encrypted one was probably made from.
 * @module
 */
import type { EncryptedRow, ModelRow } from "../../../src/protocol/library.ts";

/** The longest name that the encrypted one begins with, else the only one of its family; null where none fits. */
export function guessBase({ name, family }: Pick<EncryptedRow, "name" | "family">, plain: readonly ModelRow[]): ModelRow | null {
  const relatives = plain.filter((model) => model.family === family);
  const [named] = relatives.filter((model) => name.startsWith(model.name)).toSorted((one, other) => other.name.length - one.name.length);
  return named ?? (relatives.length === 1 ? relatives[0]! : null);
}
