/**
 * The two servers of this gateway, asked again and again while the page is seen.
 * @module
 */
import { signal } from "@preact/signals";
import type { Failure } from "../../../src/protocol/failure.ts";
import type { NewServers, TwoServers } from "../../../src/protocol/library.ts";
import { failureOf, request } from "../../api/console.ts";
import { refreshStatus } from "../../api/status.ts";

const PERIOD = 2_000; // ms

/** undefined before the first answer; null: switched off. */
export const servers = signal<TwoServers | null | undefined>(undefined);

export const serversFailure = signal<Failure | null>(null);

/** Asks now. */
export async function refreshServers(): Promise<void> {
  try {
    ({ servers: servers.value } = await request<{ servers: TwoServers | null }>("/console/servers"));
    serversFailure.value = null;
  } catch (error) {
    serversFailure.value = failureOf(error);
  }
}

/** Asks until what it returns is called. */
export function watchServers(): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let left = false;
  const again = async (): Promise<void> => {
    if (document.visibilityState === "visible") await refreshServers();
    if (!left) timer = setTimeout(again, PERIOD);
  };
  void again();
  return () => {
    left = true;
    clearTimeout(timer);
  };
}

/** @throws ConsoleError */
export async function switchOn(asked: NewServers): Promise<void> {
  servers.value = await request<TwoServers>("/console/servers", { method: "PUT", body: asked });
  await refreshStatus();
}

/** @throws ConsoleError */
export async function switchOff(): Promise<void> {
  await request("/console/servers", { method: "DELETE" });
  servers.value = null;
  await refreshStatus();
}
