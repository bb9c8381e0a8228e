/**
 * Hosts as the console knows them, and how one joins and leaves.
 * @module
 */
import { signal } from "@preact/signals";
import type { Failure } from "../../../src/protocol/failure.ts";
import type { HostRow, NewHost } from "../../../src/protocol/library.ts";
import { failureOf, request } from "../../api/console.ts";
import { refreshStatus } from "../../api/status.ts";

/** null before the first answer. */
export const hosts = signal<readonly HostRow[] | null>(null);

/** Why the list could not be had; null when it could. */
export const hostsFailure = signal<Failure | null>(null);

/** Asks now; the console asks every host. */
export async function refreshHosts(): Promise<void> {
  try {
    hosts.value = (await request<{ hosts: readonly HostRow[] }>("/console/hosts")).hosts;
    hostsFailure.value = null;
  } catch (error) {
    hostsFailure.value = failureOf(error);
  }
}

/** @throws ConsoleError */
export async function addHost(host: NewHost): Promise<HostRow> {
  const row = await request<HostRow>("/console/hosts", { method: "POST", body: host });
  await Promise.all([refreshHosts(), refreshStatus()]);
  return row;
}

/** @throws ConsoleError */
export async function removeHost(url: string): Promise<void> {
  await request(`/console/hosts?url=${encodeURIComponent(url)}`, { method: "DELETE" });
  await Promise.all([refreshHosts(), refreshStatus()]);
}
