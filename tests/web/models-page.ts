/**
 * Steps on the models page that its tests share.
 * @module
 */
import type { Browser, Locator, Page } from "playwright-core";
import { openPage } from "./browser.ts";
import type { RunningStart } from "./gateway.ts";

/** What Chromium says of each answer that is not 2xx. */
export const REFUSED = /Failed to load resource: the server responded with a status of (?:4\d\d|502)/;

/** Opens one of the page's parts. */
export async function openModels(
  browser: Browser,
  gateway: RunningStart,
  path: string,
  options: Parameters<typeof openPage>[2] = {},
): ReturnType<typeof openPage> {
  const watched = await openPage(browser, gateway.address, options);
  await watched.page.goto(`${gateway.origin}${path}`);
  await watched.page.getByRole("heading", { level: 1, name: "Models" }).waitFor();
  return watched;
}

/** Starts a host of a model on this machine, from its card. */
export async function serveHere(page: Page, card: Locator, passphrase?: string): Promise<void> {
  await card.getByRole("button", { name: "Try it on this machine" }).click();
  await page.getByText("It hides nothing from anybody").waitFor();
  if (passphrase !== undefined) await page.getByRole("dialog").getByLabel("Passphrase of its key").fill(passphrase);
  await page.getByRole("dialog").getByRole("button", { name: "Start" }).click();
  await card.getByText("Host on this machine").waitFor();
}
