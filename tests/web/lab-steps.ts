/**
 * Steps on the lab's page.
 * @module
 */
import type { Browser, Page } from "playwright-core";
import { openPage, type Watched } from "./browser.ts";
import type { RunningStart } from "./gateway.ts";

export async function openLab(browser: Browser, gateway: RunningStart, options: Parameters<typeof openPage>[2] = {}): Promise<Watched> {
  const watched = await openPage(browser, gateway.address, options);
  await watched.page.getByRole("navigation", { name: "Pages" }).waitFor();
  await watched.page.goto(`${gateway.origin}/lab`);
  await watched.page.getByRole("heading", { name: "Attack your own model" }).waitFor({ timeout: 30_000 });
  return watched;
}

/** Attacks by name, and no other. */
export async function chooseAttacks(page: Page, names: readonly string[]): Promise<void> {
  await page.getByText(/^Attacks: /).click();
  await page.getByRole("button", { name: "None", exact: true }).click();
  for (const name of names) await page.getByRole("checkbox", { name, exact: true }).check();
  await page.getByText(/^Attacks: /).click();
}
