/**
 * The models page as its user lives it: a model is encrypted, served here, stopped, deleted; another one is downloaded.
 * @module
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { StandInHub } from "@unseen/client/stand-in-hub.ts";
import type { Browser } from "playwright-core";
import { keepScreenshot, launchBrowser, PHONE } from "./browser.ts";
import { accessibilityProblems, overflowing } from "./checks.ts";
import { start, type RunningStart } from "./gateway.ts";
import { openModels, serveHere } from "./models-page.ts";

const STORY = fileURLToPath(new URL("../../packages/unseen/models/story-llama/", import.meta.url));

const launched = await launchBrowser();

describe("the models page", { skip: launched.reason ?? false }, () => {
  const browser = launched.browser as Browser;
  let gateway: RunningStart;
  let hub: StandInHub;
  before(async () => {
    const names = (await readdir(STORY)).filter((name) => name !== "README.md");
    const files = await Promise.all(names.map(async (name) => [name, await readFile(join(STORY, name))] as const));
    hub = await new StandInHub("tiny/story", Object.fromEntries(files)).start();
    gateway = await start({ environment: { HF_ENDPOINT: hub.url } });
  });
  after(async () => {
    await browser?.close();
    await gateway?.stop();
    await hub?.[Symbol.asyncDispose]();
  });

  test("a model is encrypted, served here, offered, found under hosts, stopped and deleted", async () => {
    const { page, complaints } = await openModels(browser, gateway, "/models/keys");
    await page.getByRole("button", { name: "New key" }).click();
    await page.getByLabel("Name", { exact: true }).fill("work");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 3, name: "work" }).waitFor();
    await page.getByRole("navigation", { name: "Parts of this page" }).getByRole("link", { name: "Models" }).click();
    await page.getByRole("button", { name: "Encrypt a model" }).click();
    const dialog = page.getByRole("dialog", { name: "Encrypt a model" });
    await dialog.getByLabel("Model", { exact: true }).selectOption({ label: "story-llama (llama)" });
    await dialog.getByLabel("permute").check();
    await dialog.getByLabel("Key", { exact: true }).selectOption("work");
    await dialog.getByLabel("Name", { exact: true }).fill("tale");
    await keepScreenshot(page, "models-encrypt", false);
    await dialog.getByRole("button", { name: "Encrypt" }).click();
    const work = page.getByRole("region", { name: "Encrypt story-llama" }).first();
    await work.getByRole("progressbar").waitFor();
    await work.getByText("unseen encrypt").waitFor();
    // Work goes on and is found again when the page is loaded anew.
    await page.reload();
    await work.waitFor();
    await work.getByText("done", { exact: true }).waitFor({ timeout: 40_000 });
    await work.getByText(/Same likeliest output at 100\.0 % of \d+ positions/).waitFor();
    await work
      .getByRole("definition")
      .filter({ hasText: /without the key \(sorted-rows/ })
      .waitFor();
    await keepScreenshot(page, "models-encrypted");
    await work.getByRole("button", { name: "Put away" }).click();
    await work.waitFor({ state: "detached" });

    const card = page.getByRole("article", { name: "tale" });
    await card.getByText("not offered").waitFor();
    await card.getByRole("button", { name: "Copy the fingerprint of tale" }).click();
    const fingerprint = await page.evaluate(() => navigator.clipboard.readText());
    assert.match(fingerprint, /^[0-9a-f]{32}$/);
    await serveHere(page, card);
    await card.getByText("offered now, EE").waitFor({ timeout: 30_000 });
    await card.getByRole("link", { name: "Chat with it" }).waitFor();
    const offered = await gateway.ask<{ models: { name: string; fingerprint: string; strength: string }[] }>("/console/status");
    assert.ok(offered.models.some((model) => model.name === "tale" && model.fingerprint === fingerprint && model.strength === "permute"));
    const deleting = card.getByRole("button", { name: "Delete" });
    assert.ok(await deleting.isDisabled(), "a model that is served here is not deleted");
    await keepScreenshot(page, "models-serving");
    // The host goes on while the page is loaded anew, and is found again.
    await page.reload();
    await card.getByText("Host on this machine").waitFor();
    await card.getByText("offered now, EE").waitFor();

    await page.getByRole("link", { name: "Hosts" }).click();
    const [url] = (await gateway.ask<{ hosts: { url: string; added: boolean }[] }>("/console/hosts")).hosts
      .filter(({ added }) => added)
      .map((host) => host.url);
    const host = page.getByRole("article", { name: url! });
    await host.getByText("up", { exact: true }).waitFor();
    await host.getByText("tale").waitFor();
    await host.getByText(/\d+ ms/).waitFor();
    await host.getByText("None is demanded").waitFor();

    await page.getByRole("navigation", { name: "Parts of this page" }).getByRole("link", { name: "Models" }).click();
    await card.getByRole("button", { name: "Stop", exact: true }).click();
    await card.getByText("not offered").waitFor({ timeout: 20_000 });
    await card.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("dialog", { name: "Delete tale?" }).getByRole("button", { name: "Delete" }).click();
    await card.waitFor({ state: "detached" });
    assert.ok(!existsSync(join(gateway.home, "models", "tale-unseen")));
    assert.deepEqual(
      (await gateway.ask<{ hosts: { added: boolean }[] }>("/console/hosts")).hosts.filter(({ added }) => added),
      [],
    );
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test("a model is downloaded with progress, stopped, gone on with; a wrong name is told", async () => {
    const { page, complaints } = await openModels(browser, gateway, "/models");
    const pull = async (name: string): Promise<void> => {
      await page.getByRole("button", { name: "Download a model" }).click();
      await page.getByLabel("Model", { exact: true }).fill(name);
      await page.keyboard.press("Enter");
    };
    await pull("story");
    await page.getByText("as in ORG/NAME.").waitFor();
    await page.keyboard.press("Escape");
    await pull("tiny/nothing");
    const wrong = page.getByRole("region", { name: "Download tiny/nothing" });
    await wrong.getByRole("alert").waitFor({ timeout: 20_000 });
    assert.match(await wrong.getByRole("alert").innerText(), /tiny\/nothing/);
    await keepScreenshot(page, "models-wrong-name");
    await wrong.getByRole("button", { name: "Put away" }).click();

    hub.trouble.set("model.safetensors", { slow: 60 });
    await pull(`${hub.url}/tiny/story`);
    const work = page.getByRole("region", { name: "Download tiny/story" });
    await work.getByText(/pulling tiny\/story \d+ %/).waitFor({ timeout: 20_000 });
    await keepScreenshot(page, "models-downloading");
    await work.getByRole("button", { name: "Stop" }).click();
    await work.getByRole("button", { name: "Go on" }).waitFor({ timeout: 20_000 });
    hub.trouble.clear();
    await work.getByRole("button", { name: "Go on" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Download" }).click();
    await work.getByText("done", { exact: true }).waitFor({ timeout: 20_000 });
    await page.getByRole("heading", { name: "tiny/story", exact: true }).waitFor();
    const [, resumed] = hub.requests.filter(({ path, origin }) => path === "model.safetensors" && origin === "store");
    assert.match(resumed?.range ?? "", /^bytes=[1-9]\d*-$/, "the second download went on where the first was stopped");
    await work.getByRole("button", { name: "Encrypt it" }).click();
    assert.equal(await page.getByRole("dialog").getByLabel("Name", { exact: true }).inputValue(), "story");
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Delete tiny/story" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByRole("heading", { name: "tiny/story", exact: true }).waitFor({ state: "detached" });
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test("every part fits a desk and a phone, light and dark, and axe finds nothing serious", async () => {
    for (const [screen, viewport, colorScheme] of [
      ["desktop", undefined, "light"],
      ["phone", PHONE, "dark"],
    ] as const) {
      const { page, complaints } = await openModels(browser, gateway, "/models", {
        colorScheme,
        ...(viewport ? { viewport, hasTouch: true } : {}),
      });
      for (const part of ["Models", "Keys", "Hosts", "Protections"]) {
        await page.getByRole("navigation", { name: "Parts of this page" }).getByRole("link", { name: part }).click();
        await page.getByText("Loading", { exact: true }).waitFor({ state: "detached" });
        await page.waitForLoadState("networkidle");
        await keepScreenshot(page, `models-${part.toLowerCase()}-${screen}`);
        assert.deepEqual(await overflowing(page), [], `${part} on a ${screen}`);
        assert.deepEqual(await accessibilityProblems(page), [], `${part} on a ${screen}`);
      }
      await page.getByRole("navigation", { name: "Parts of this page" }).getByRole("link", { name: "Models" }).click();
      for (const button of ["Encrypt a model", "Download a model"]) {
        await page.getByRole("button", { name: button }).click();
        await page.getByRole("dialog").waitFor();
        await keepScreenshot(page, `models-${button.split(" ")[0]!.toLowerCase()}-${screen}`, false);
        assert.deepEqual(await overflowing(page), [], `${button} on a ${screen}`);
        assert.deepEqual(await accessibilityProblems(page), [], `${button} on a ${screen}`);
        await page.keyboard.press("Escape");
        await page.getByRole("dialog").waitFor({ state: "detached" });
        // Where one was before.
        assert.equal(await page.evaluate(() => document.activeElement?.textContent), button);
      }
      assert.deepEqual(complaints, []);
      await page.context().close();
    }
  });
});
