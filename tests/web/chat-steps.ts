/**
 * Steps of who chats in the browser, and the host behind it slowed down, stopped and killed.
 * @module
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import type { Archive, ArchivedConversation, ArchivedMessage } from "@unseen/web/protocol/conversations.ts";
import type { Browser, Locator, Page } from "playwright-core";
import { openPage, type Watched } from "./browser.ts";
import type { RunningStart } from "./gateway.ts";

/** What a browser needs to know of a running gateway. */
export type Served = Pick<RunningStart, "address" | "origin">;

/** Opens a path of the chat and waits until it can be used. */
export async function openChat(
  browser: Browser,
  gateway: Served,
  path = "/chat",
  options: Parameters<typeof openPage>[2] = {},
): Promise<Watched> {
  const watched = await openPage(browser, gateway.address, options);
  if (path !== "/chat") await watched.page.goto(gateway.origin + path);
  await composer(watched.page).waitFor();
  await watched.page.getByRole("combobox", { name: "Model" }).waitFor();
  return watched;
}

export function composer(page: Page): Locator {
  return page.getByRole("textbox", { name: "Message", exact: true });
}

export function answers(page: Page): Locator {
  return page.getByRole("article", { name: "The model said" });
}

export function questions(page: Page): Locator {
  return page.getByRole("article", { name: "You said" });
}

/** Types and sends; resolves once an answer begins. */
export async function say(page: Page, text: string): Promise<void> {
  const before = await answers(page).count();
  await composer(page).fill(text);
  await composer(page).press("Enter");
  await answers(page).nth(before).waitFor();
}

/** Says something and waits for the whole answer. */
export async function ask(page: Page, text: string): Promise<string> {
  await say(page, text);
  return ended(page);
}

/** Waits until no answer comes any more. @returns the last one's words */
export async function ended(page: Page): Promise<string> {
  await page.getByRole("button", { name: "Another answer" }).last().waitFor({ timeout: 30_000 });
  return words(page);
}

/** Words of the last answer, without what stands below it. */
export async function words(page: Page): Promise<string> {
  return (await answers(page).last().locator("[class*=markdown]").allInnerTexts()).join("");
}

/** Waits until the last answer has some words. */
export async function begun(page: Page, atLeast = 30): Promise<void> {
  await page.waitForFunction(
    (length) => {
      const shown = [...document.querySelectorAll('article[aria-label="The model said"] [class*=markdown]')].at(-1);
      return (shown?.textContent ?? "").length >= length;
    },
    atLeast,
    { timeout: 20_000 },
  );
}

/** Process id of the blind host that `unseen start` runs. */
export function hostProcess(gateway: RunningStart): number {
  const parents = new Map<number, { parent: number; command: string }>();
  for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    try {
      const parent = Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${name}/status`, "utf8"))?.[1]);
      parents.set(Number(name), { parent, command: readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ") });
    } catch {
      // It ended meanwhile.
    }
  }
  const isBelow = (id: number): boolean => id === gateway.process.pid || (parents.has(id) && isBelow(parents.get(id)!.parent));
  const found = [...parents].find(([id, { command }]) => isBelow(id) && / serve /.test(command));
  assert.ok(found, "no host process");
  return found[0];
}

/** Lets the host, and what computes for it, run a small part of the time. @returns what ends that */
export function slowHost(host: number): () => void {
  const processes = withChildren(host);
  const send = (signal: NodeJS.Signals): void => {
    for (const id of processes) {
      try {
        process.kill(id, signal);
      } catch {
        // It ended.
      }
    }
  };
  let running = true;
  const timer = setInterval(() => {
    running = !running;
    send(running ? "SIGCONT" : "SIGSTOP");
    if (running) setTimeout(() => send("SIGSTOP"), 4);
  }, 60);
  return () => {
    clearInterval(timer);
    // After the last stop that is still to come.
    setTimeout(() => send("SIGCONT"), 20);
    send("SIGCONT");
  };
}

function withChildren(root: number): number[] {
  const children = readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .filter((entry) => {
      try {
        return new RegExp(`^PPid:\\s*${root}$`, "m").test(readFileSync(`/proc/${entry}/status`, "utf8"));
      } catch {
        return false;
      }
    });
  return [root, ...children.flatMap((child) => withChildren(Number(child)))];
}

/** A request to the console as the page sends it. */
export async function consoleRequest(gateway: Served, path: string, method = "GET", body?: unknown): Promise<Response> {
  const response = await fetch(`${gateway.origin}/console${path}`, {
    method,
    headers: { authorization: `Bearer ${new URL(gateway.address).hash.replace("#access=", "")}`, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${response.ok ? "" : await response.text()}`);
  return response;
}

/** A conversation of questions and answers in turn, as an export would hold it. */
export function archived(title: string, contents: readonly string[]): ArchivedConversation {
  const at = (index: number): string => new Date(Date.UTC(2026, 0, 1) + index * 1000).toISOString();
  const messages = contents.map((content, index): ArchivedMessage => ({
    id: `m${index}`,
    parent: index === 0 ? null : `m${index - 1}`,
    role: index % 2 === 0 ? "user" : "assistant",
    content,
    reasoning: "",
    created: at(index),
    state: "complete",
    model: index % 2 === 0 ? null : "story-llama",
    failure: null,
    usage: null,
  }));
  return {
    id: "exported",
    title,
    folder: null,
    created: at(0),
    updated: at(contents.length),
    settings: { model: null, system: "", sampling: {} },
    messages,
    current: messages.at(-1)?.id ?? null,
  };
}

export function archiveOf(...conversations: ArchivedConversation[]): Archive {
  return { format: "unseen-conversations", version: 1, exported: "2026-01-02T00:00:00.000Z", conversations };
}

/** Imports conversations. @returns the id of the newest one with that title */
export async function importInto(gateway: Served, conversation: ArchivedConversation): Promise<string> {
  await consoleRequest(gateway, "/conversations/import", "POST", archiveOf(conversation));
  const { conversations } = (await (await consoleRequest(gateway, "/conversations")).json()) as {
    conversations: { id: string; title: string }[];
  };
  return conversations.find(({ title }) => title === conversation.title)!.id;
}
