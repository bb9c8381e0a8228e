/**
 * The page of two servers as a user lives it: a model is split, two servers start on this machine, a message is answered and each server's
 * view of it is shown; one that is stopped is shown as down; then all is switched off.
 * @module
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startProxy } from "@unseen/shares/client/proxy.fixture.ts";
import { frameTypes } from "@unseen/shares/protocol.ts";
import type { AnswerEvent, ConversationSummary, Message, Turn } from "@unseen/web/protocol/conversations.ts";
import type { Job } from "@unseen/web/protocol/jobs.ts";
import type { ServerView, Status, TwoServers } from "@unseen/web/protocol/library.ts";
import type { Browser } from "playwright-core";
import { keepScreenshot, launchBrowser, openPage, PHONE, type Watched } from "./browser.ts";
import { accessibilityProblems, overflowing } from "./checks.ts";
import { start, type RunningStart } from "./gateway.ts";

const PATIENCE = 60_000; // ms, of splitting and starting on a busy machine
const MODEL = "story-llama@two-servers";

const launched = await launchBrowser();

describe("the page of two servers", { skip: launched.reason ?? false }, () => {
  const browser = launched.browser as Browser;
  let gateway: RunningStart;
  let watched: Watched;
  before(async () => {
    gateway = await start();
    // The refusal of two servers on one machine, which a test below asks for.
    watched = await openPage(browser, gateway.address, { expected: /status of 400/ });
    await watched.page.goto(`${gateway.origin}/servers`);
    watched.page.setDefaultTimeout(PATIENCE);
  });
  after(async () => {
    await browser?.close();
    await gateway?.stop();
  });

  async function ask(method: string, path: string, body?: object): Promise<Response> {
    const response = await fetch(gateway.origin + path, {
      method,
      headers: { authorization: `Bearer ${gateway.address.split("access=")[1]}`, "content-type": "application/json" },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${response.ok ? "" : await response.text()}`);
    return response;
  }

  /** Says something to the model on two servers; how the answer ended. */
  async function say(): Promise<Message> {
    const settings = { model: MODEL, system: "", sampling: { max_tokens: 12 } };
    const { id } = (await (await ask("POST", "/console/conversations", { settings })).json()) as ConversationSummary;
    const turn = { kind: "say", parent: null, content: "Tell me about a dog." };
    const { answer } = (await (await ask("POST", `/console/conversations/${id}/turns`, turn)).json()) as Turn;
    const told = await (await ask("GET", `/console/conversations/${id}/messages/${answer.id}/stream`)).text();
    const events = told.split("\n").filter((line) => line.startsWith("data: {"));
    const end = events.map((line) => JSON.parse(line.slice(6)) as AnswerEvent).find((event) => event.kind === "end");
    assert.ok(end, told);
    return end.message;
  }

  async function look(page = watched.page): Promise<void> {
    assert.deepEqual(await overflowing(page), []);
    assert.deepEqual(await accessibilityProblems(page), []);
  }

  test("says what it is, on what it rests, and how to begin", async () => {
    const { page } = watched;
    await page.getByRole("heading", { name: "What it rests on" }).waitFor();
    await page.getByText("Split a model first.").waitFor();
    await page.getByRole("option", { name: "story-llama (llama)" }).first().waitFor({ state: "attached" });
    await keepScreenshot(page, "servers-off");
    await look();
  });

  test("a model is split, and its directories are named", { timeout: 2 * PATIENCE }, async () => {
    const { page } = watched;
    const step = page.getByRole("region", { name: "Step 1: split a model" });
    await step.getByLabel("Model").selectOption({ label: "story-llama (llama)" });
    await step.getByRole("button", { name: "Split" }).click();
    await step.getByText("Copy one directory to each operator").waitFor();
    await keepScreenshot(page, "servers-split");
    await look();
  });

  test("two addresses on one machine are refused, and it is said why", async () => {
    const { page } = watched;
    await page.getByLabel("Address of server A").fill("http://127.0.0.1:1");
    await page.getByLabel("Address of server B").fill("http://127.0.0.1:2");
    await page.getByLabel("Address of server B").press("Enter");
    await page.getByRole("form", { name: "Two operators" }).getByText("127.0.0.1:1 and 127.0.0.1:2 are one machine").waitFor();
  });

  test("two servers are started here and switched on", { timeout: PATIENCE }, async () => {
    const { page } = watched;
    await page.getByRole("button", { name: "Start two servers here" }).click();
    const mode = page.getByRole("region", { name: "Two-server mode" });
    await mode.getByText("Both servers are on one machine").waitFor();
    await page.getByText("Nothing was asked yet").waitFor();
    await mode.getByRole("heading", { name: MODEL }).waitFor();
    const { models } = (await (await ask("GET", "/console/status")).json()) as Status;
    assert.ok(models.some(({ id, protection }) => id === MODEL && protection === "shares"));
  });

  test("after a message each server's view is there: numbers that are uniform, and a seed", { timeout: PATIENCE }, async () => {
    const { page } = watched;
    const message = await say();
    assert.equal(message.state, "complete", JSON.stringify(message.failure));
    assert.ok(message.content.length > 0);

    await page.getByText("Every answer was right").waitFor();
    const [a, b] = [page.getByRole("region", { name: "Server A" }), page.getByRole("region", { name: "Server B" })];
    await a.getByText(/Spread as evenly as random bytes: chi-square \d+/).waitFor();
    await b.getByText("It got no number that depends on your text").waitFor();
    const { servers } = (await (await ask("GET", "/console/servers")).json()) as { servers: TwoServers };
    assert.ok(servers.checked > 0 && servers.violation === null);
    const [viewA, viewB] = servers.servers.map(({ last }) => last!) as [ServerView, ServerView];
    assert.ok(viewA.chiSquare > 100 && viewA.chiSquare < 400, `${viewA.chiSquare}`);
    assert.ok(viewA.received > 10 * viewB.received, "B gets seeds and counters instead of numbers");
    const shown = await a.getByLabel("First bytes that server A got").textContent();
    const hex = Buffer.from(viewA.sample, "base64").subarray(0, 16).toString("hex");
    assert.equal(shown!.split("\n")[0]!.slice(10, 57).replaceAll(" ", ""), hex);
    for (const text of ["dog", "Tell me"]) assert.ok(!Buffer.from(viewA.sample, "base64").includes(text));
    await keepScreenshot(page, "servers-on");
    await look();
    const phone = await openPage(browser, gateway.address, { viewport: PHONE, hasTouch: true, colorScheme: "dark" });
    await phone.page.goto(`${gateway.origin}/servers`);
    await phone.page.getByRole("region", { name: "Server A" }).getByText("Spread as evenly").waitFor();
    await keepScreenshot(phone.page, "servers-on-phone");
    await look(phone.page);
    assert.deepEqual(phone.complaints, []);
    await phone.page.context().close();
  });

  test("a server that lies is named, large and red", async () => {
    const { page } = watched;
    const { servers } = (await (await ask("GET", "/console/servers")).json()) as { servers: TwoServers };
    const [a, b] = servers.servers;
    const liar = await startProxy(b.url);
    liar.meddle = (frame) => {
      if (frame.type === frameTypes.products) frame.payload[5]! ^= 1;
      return frame;
    };
    try {
      await ask("PUT", "/console/servers", { urls: [a.url, liar.url], allowSameOperator: true });
      assert.equal((await say()).state, "failed");
      const alarm = page.getByRole("alert").filter({ hasText: "A server answered wrongly" });
      await alarm.getByText(`server B at ${liar.url}`, { exact: false }).waitFor();
      await page.getByRole("region", { name: "Server A" }).getByText("The last numbers were sent to it a second time").waitFor();
      await keepScreenshot(page, "servers-lied");
      await look();
    } finally {
      await ask("PUT", "/console/servers", { urls: [a.url, b.url], allowSameOperator: true });
      await liar.close();
    }
    await page.getByText("Nothing was asked yet").waitFor();
  });

  test("a server that was stopped is shown as down, with what to do", async () => {
    const { page } = watched;
    const { servers } = (await (await ask("GET", "/console/servers")).json()) as { servers: TwoServers };
    const { jobs } = (await (await ask("GET", "/console/jobs")).json()) as { jobs: Job[] };
    const job = jobs.find(({ result }) => (result as { url?: string } | null)?.url === servers.servers[1].url)!;
    await ask("DELETE", `/console/jobs/${job.id}`);
    await page.getByText("Server B does not answer").waitFor();
    await page.getByRole("region", { name: "Server B" }).getByText("down", { exact: true }).waitFor();
    await page.getByRole("region", { name: "Server A" }).getByText("up", { exact: true }).waitFor();
    await page.getByText("If it ran on this machine: switch off, then start two servers here again.").waitFor();
    await keepScreenshot(page, "servers-down");
    await look();
  });

  test("switched off, the model is gone and so are the servers on this machine", async () => {
    const { page } = watched;
    await page.getByRole("button", { name: "Switch off" }).click();
    await page.getByRole("heading", { name: "What it rests on" }).waitFor();
    await page.getByText("Switched off, and the two servers on this machine were stopped.").waitFor();
    const { models } = (await (await ask("GET", "/console/status")).json()) as Status;
    assert.ok(!models.some(({ id }) => id === MODEL));
    const { jobs } = (await (await ask("GET", "/console/jobs")).json()) as { jobs: Job[] };
    assert.deepEqual(
      jobs.filter(({ kind }) => kind === "serve-shares").map(({ state }) => state),
      ["stopped", "stopped"],
    );
    assert.deepEqual(watched.complaints, []);
  });
});
