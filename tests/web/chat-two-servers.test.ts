/**
 * The chat with two servers that multiply shares: beside each answer stands what either got.
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Browser } from "playwright-core";
import { ask as runAndRead, startServer, STORY_LLAMA, temporaryDirectory, type RunningServer } from "../command-line.ts";
import { keepScreenshot, launchBrowser } from "./browser.ts";
import { answers, ask, openChat } from "./chat-steps.ts";
import { accessibilityProblems, overflowing } from "./checks.ts";

const launched = await launchBrowser();

describe("the chat with two servers", { skip: launched.reason ?? false }, () => {
  const browser = launched.browser as Browser;
  let servers: RunningServer[] = [];
  let gateway: RunningServer;
  before(async () => {
    const home = temporaryDirectory("chat-shares");
    const directories = [join(home, "first"), join(home, "second")];
    await runAndRead(["share", STORY_LLAMA, "--out", ...directories], { home });
    servers = await Promise.all(directories.map((directory) => startServer(["shares", "serve", directory, "--port", "0"], { home })));
    const urls = servers.map(({ url }) => url);
    gateway = await startServer(["gateway", "--port", "0", "--shares", ...urls, "--allow-same-operator"], { home });
  });
  after(async () => {
    await browser?.close();
    await gateway?.stop();
    await Promise.all(servers.map((server) => server.stop()));
  });

  test("each server's numbers are shown in hexadecimal, while the answer comes and after the page was loaded again", async () => {
    const { page, complaints } = await openChat(browser, { address: gateway.facts["web"] as string, origin: gateway.url });
    await page.getByRole("button", { name: "Settings of this conversation" }).click();
    await page.getByLabel("Most tokens").fill("25");
    await page.getByLabel("Most tokens").press("Enter");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    const answer = await ask(page, "Tell me a story about a frog.");
    for (const again of [false, true]) {
      if (again) await page.reload();
      const sides = page.getByRole("region", { name: /What the server .* saw/ });
      await sides.nth(1).waitFor();
      assert.equal(await sides.count(), 2);
      await page.getByText("as long as the two do not work together").waitFor();
      await sides.first().getByText("Exact bytes that it got").click();
      const bytes = await sides
        .first()
        .getByLabel(/Bytes that .* received/)
        .innerText();
      assert.match(bytes, /^0{8}( {1,2}[\da-f]{2}){16} {2}/m);
      for (const text of [bytes, ...(await sides.allInnerTexts())])
        for (const word of ["story about", answer.slice(0, 20)]) assert.ok(!text.includes(word), word);
      assert.equal(await answers(page).count(), 1);
      assert.deepEqual(await overflowing(page), []);
    }
    await keepScreenshot(page, "chat-two-servers", false);
    assert.deepEqual(await accessibilityProblems(page), []);
    assert.deepEqual(complaints, []);
    await page.context().close();
  });
});
