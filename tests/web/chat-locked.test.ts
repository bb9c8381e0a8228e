/**
 * Conversations under a passphrase, in the browser.
 * @module
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Browser } from "playwright-core";
import { freePort } from "../free-port.ts";
import { keepScreenshot, launchBrowser } from "./browser.ts";
import { ask, openChat, questions } from "./chat-steps.ts";
import { accessibilityProblems } from "./checks.ts";
import { start, type RunningStart } from "./gateway.ts";

const PASSPHRASE = "seven lamps over the harbour";
/** What Chromium says of a gateway that is away, and of each answer that is not 2xx. */
const AWAY = /Failed to load resource: (?:net::|the server responded with a status of 4\d\d)/;

const launched = await launchBrowser();

describe("locked conversations", { skip: launched.reason ?? false }, () => {
  const browser = launched.browser as Browser;
  let gateway: RunningStart;
  before(async () => {
    gateway = await start({ port: await freePort() });
  });
  after(async () => {
    await browser?.close();
    await gateway?.stop();
  });

  test("a passphrase locks the conversations, a wrong one says so, and a restarted gateway asks for it", async () => {
    const { page, complaints } = await openChat(browser, gateway, "/chat", { expected: AWAY });
    await ask(page, "Tell me a story about a secret.");
    await page.getByRole("button", { name: "How they are kept" }).click();
    const dialog = page.getByRole("dialog", { name: "How conversations are kept" });
    await dialog.getByLabel("Passphrase", { exact: true }).fill(PASSPHRASE);
    await dialog.getByLabel("The same again").fill("something else");
    await dialog.getByLabel("The same again").press("Enter");
    await dialog.getByText("The two are not the same.").waitFor();
    await keepScreenshot(page, "chat-keeping", false);
    assert.deepEqual(await accessibilityProblems(page), []);
    await dialog.getByLabel("The same again").fill(PASSPHRASE);
    await dialog.getByLabel("The same again").press("Enter");
    await dialog.waitFor({ state: "detached", timeout: 20_000 });
    await page.getByRole("button", { name: "How they are kept" }).click();
    await dialog.getByRole("button", { name: "Lock now" }).click();
    await page.getByRole("heading", { name: "Your conversations are locked" }).waitFor();
    assert.equal(await page.getByText("a secret").count(), 0);
    const field = page.getByLabel("Passphrase");
    await field.fill("not this one");
    await field.press("Enter");
    const alert = page.getByRole("alert");
    await alert.waitFor({ timeout: 20_000 });
    assert.match(await alert.innerText(), /passphrase/i);
    assert.ok(await field.evaluate((element) => element === document.activeElement));
    await keepScreenshot(page, "chat-locked", false);
    assert.deepEqual(await accessibilityProblems(page), []);
    await field.fill(PASSPHRASE);
    await field.press("Enter");
    await questions(page).getByText("a secret").waitFor({ timeout: 20_000 });
    await gateway.stop({ keepHome: true });
    gateway = await start({ home: gateway.home, port: Number(new URL(gateway.origin).port) });
    await page.getByRole("heading", { name: "Your conversations are locked" }).waitFor({ timeout: 20_000 });
    await page.getByLabel("Passphrase").fill(PASSPHRASE);
    await page.getByLabel("Passphrase").press("Enter");
    await questions(page).getByText("a secret").waitFor({ timeout: 20_000 });
    await page.getByRole("button", { name: "How they are kept" }).click();
    await dialog.getByRole("button", { name: "Remove the passphrase" }).click();
    await dialog.waitFor({ state: "detached", timeout: 20_000 });
    assert.deepEqual(complaints, []);
    await page.context().close();
  });
});
