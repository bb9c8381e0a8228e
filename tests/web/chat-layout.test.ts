/**
 * The chat on a phone and a desk, light and dark, and with the keyboard alone.
 * @module
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { keepScreenshot, PHONE } from "./browser.ts";
import { ask, composer, ended, openChat, questions } from "./chat-steps.ts";
import { accessibilityProblems, overflowing } from "./checks.ts";
import { inBrowser, usePages } from "./session.ts";

const QUESTION = "Tell me a story about a fox who was afraid of the dark.";

describe("the chat's layout", inBrowser, () => {
  const { browser, gateway } = usePages();

  test("it fits a phone, where what the host saw stands below each message, and the keyboard reaches everything", async () => {
    for (const colorScheme of ["light", "dark"] as const) {
      const { page, complaints } = await openChat(browser, gateway, "/chat", {
        colorScheme,
        viewport: PHONE,
        hasTouch: true,
        isMobile: true,
      });
      await composer(page).fill(QUESTION);
      await page.getByRole("button", { name: "Send" }).click();
      await ended(page);
      assert.equal(await page.getByRole("region", { name: /What the host .* received/ }).count(), 0);
      await page.getByRole("button", { name: "What the host sees (Ctrl+B)" }).click();
      const received = page.getByRole("region", { name: /What the host .* received/ });
      await received.waitFor();
      const [said, seen] = [await questions(page).locator("[class*=question]").boundingBox(), await received.boundingBox()];
      assert.ok(seen!.y > said!.y + said!.height - 1 && Math.abs(seen!.x - said!.x) < 20);
      await keepScreenshot(page, `chat-host-side-phone-${colorScheme}`, false);
      assert.deepEqual(await overflowing(page), []);
      assert.deepEqual(await accessibilityProblems(page), []);
      await page.getByRole("button", { name: "Conversations", exact: true }).click();
      await page.getByRole("link", { name: QUESTION }).first().waitFor();
      await page.waitForTimeout(250);
      await keepScreenshot(page, `chat-list-phone-${colorScheme}`, false);
      assert.deepEqual(await overflowing(page), []);
      assert.deepEqual(await accessibilityProblems(page), []);
      await page.keyboard.press("Escape");
      assert.deepEqual(complaints, []);
      await page.context().close();
    }
    const { page } = await openChat(browser, gateway, "/chat", { colorScheme: "dark" });
    await ask(page, QUESTION);
    await keepScreenshot(page, "chat-host-side-dark", false);
    assert.deepEqual(await accessibilityProblems(page), []);
    await page.keyboard.press("Tab");
    await page.getByRole("heading", { level: 1 }).focus();
    await page.keyboard.press("/");
    await page.waitForFunction(() => document.activeElement?.getAttribute("aria-label") === "Message");
    await page.context().close();
  });
});
