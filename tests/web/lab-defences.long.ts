/**
 * The lab's curve of recovery against fidelity, live. It takes half a minute until the first point.
 * @module
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { keepScreenshot } from "./browser.ts";
import { accessibilityProblems, overflowing } from "./checks.ts";
import { chooseAttacks, openLab } from "./lab-steps.ts";
import { inBrowser, usePages } from "./session.ts";

const PATIENCE = 180_000; // ms

describe("defences in the lab", inBrowser, () => {
  const { browser, gateway } = usePages();

  test("recovery against fidelity under noise comes point by point", async (t) => {
    const { page, complaints } = await openLab(browser, gateway);
    await chooseAttacks(page, ["sorted-rows"]);
    await page.getByText(/^Defences to measure: /).click();
    await page.getByRole("checkbox", { name: "weight-noise", exact: true }).check();
    assert.ok(await page.getByRole("checkbox", { name: "decoys", exact: true }).isDisabled(), "decoys are measured on traffic");
    await page.getByLabel("Seconds for each attack and key").fill("2");
    await page.getByRole("button", { name: "Attack", exact: true }).click();
    const run = page.getByRole("region", { name: /^Attack on / });
    const chart = run.locator("figure", { hasText: "weight-noise" });
    await chart.getByText("Numbers", { exact: true }).click({ timeout: PATIENCE });
    await chart.getByRole("row").nth(3).waitFor({ timeout: PATIENCE });
    assert.equal(await run.getByText("running", { exact: true }).count(), 1, "three points are here before the end");
    t.diagnostic(
      `3 of 9 points while it runs: ${(await chart.getByRole("row").allInnerTexts()).slice(1).join(" | ").replaceAll("\t", " ")}`,
    );
    await keepScreenshot(page, "lab-defences");
    assert.deepEqual(await overflowing(page), []);
    assert.deepEqual(await accessibilityProblems(page), []);
    await run.getByRole("button", { name: "Stop" }).click();
    await run.getByText("stopped", { exact: true }).waitFor({ timeout: 60_000 });
    assert.deepEqual(complaints, []);
    await page.context().close();
  });
});
