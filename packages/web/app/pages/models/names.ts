/**
 * Names that people type, and names that are offered to them.
 * @module
 */
import type { Job } from "../../../src/protocol/jobs.ts";
import type { EncryptedRow } from "../../../src/protocol/library.ts";

/** ORG/NAME out of what was typed or pasted, the address of its page included. */
export function repositoryOf(text: string): string {
  return text
    .trim()
    .replace(/^https?:\/\/[^/]+\//i, "")
    .replace(/[?#].*$/, "")
    .replace(/^(?:models\/)?([^/]+\/[^/]+)\/.*$/, "$1");
}

/** What is wrong with a repository's name, for a person; null where nothing is. */
export function repositoryMistake(repository: string): string | null {
  if (/^[A-Za-z0-9][\w.-]{0,95}\/[A-Za-z0-9][\w.-]{0,95}$/.test(repository)) return null;
  return "A model on the hub has two parts, as in ORG/NAME.";
}

/** What is wrong with a model's name, for a person; null where nothing is. */
export function modelNameMistake(name: string): string | null {
  if (/^[A-Za-z0-9][\w.-]{0,99}$/.test(name)) return null;
  return "Up to 100 letters, digits, dots, hyphens and underscores; a letter or digit first.";
}

/** What is wrong with a key's name, for a person; null where nothing is. */
export function keyNameMistake(name: string, taken: readonly string[]): string | null {
  if (taken.includes(name)) return "There is a key of that name. An existing key is never replaced.";
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name) || name.endsWith(".age"))
    return "Up to 64 letters, digits, dots, hyphens and underscores; a letter or digit first.";
  // Such a name could not be told from a key's id.
  if (/^[0-9a-f]{16}$/.test(name)) return "This looks like the id of a key. Choose another name.";
  return null;
}

/** A model's default name: the last part of its path, as the program itself takes it. */
export function modelNameOf(path: string): string {
  const parts = path.split(/[/\\]/).filter(Boolean);
  const last = (parts.at(-1) ?? "").replace(/\.(?:gguf|onnx)$/, "");
  // Exporters call every model so; its directory has the name.
  if (last !== "model" || !path.endsWith(".onnx")) return last;
  return (parts.at(-2) === "onnx" ? parts.at(-3) : parts.at(-2)) ?? last;
}

/** NAME, or NAME-2, NAME-3, ...: the first that is not taken. */
export function freeName(name: string, taken: readonly string[]): string {
  for (let number = 1; ; number += 1) {
    const candidate = number === 1 ? name : `${name}-${number}`;
    if (!taken.includes(candidate)) return candidate;
  }
}

/** Whether a host of this machine serves a model, or is about to. */
export function serves({ kind, subject, result }: Job, { path, fingerprint }: Pick<EncryptedRow, "path" | "fingerprint">): boolean {
  if (kind !== "serve") return false;
  const said = fieldOf(result, "fingerprint");
  return said === null ? subject === modelNameOf(path) : said === fingerprint;
}

/** A text of a job's result; null where there is none. */
export function fieldOf(result: unknown, name: string): string | null {
  if (typeof result !== "object" || result === null) return null;
  const value = (result as Readonly<Record<string, unknown>>)[name];
  return typeof value === "string" ? value : null;
}
