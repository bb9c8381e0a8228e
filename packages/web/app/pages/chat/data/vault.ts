/**
 * Whether the conversations can be read now, and asking for them.
 * @module
 */
import { signal } from "@preact/signals";
import type { Passphrase, Unlock, Vault } from "../../../../src/protocol/conversations.ts";
import { ConsoleError, request, type RequestOptions } from "../../../api/console.ts";

/** null before the first answer. */
export const vault = signal<Vault | null>(null);

/** Like {@link request}; notices when the conversations are locked. @throws ConsoleError, or the signal's reason */
export async function ask<Answer>(path: string, options?: RequestOptions): Promise<Answer> {
  try {
    return await request<Answer>(path, options);
  } catch (error) {
    noticeLock(error);
    throw error;
  }
}

/** The gateway was started again, or another page locked the conversations. */
export function noticeLock(error: unknown): void {
  if (error instanceof ConsoleError && error.status === 423) vault.value = { state: "locked", protection: "passphrase" };
}

/** @throws ConsoleError */
export async function loadVault(): Promise<void> {
  vault.value = await request<Vault>("/console/vault");
}

/** @throws ConsoleError with `VAULT_INVALID` for a wrong passphrase */
export async function unlockVault(body: Unlock): Promise<void> {
  vault.value = await request<Vault>("/console/vault/unlock", { method: "POST", body });
}

/** @throws ConsoleError */
export async function lockVault(): Promise<void> {
  vault.value = await request<Vault>("/console/vault/lock", { method: "POST" });
}

/** Sets, changes or removes the passphrase. @throws ConsoleError */
export async function changePassphrase(body: Passphrase): Promise<void> {
  vault.value = await request<Vault>("/console/vault/passphrase", { method: "PUT", body });
}
