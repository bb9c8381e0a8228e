/**
 * The page of benchmarks as a user lives it: nothing yet, a quick run whose rows come live and survive a reload, and its result afterwards.
 * @module
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Comparison } from "@unseen/web/protocol/comparison.ts";
import type { Browser } from "playwright-core";
import { keepScreenshot, launchBrowser, openPage, PHONE, type Watched } from "./browser.ts";
import { accessibilityProblems, overflowing } from "./checks.ts";
import { start, type RunningStart } from "./gateway.ts";

const PATIENCE = 100_000; // ms, of a quick run on a busy machine
const PROTECTIONS = [
  "No protection",
  "EE, permute",
  "EE, rotate",
  "EE in an enclave, simulated",
  "Two servers, nearby",
  "Two servers, 5 ms away",
];

const launched = await launchBrowser();

describe("the page of benchmarks", { skip: launched.reason ?? false }, () => {
  const browser = launched.browser as Browser;
  let gateway: RunningStart;
  let watched: Watched;
  before(async () => {
    gateway = await start();
    watched = await openPage(browser, gateway.address);
    await watched.page.goto(`${gateway.origin}/benchmarks`);
  });
  after(async () => {
    await browser?.close();
    await gateway?.stop();
  });

  test("says what would be here and how to get it", async () => {
    const { page } = watched;
    await page.getByRole("heading", { name: "Nothing was measured here yet" }).waitFor();
    await keepScreenshot(page, "benchmarks-empty");
    assert.deepEqual(await overflowing(page), []);
    assert.deepEqual(await accessibilityProblems(page), []);
  });

  test("a run can be stopped, and says so", async () => {
    const { page } = watched;
    await page.getByRole("button", { name: "Measure" }).click();
    const job = page.getByRole("region", { name: "Measuring" });
    await job.getByRole("button", { name: "Stop" }).click();
    await page.getByRole("region", { name: "The comparison has no result" }).getByText("stopped", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Put away" }).click();
    await page.getByRole("region", { name: "The comparison has no result" }).waitFor({ state: "detached" });
  });

  test("rows come while it runs, a reload loses nothing, and the result is every figure", { timeout: PATIENCE + 20_000 }, async () => {
    const { page } = watched;
    const distance = page.getByLabel("Distance of the far servers, in milliseconds");
    await distance.fill("5");
    await distance.press("Enter");
    const soFar = page.getByRole("region", { name: "Figures so far" });
    await soFar.getByText(/they still move/).waitFor({ timeout: PATIENCE });
    await page.reload();
    await soFar.getByText(/they still move/).waitFor();
    assert.ok(await page.getByRole("button", { name: "Measure" }).isDisabled());
    await keepScreenshot(page, "benchmarks-running");
    const last = page.getByRole("region", { name: "Last run" });
    await last.waitFor({ timeout: PATIENCE });

    const { comparison } = (await (
      await fetch(`${gateway.origin}/console/comparison`, { headers: { authorization: `Bearer ${gateway.address.split("access=")[1]}` } })
    ).json()) as { comparison: Comparison };
    const table = last.getByRole("region", { name: "All figures, as a table" });
    const shown = await table
      .locator("tbody tr")
      .evaluateAll((rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent)));
    assert.deepEqual(
      shown.map(([name]) => name),
      PROTECTIONS,
    );
    for (const [index, row] of comparison.rows.entries()) {
      assert.equal(shown[index]![0], row.name);
      assert.ok(Math.abs(Number(shown[index]![1]) / row.tokensPerSecond! - 1) < 0.01, `${row.name}: ${shown[index]![1]} tokens a second`);
      assert.match(shown[index]![5]!, row.id === "plain" ? /^reference$/ : /^\d+\.\d %$/);
    }
    const head = last.getByRole("region", { name: "First layers on ciphertext" });
    assert.match((await head.textContent())!, /x the time/);
    await last.getByText("unseen compare --round-trip 5 --quick").waitFor();
    await keepScreenshot(page, "benchmarks-result");
    assert.deepEqual(await overflowing(page), []);
    assert.deepEqual(await accessibilityProblems(page), []);
    assert.deepEqual(watched.complaints, []);
  });

  test("the last run is there for whoever comes later, on a phone too", async () => {
    const { page, complaints } = await openPage(browser, gateway.address, { viewport: PHONE, hasTouch: true, colorScheme: "dark" });
    await page.goto(`${gateway.origin}/benchmarks`);
    await page.getByRole("region", { name: "Last run" }).waitFor();
    await keepScreenshot(page, "benchmarks-result-phone");
    assert.deepEqual(await overflowing(page), []);
    assert.deepEqual(await accessibilityProblems(page), []);
    assert.deepEqual(complaints, []);
    await page.context().close();
  });
});
