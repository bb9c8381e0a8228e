/**
 * The lab: one attacks one's own model, sees results come, and has others attack in a contest.
 * @module
 */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Browser } from "playwright-core";
import { keepScreenshot, launchBrowser, PHONE } from "./browser.ts";
import { accessibilityProblems, overflowing } from "./checks.ts";
import { start, type RunningStart } from "./gateway.ts";
import { chooseAttacks, openLab } from "./lab-steps.ts";

/** Fast ones, one with a curve, and one that cannot run without a text. */
const ATTACKS = ["sorted-rows", "known-ridge", "token-frequency"];
const PATIENCE = 90_000; // ms

const launched = await launchBrowser();

describe("the lab", { skip: launched.reason ?? false }, () => {
  const browser = launched.browser as Browser;
  let gateway: RunningStart;
  let texts: string;
  before(async () => {
    gateway = await start();
    texts = await mkdtemp(join(tmpdir(), "unseen-lab-"));
  });
  after(async () => {
    await browser?.close();
    await gateway?.stop();
    await rm(texts, { recursive: true, force: true });
  });

  test("an attack on one's own model: results come one by one, with their controls, a curve and a verdict, and stay", async () => {
    const { page, complaints } = await openLab(browser, gateway);
    assert.match(
      (await page.getByLabel("Its public base").locator("option:checked").textContent()) ?? "",
      /story-llama/,
      "its base is found",
    );
    await chooseAttacks(page, ATTACKS);
    await keepScreenshot(page, "lab-form");
    assert.deepEqual(await accessibilityProblems(page), []);
    // A busy machine must not cut an attack short.
    await page.getByLabel("Seconds for each attack and key").fill("300");
    await page.getByLabel("Keys", { exact: true }).press("Enter");
    const run = page.getByRole("region", { name: /^Attack on / });
    const table = run.getByRole("table", { name: "What each attack recovered" });
    await table.getByRole("row").nth(1).waitFor({ timeout: PATIENCE });
    assert.equal(await run.getByText("running", { exact: true }).count(), 1, "the first result is here before the end");
    // The page forgets nothing when it is loaded again.
    await page.reload();
    await table.getByRole("row").nth(1).waitFor({ timeout: PATIENCE });
    await run.getByText("done", { exact: true }).waitFor({ timeout: PATIENCE });

    await keepScreenshot(page, "lab-done-desktop");
    const sorted = table.getByRole("row").filter({ hasText: "sorted-rows" });
    await sorted.getByText("held", { exact: true }).waitFor();
    const recovered = await table.getByRole("row").filter({ hasText: "known-ridge" }).getByRole("cell").nth(2).textContent();
    assert.ok(Number.parseFloat(recovered!.replace(/[<>]/, "")) > 90, `with known pairs a host recovers ${recovered}`);
    await table
      .getByRole("row")
      .filter({ hasText: "token-frequency" })
      .getByText(/^Not run: /)
      .waitFor();
    await run
      .getByText(/^An attacker who knows some of the text (?:recovers|reads) 100 %/)
      .first()
      .waitFor();
    const chart = run.getByRole("img", { name: /over / }).first();
    await chart.waitFor();
    assert.ok((await chart.locator("circle, rect, polygon").count()) > 1, "the curve has points");
    for (const [name, viewport] of [
      ["desktop", null],
      ["phone", PHONE],
    ] as const) {
      if (viewport) await page.setViewportSize(viewport);
      await keepScreenshot(page, `lab-done-${name}`);
      assert.deepEqual(await overflowing(page), [], name);
      assert.deepEqual(await accessibilityProblems(page), [], name);
    }
    await run.getByRole("button", { name: "Put away" }).click();
    await page.getByRole("heading", { name: /^What was measured on / }).waitFor();
    await page.reload();
    await page.getByRole("heading", { name: /^What was measured on / }).waitFor();
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test("a path that is not there is a failure with what to do; an attack is stopped", async () => {
    const { page, complaints } = await openLab(browser, gateway, { expected: /status of 4/ });
    await page.getByLabel("Traffic, a path (optional)").fill(join(texts, "missing.txt"));
    await page.getByRole("button", { name: "Attack", exact: true }).click();
    await page.getByRole("alert").filter({ hasText: "missing.txt" }).waitFor();
    const traffic = join(texts, "traffic.txt");
    await writeFile(traffic, "Once upon a time there was a little cat. She liked to play in the sun.\n\n".repeat(40));
    await page.getByLabel("Traffic, a path (optional)").fill(traffic);
    await chooseAttacks(page, ["hill-climbing"]);
    await page.getByRole("button", { name: "Attack", exact: true }).click();
    const run = page.getByRole("region", { name: /^Attack on / });
    await run.getByRole("button", { name: "Stop" }).click();
    await run.getByText("stopped", { exact: true }).waitFor({ timeout: 30_000 });
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test("a practice contest starts, its page answers, and it ends", async () => {
    const { page, complaints } = await openLab(browser, gateway);
    await page.getByRole("button", { name: "Start a practice contest" }).click();
    const contest = page.getByRole("region", { name: /^Contest: practice/ });
    const link = contest.getByRole("link");
    await link.waitFor({ timeout: PATIENCE });
    const address = (await link.getAttribute("href"))!;
    const answer = await fetch(address);
    assert.equal(answer.status, 200);
    assert.match(await answer.text(), /contest/i);
    const [opened] = await Promise.all([page.context().waitForEvent("page"), link.click()]);
    await opened.getByRole("heading", { level: 1 }).waitFor();
    await opened.close();
    await contest.getByRole("code").filter({ hasText: "unseen contest invite NAME --dir /" }).waitFor();
    await contest.scrollIntoViewIfNeeded();
    await keepScreenshot(page, "lab-contest");
    assert.deepEqual(await overflowing(page), []);
    assert.deepEqual(await accessibilityProblems(page), []);
    await contest.getByRole("button", { name: "Stop" }).click();
    await contest.getByText("stopped", { exact: true }).waitFor({ timeout: 30_000 });
    await assert.rejects(fetch(address));
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test("a contest from one's own model: the text leaves no trace but its encrypted ids", async () => {
    const { page, complaints } = await openLab(browser, gateway);
    await page.getByRole("button", { name: "One from your own model" }).click();
    const form = page.getByRole("form", { name: "A contest from your own model" });
    await form.getByLabel("What was asked").fill("Tell me of a lighthouse.");
    await form.getByLabel("What was answered").fill("Once upon a time there was a lighthouse on a rock.");
    await form.getByRole("button", { name: "Start this contest" }).click();
    const contest = page.getByRole("region", { name: /^Contest: / });
    const link = contest.getByRole("link");
    await link.waitFor({ timeout: PATIENCE });
    const served = await (await fetch((await link.getAttribute("href"))!)).text();
    for (const text of [served, (await contest.textContent())!, gateway.output()]) assert.doesNotMatch(text, /lighthouse/);
    assert.deepEqual(await accessibilityProblems(page), []);
    await contest.getByRole("button", { name: "Stop" }).click();
    await contest.getByText("stopped", { exact: true }).waitFor({ timeout: 30_000 });
    assert.deepEqual(complaints, []);
    await page.context().close();
  });
});
