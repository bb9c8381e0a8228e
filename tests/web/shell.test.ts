/**
 * The frame around the pages: who gets in, how much is loaded, how soon it answers, where it fits.
 * @module
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { DESKTOP, keepScreenshot, openPage, PHONE } from "./browser.ts";
import { accessibilityProblems, overflowing } from "./checks.ts";
import { inBrowser, usePages } from "./session.ts";

const MAXIMUM_SCRIPT = 200_000; // bytes, compressed with gzip
const MAXIMUM_INTERACTIVE = 1_000; // ms
const PAGES = ["chat", "models", "pictures", "lab", "servers", "benchmarks"];

describe("the pages' frame", inBrowser, () => {
  const { browser, gateway } = usePages();

  test("without the access code a browser gets a page that says so, and no answer of the console", async () => {
    const { page } = await openPage(browser, gateway.origin);
    await page.getByRole("heading", { name: "This browser has no access yet" }).waitFor();
    await page.getByLabel("Address or access code").fill("wrong");
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByText("That is not this gateway's code.").waitFor();
    await page.getByLabel("Address or access code").fill(gateway.address);
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByRole("navigation", { name: "Pages" }).waitFor();
    await page.context().close();
    for (const path of ["/console/status", "/console/library", "/console/conversations", "/console/jobs", "/console/hosts"])
      assert.equal((await fetch(gateway.origin + path)).status, 401, path);
  });

  test("the access code leaves the address at once, and is in no cookie", async () => {
    const { page } = await openPage(browser, gateway.address);
    await page.getByRole("navigation", { name: "Pages" }).waitFor();
    assert.doesNotMatch(page.url(), /access/);
    assert.deepEqual(await page.context().cookies(), []);
    await page.context().close();
  });

  test(`the first load is less than ${MAXIMUM_SCRIPT / 1000} kB of script and interactive within ${MAXIMUM_INTERACTIVE / 1000} s`, async (t) => {
    const times: number[] = [];
    let largest = 0;
    for (let round = 0; round < 3; round += 1) {
      const context = await browser.newContext();
      const page = await context.newPage();
      let script = 0;
      const bodies: Promise<void>[] = [];
      page.on("response", (response) => {
        if (response.url().endsWith(".js")) bodies.push(response.body().then((body) => void (script += gzipSync(body).length)));
      });
      await page.goto(gateway.address);
      // Interactive: the page that one asked for is there and takes what is typed.
      await page.getByRole("heading", { level: 1 }).waitFor();
      times.push(await page.evaluate(() => performance.getEntriesByName("interactive")[0]!.startTime));
      await page.waitForLoadState("networkidle");
      await Promise.all(bodies);
      largest = Math.max(largest, script);
      assert.ok(script > 5_000 && script < MAXIMUM_SCRIPT, `${script} bytes of script`);
      await context.close();
    }
    const best = Math.min(...times);
    t.diagnostic(`${(largest / 1000).toFixed(1)} kB of script, interactive after ${times.map(Math.round).join(", ")} ms`);
    assert.ok(best < MAXIMUM_INTERACTIVE, `interactive after ${times.map(Math.round).join(", ")} ms`);
  });

  test("every page fits a desk in light colours and a phone in dark ones, and axe finds nothing serious", async (t) => {
    let problems = 0;
    for (const [screen, colorScheme, viewport] of [
      ["desktop", "light", DESKTOP],
      ["phone", "dark", PHONE],
    ] as const) {
      const { page, complaints } = await openPage(browser, gateway.address, { colorScheme, viewport, hasTouch: screen === "phone" });
      for (const name of PAGES) {
        await page.goto(`${gateway.origin}/${name}`);
        await page.getByRole("heading", { level: 1 }).waitFor();
        await page.waitForLoadState("networkidle");
        await keepScreenshot(page, `${name}-${screen}-${colorScheme}`);
        assert.deepEqual(await overflowing(page), [], `${name} on a ${screen}`);
        const found = await accessibilityProblems(page);
        problems += found.length;
        assert.deepEqual(found, [], `${name} on a ${screen} in ${colorScheme}`);
      }
      assert.deepEqual(complaints, []);
      await page.context().close();
    }
    t.diagnostic(`${PAGES.length} pages on 2 screens: ${problems} serious problems, 0 overflows, 0 complaints of the console`);
  });

  test("all pages are reached with the keyboard alone", async () => {
    const { page, complaints } = await openPage(browser, gateway.address);
    await page.getByRole("heading", { level: 1 }).waitFor();
    for (const [index, name] of PAGES.entries()) {
      await page.keyboard.press(`Control+${index + 1}`);
      await page.waitForURL(`**/${name}*`);
    }
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    assert.deepEqual(complaints, []);
    await page.context().close();
  });
});
