/**
 * Models and keys of this home, as the console lists them.
 * @module
 */
import { computed, signal } from "@preact/signals";
import type { Failure } from "../../src/protocol/failure.ts";
import type { KeyRow, Library } from "../../src/protocol/library.ts";
import { failureOf, request } from "./console.ts";

/** null before the first answer. */
export const library = signal<Library | null>(null);

/** Why the list could not be had; null when it could. */
export const libraryFailure = signal<Failure | null>(null);

export const keys = computed((): readonly KeyRow[] => library.value?.keys ?? []);

/** Asks now. */
export async function refreshLibrary(): Promise<void> {
  try {
    library.value = await request<Library>("/console/library");
    libraryFailure.value = null;
  } catch (error) {
    libraryFailure.value = failureOf(error);
  }
}

/** Deletes a model's files. @throws ConsoleError */
export async function deleteModel(path: string): Promise<void> {
  await request(`/console/models?path=${encodeURIComponent(path)}`, { method: "DELETE" });
  await refreshLibrary();
}

/** Whether a key, by its name, asks for a passphrase. */
export function asksForPassphrase(name: string | null): boolean {
  return keys.value.some((key) => key.name === name && key.protection === "passphrase");
}
