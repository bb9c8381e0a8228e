/**
 * One browser and one gateway for all tests of a file.
 * @module
 */
import { after, before } from "node:test";
import type { Browser } from "playwright-core";
import { launchBrowser } from "./browser.ts";
import { start, type RunningStart } from "./gateway.ts";

const launched = await launchBrowser();

/** For a suite: it is skipped, with the reason, where no browser can be had. */
export const inBrowser = { skip: launched.reason ?? false };

/** Those of a suite. The gateway is started before the first test and both are ended after the last; until then its fields are not there. */
export function usePages(): { readonly browser: Browser; readonly gateway: RunningStart } {
  let running: RunningStart | undefined;
  before(async () => {
    running = await start();
  });
  after(async () => {
    await launched.browser?.close();
    await running?.stop();
  });
  const gateway = new Proxy({} as RunningStart, { get: (_target, name) => Reflect.get(running!, name) });
  return { browser: launched.browser as Browser, gateway };
}
