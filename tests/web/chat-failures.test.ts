/**
 * The chat when things end: the page in mid-answer, the gateway, the host.
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Browser } from "playwright-core";
import { startServer, type RunningServer } from "../command-line.ts";
import { freePort } from "../free-port.ts";
import { keepScreenshot, launchBrowser } from "./browser.ts";
import { answers, ask, begun, composer, ended, openChat, questions, say, slowHost, words, type Served } from "./chat-steps.ts";
import { accessibilityProblems } from "./checks.ts";
import { start, type RunningStart } from "./gateway.ts";

/** What Chromium says of a gateway that is away, and of each answer that is not 2xx. */
const AWAY = /Failed to load resource: (?:net::|the server responded with a status of (?:4\d\d|5\d\d))/;

const launched = await launchBrowser();

describe("the chat when things end", { skip: launched.reason ?? false }, () => {
  const browser = launched.browser as Browser;
  let first: RunningStart;
  let host: RunningServer;
  let gateway: RunningServer;
  let served: Served;
  let hostPort: number;
  let port: number;
  const startHost = (): Promise<RunningServer> =>
    startServer(["serve", join(first.home, "models/story-llama-unseen"), "--port", String(hostPort)], { home: first.home });
  const startGateway = (): Promise<RunningServer> =>
    startServer(["gateway", "--host", `http://127.0.0.1:${hostPort}`, "--port", String(port)], { home: first.home });
  before(async () => {
    // It makes the key and encrypts the model; host and gateway are then started apart, so that each can end alone.
    first = await start();
    await first.stop({ keepHome: true });
    [hostPort, port] = [await freePort(), await freePort()];
    host = await startHost();
    gateway = await startGateway();
    served = { address: gateway.facts["web"] as string, origin: gateway.url };
  });
  after(async () => {
    await browser?.close();
    await gateway?.stop();
    await host?.stop();
    await first?.stop();
  });

  test("a page that is loaded again in mid-answer goes on with it, and keeps what was typed", async () => {
    const { page, complaints } = await openChat(browser, served);
    const normal = slowHost(host.child.pid!);
    await say(page, "Tell me a story about a bird.");
    await begun(page);
    await composer(page).fill("What did the bird do then?");
    const before = await words(page);
    await page.reload();
    await begun(page);
    const after = await words(page);
    assert.ok(after.startsWith(before.slice(0, 20)), `${before} | ${after}`);
    await page.getByRole("button", { name: "Stop (Esc)" }).waitFor();
    normal();
    const whole = await ended(page);
    assert.ok(whole.length > after.length && whole.startsWith(after.slice(0, 20)));
    assert.equal(await composer(page).inputValue(), "What did the bird do then?");
    await composer(page).press("Enter");
    await answers(page).nth(1).waitFor();
    assert.equal(await composer(page).inputValue(), "");
    await ended(page);
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test("a gateway that dies in mid-answer leaves what was said, and the answer goes on once it is back", async () => {
    const { page, complaints } = await openChat(browser, served, "/chat", { expected: AWAY });
    const normal = slowHost(host.child.pid!);
    await say(page, "Tell me a story about a boat.");
    await begun(page, 60);
    // What is said is kept about once a second.
    await page.waitForTimeout(1_200);
    gateway.child.kill("SIGKILL");
    await gateway.ended;
    normal();
    await page.getByText("The gateway does not answer. If it was stopped").waitFor();
    await composer(page).fill("Nothing of this is lost.");
    await keepScreenshot(page, "chat-gateway-away", false);
    gateway = await startGateway();
    await page.getByText("The gateway ended while this was being said.").waitFor();
    assert.equal(await composer(page).inputValue(), "Nothing of this is lost.");
    const saved = await words(page);
    assert.ok(saved.length > 20, saved);
    await keepScreenshot(page, "chat-interrupted", false);
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByText("The gateway ended while this was being said.").waitFor({ state: "detached" });
    const whole = await ended(page);
    assert.ok(whole.startsWith(saved) && whole.length > saved.length, `${saved} | ${whole}`);
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test("what is sent to a gateway that is away is not lost, and goes out once it is back", async () => {
    const { page } = await openChat(browser, served, "/chat", { expected: AWAY });
    await gateway.stop();
    await composer(page).fill("Tell me a story about a hat.");
    await composer(page).press("Enter");
    await page.getByRole("form", { name: "New message" }).getByText("The gateway does not answer.").waitFor();
    assert.equal(await composer(page).inputValue(), "Tell me a story about a hat.");
    gateway = await startGateway();
    await page.getByText("This page goes on by itself.").first().waitFor({ state: "detached", timeout: 10_000 });
    await composer(page).press("Enter");
    await ended(page);
    await page.context().close();
  });

  test("a host that is away gives a clear failure, and the question is answered once the host is back", async () => {
    const { page, complaints } = await openChat(browser, served, "/chat", { expected: AWAY });
    await ask(page, "Tell me a story about a cat.");
    host.child.kill("SIGKILL");
    await host.ended;
    await say(page, "Tell me a story about a dog.");
    const failure = answers(page).last().getByRole("alert");
    await failure.waitFor({ timeout: 30_000 });
    assert.match(await failure.innerText(), /host/i);
    await questions(page).getByText("Tell me a story about a dog.").waitFor();
    await keepScreenshot(page, "chat-host-away", false);
    host = await startHost();
    await page.getByRole("button", { name: "Try again" }).click({ timeout: 20_000 });
    await failure.waitFor({ state: "detached", timeout: 20_000 });
    assert.ok((await ended(page)).length > 20);
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test("without a model, and at an address of no conversation, the page says what to do", async () => {
    await gateway.stop();
    gateway = await startServer(["gateway", "--port", String(port)], { home: first.home });
    const { page, complaints } = await openChat(browser, served, "/chat", { expected: AWAY });
    await page.getByRole("heading", { name: "No model answers now" }).waitFor();
    await composer(page).fill("Is anybody there?");
    assert.ok(await page.getByRole("button", { name: "Send" }).isDisabled());
    await keepScreenshot(page, "chat-no-model", false);
    assert.deepEqual(await accessibilityProblems(page), []);
    await page.getByRole("link", { name: "To the models" }).click();
    await page.waitForURL("**/models");
    await page.goto(`${served.origin}/chat/00000000-0000-4000-8000-000000000000`);
    await page.getByRole("region", { name: "Messages" }).getByRole("alert").waitFor();
    await keepScreenshot(page, "chat-no-conversation", false);
    assert.deepEqual(complaints, []);
    await page.context().close();
  });
});
