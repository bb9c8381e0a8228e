/**
 * The chat as its user lives it: asking, reading what the host sees, branches, settings, folders, search, taking out and bringing in.
 * @module
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { DESKTOP, keepScreenshot } from "./browser.ts";
import { answers, ask, begun, composer, ended, hostProcess, openChat, questions, say, slowHost, words } from "./chat-steps.ts";
import { accessibilityProblems, overflowing } from "./checks.ts";
import { inBrowser, usePages } from "./session.ts";

const QUESTION = "Tell me a story about a fox who was afraid of the dark.";

describe("the chat", inBrowser, () => {
  const { browser, gateway } = usePages();

  test("an answer comes word by word, and beside it stands what the host saw: numbers, and no word of the question", async () => {
    const { page, complaints } = await openChat(browser, gateway);
    await page.getByRole("button", { name: "Tell me a story about two friends" }).waitFor();
    await keepScreenshot(page, "chat-welcome", false);
    const normal = slowHost(hostProcess(gateway));
    await say(page, QUESTION);
    await begun(page);
    await keepScreenshot(page, "chat-streaming", false);
    const half = await words(page);
    normal();
    const whole = await ended(page);
    assert.ok(half.length > 0 && whole.length > half.length && whole.startsWith(half.slice(0, 20)), `${half} | ${whole}`);
    assert.equal(await page.getByRole("heading", { level: 1 }).innerText(), QUESTION);
    const received = page.getByRole("region", { name: /What the host .* received/ });
    await received.getByText(/The host received \d+ numbers/).waitFor();
    await received.getByText("Exact bytes").click();
    const bytes = await received.getByLabel(/Bytes that .* received/).innerText();
    assert.match(bytes, /^POST \/v1\/completions HTTP\/1\.1/);
    assert.match(bytes, /\[\d+(?:,\d+){10,}/);
    const seen = await received.innerText();
    for (const phrase of ["a fox who", "afraid of the", "Tell me a story"]) assert.ok(!seen.includes(phrase), `${phrase} in ${seen}`);
    assert.ok((await received.locator("[class*=naive]").innerText()).length > 20);
    const sent = page.getByRole("region", { name: /What the host .* sent/ });
    assert.ok(!(await sent.innerText()).includes(whole.slice(0, 30)));
    await keepScreenshot(page, "chat-host-side", false);
    // Loaded again, it is the same, from what was kept.
    await page.reload();
    assert.equal(await ended(page), whole);
    await received.getByText(/The host received \d+ numbers/).waitFor();
    // Also at the end of an answer that is taller than the window.
    await page.setViewportSize({ width: 1280, height: 300 });
    await page.reload();
    await ended(page);
    await received.getByText(/The host received \d+ numbers/).waitFor({ state: "attached" });
    await page.setViewportSize(DESKTOP);
    // Put away and called back with a key; the browser remembers it.
    await page.keyboard.press("Control+b");
    await received.waitFor({ state: "detached" });
    await page.reload();
    await ended(page);
    assert.equal(await received.count(), 0);
    await page.keyboard.press("Control+b");
    await received.waitFor();
    assert.deepEqual(await accessibilityProblems(page), []);
    assert.deepEqual(await overflowing(page), []);
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test("an answer is stopped, goes on, and has others beside it; an edited question is a branch of its own", async () => {
    const { page, complaints } = await openChat(browser, gateway);
    const normal = slowHost(hostProcess(gateway));
    await say(page, "Tell me a story about a red ball.");
    await begun(page);
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Continue" }).waitFor();
    normal();
    const stopped = await words(page);
    await keepScreenshot(page, "chat-stopped", false);
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByRole("button", { name: "Continue" }).waitFor({ state: "detached" });
    const continued = await ended(page);
    assert.ok(continued.startsWith(stopped) && continued.length > stopped.length, `${stopped} | ${continued}`);
    await page.getByRole("button", { name: "Another answer" }).click();
    await page.getByText("2 / 2").waitFor();
    await ended(page);
    await page.getByRole("button", { name: "Previous answer" }).click();
    await page.getByText("1 / 2").waitFor();
    assert.equal(await words(page), continued);
    // Up in the empty field edits the last question.
    await composer(page).press("ArrowUp");
    const editor = page.getByRole("textbox", { name: "Question" });
    assert.equal(await editor.inputValue(), "Tell me a story about a red ball.");
    await editor.press("Escape");
    await editor.waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Edit the question" }).click();
    await editor.fill("Tell me a story about a blue kite.");
    await editor.press("Enter");
    await page.getByText("Tell me a story about a blue kite.").last().waitFor();
    await ended(page);
    await questions(page).getByText("2 / 2").waitFor();
    await page.getByRole("button", { name: "Previous question" }).click();
    await questions(page).getByText("1 / 2").waitFor();
    await page.getByText("Tell me a story about a red ball.").last().waitFor();
    await page.getByRole("button", { name: "Copy the answer" }).click();
    const plain = (text: string): string => text.replaceAll(/\s+/g, " ").trim();
    assert.equal(plain(await page.evaluate(() => navigator.clipboard.readText())), plain(await words(page)));
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test("settings of the conversation change what the model gets and how it chooses", async () => {
    const { page, complaints } = await openChat(browser, gateway);
    await page.getByRole("button", { name: "Settings of this conversation" }).click();
    await page.getByLabel("System prompt").fill("You tell stories about animals.");
    await page.getByLabel("Temperature").fill("3");
    await page.getByLabel("Temperature").press("Enter");
    await page.getByText("A number from 0 to 2.").waitFor();
    await keepScreenshot(page, "chat-settings", false);
    assert.deepEqual(await accessibilityProblems(page), []);
    await page.getByLabel("Temperature").fill("0");
    await page.getByLabel("Most tokens").fill("40");
    await page.getByLabel("Most tokens").press("Enter");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    const first = await ask(page, "Tell me a story about a duck.");
    await page.getByRole("button", { name: "Another answer" }).click();
    await page.getByText("2 / 2").waitFor();
    assert.equal(await ended(page), first);
    await page.getByText("40 tokens").waitFor();
    // It ended by its length, so it can go on.
    await page.getByRole("button", { name: "Continue" }).waitFor();
    // Kept with the conversation.
    await page.reload();
    await ended(page);
    await page.getByRole("button", { name: "Settings of this conversation" }).click();
    assert.equal(await page.getByLabel("System prompt").inputValue(), "You tell stories about animals.");
    assert.equal(await page.getByLabel("Temperature").inputValue(), "0");
    await page.getByRole("button", { name: "Reset all" }).click();
    assert.equal(await page.getByLabel("Temperature").inputValue(), "");
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test("conversations are sorted, found, taken out, deleted and brought back", async () => {
    const { page, complaints } = await openChat(browser, gateway);
    await ask(page, "Tell me a story about a zebra in the snow.");
    await page.getByRole("button", { name: "Change “Tell me a story about a zebra in the snow.”" }).click();
    await page.getByLabel("Title").fill("Zebra");
    await page.getByLabel("Folder").fill("Animals");
    await keepScreenshot(page, "chat-conversation-dialog", false);
    await page.getByLabel("Folder").press("Enter");
    const folder = page.getByRole("region", { name: "Folder Animals" });
    await folder.getByRole("link", { name: "Zebra" }).waitFor();
    await page.getByRole("heading", { level: 1, name: "Zebra" }).waitFor();
    await folder.getByRole("button", { name: "Animals", exact: true }).click();
    await folder.getByRole("link", { name: "Zebra" }).waitFor({ state: "detached" });
    await folder.getByRole("button", { name: "Animals", exact: true }).click();
    await page.getByRole("button", { name: "Change the folder Animals" }).click();
    await page.getByLabel("Name", { exact: true }).fill("Stripes");
    await page.keyboard.press("Enter");
    await page.getByRole("region", { name: "Folder Stripes" }).getByRole("link", { name: "Zebra" }).waitFor();
    // Found from another conversation, with the keyboard.
    await page.keyboard.press("Control+Shift+o");
    await page.waitForURL("**/chat");
    await page.keyboard.press("Control+k");
    const search = page.getByRole("searchbox", { name: "Search conversations" });
    await page.waitForFunction(() => document.activeElement?.getAttribute("type") === "search");
    await page.keyboard.type("ZEBRA in the");
    const hit = page.getByRole("region", { name: "Search results" }).getByRole("link");
    await hit.first().waitFor();
    await keepScreenshot(page, "chat-search", false);
    assert.deepEqual(await accessibilityProblems(page), []);
    await hit.first().click();
    await page.locator("article[data-found=true]").getByText("zebra in the snow").waitFor();
    await search.fill("xylophone");
    await page.getByText("Nothing holds “xylophone”.").waitFor();
    await search.press("Escape");
    // Out, gone, and back.
    await page.getByRole("button", { name: "Change “Zebra”" }).click();
    const markdownSaved = page.waitForEvent("download");
    await page.getByRole("button", { name: "Export as Markdown" }).click();
    const markdown = await readFile(await (await markdownSaved).path(), "utf8");
    assert.match(markdown, /^# Zebra\n\n## You\n\nTell me a story about a zebra in the snow\.\n\n## story-llama\n\n/);
    const saved = page.waitForEvent("download");
    await page.getByRole("button", { name: "Export", exact: true }).click();
    const file = await saved;
    assert.equal(file.suggestedFilename(), "Zebra.json");
    await page.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("dialog", { name: "Delete this conversation?" }).getByRole("button", { name: "Delete" }).click();
    await page.getByRole("link", { name: "Zebra" }).waitFor({ state: "detached" });
    await page.waitForURL("**/chat");
    await page.getByLabel("File to import").setInputFiles(await file.path());
    await page.getByText("Imported 1 conversation with 2 messages.").waitFor();
    await page.getByRole("link", { name: "Zebra" }).click();
    await questions(page).getByText("zebra in the snow").waitFor();
    await answers(page).first().waitFor();
    assert.deepEqual(complaints, []);
    await page.context().close();
  });
});
