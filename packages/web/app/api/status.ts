/**
 * What the gateway offers, asked again and again while the page is seen.
 * @module
 */
import { computed, signal } from "@preact/signals";
import type { Status } from "../../src/protocol/library.ts";
import { ConsoleError, reachable, request } from "./console.ts";

const PERIOD = 5_000; // ms
const IMPATIENT_PERIOD = 1_000; // ms, while the gateway is away or still getting ready

/** null before the first answer. */
export const status = signal<Status | null>(null);

/** Models that answer in words. */
export const chatModels = computed(() => status.value?.models.filter(({ task }) => task === "chat") ?? []);

/** Asks now. */
export async function refreshStatus(): Promise<void> {
  try {
    status.value = await request<Status>("/console/status");
  } catch (error) {
    if (!(error instanceof ConsoleError)) throw error;
  }
}

/** Keeps {@link status} fresh for as long as the page lives. */
export function watchStatus(): void {
  const again = async (): Promise<void> => {
    if (document.visibilityState === "visible") await refreshStatus();
    setTimeout(again, !reachable.value || status.value?.preparing ? IMPATIENT_PERIOD : PERIOD);
  };
  document.addEventListener("visibilitychange", () => void (document.visibilityState === "visible" && refreshStatus()));
  void again();
}
