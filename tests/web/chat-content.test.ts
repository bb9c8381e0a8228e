/**
 * What the chat shows: hostile answers, very long ones, ten thousand messages, five megabytes of text.
 * @module
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { keepScreenshot } from "./browser.ts";
import {
  answers,
  archived,
  begun,
  composer,
  consoleRequest,
  ended,
  hostProcess,
  importInto,
  openChat,
  questions,
  say,
  slowHost,
  words,
} from "./chat-steps.ts";
import { HOSTILE, PATHOLOGICAL } from "./chat-hostile.fixture.ts";
import { accessibilityProblems, overflowing } from "./checks.ts";
import { type RunningStart } from "./gateway.ts";
import { inBrowser, usePages } from "./session.ts";

const MAXIMUM_OPENING = 1_000; // ms
const MAXIMUM_LONG = 2_000; // ms
const MARKDOWN = `## A heading

Some *emphasis*, **strength**, ~~no~~ and \`code\`; [a link](https://example.com/page) and https://example.org.

1. one
2. two
   - inner

- [x] done
- [ ] open

> quoted

| name | number |
|:-----|-------:|
| one  | 1      |

\`\`\`ts
// A comment
export function add(first: number, second: number): number {
  return first + second * 42; // "text"
}
\`\`\`

![a cat](https://example.com/cat.png)
`;

describe("what the chat shows", inBrowser, () => {
  const { browser, gateway } = usePages();

  test("hostile answers are text: nothing runs, nothing is loaded, nothing is sent, no link leads to a script", async (t) => {
    const contents = [...HOSTILE, ...PATHOLOGICAL].flatMap((answer, index) => [`Question ${index}`, answer]);
    const id = await importInto(gateway, archived("Hostile", contents));
    const { page, complaints } = await openChat(browser, gateway);
    page.on("dialog", (dialog) => complaints.push(`dialog: ${dialog.message()}`));
    page.on("framenavigated", (frame) => new URL(frame.url()).origin !== gateway.origin && complaints.push(`went to ${frame.url()}`));
    page.on("popup", (popup) => complaints.push(`opened ${popup.url()}`));
    await page.goto(`${gateway.origin}/chat/${id}`);
    const begin = performance.now();
    await page.getByText(`Question ${contents.length / 2 - 1}`, { exact: true }).waitFor();
    assert.ok(performance.now() - begin < 5_000, "the page hung");
    while (await page.getByRole("button", { name: "Older messages" }).count()) {
      await page
        .getByRole("button", { name: "Older messages" })
        .click({ timeout: 2_000 })
        .catch(() => {});
      await page.waitForTimeout(100);
    }
    assert.equal(await answers(page).count(), contents.length / 2);
    const found = await page.evaluate(() => {
      const list = document.querySelector('[role=region][aria-label="Messages"]')!;
      return {
        ran: "ran" in globalThis,
        foreign: [
          ...list.querySelectorAll(
            "script, img, svg:not([aria-hidden]), iframe, object, embed, style, link, meta, base, video, math, body",
          ),
        ].map(({ outerHTML }) => outerHTML.slice(0, 100)),
        handlers: [...list.querySelectorAll("*")].flatMap((element) => element.getAttributeNames().filter((name) => name.startsWith("on"))),
        addresses: [...list.querySelectorAll<HTMLAnchorElement>("a[target]")].map(({ href, rel, target }) => `${href} ${rel} ${target}`),
      };
    });
    t.diagnostic(
      `${contents.length / 2} hostile answers: ${found.foreign.length} foreign elements, ${found.handlers.length} handlers, ${complaints.length} requests, dialogs, violations or errors`,
    );
    assert.deepEqual({ ran: found.ran, foreign: found.foreign, handlers: found.handlers }, { ran: false, foreign: [], handlers: [] });
    assert.ok(found.addresses.length > 3);
    for (const address of found.addresses)
      assert.match(address, /^https?:\/\/(?:www\.)?elsewhere\.example\S* noopener noreferrer nofollow _blank$/);
    const text = (await answers(page).locator("[class*=markdown]").allTextContents()).join("\n");
    for (const shown of [
      "<script>globalThis.ran=1</script>",
      "<meta http-equiv",
      "<img src=x onerror=",
      "Picture, not loaded",
      "<b onmouseover",
      "‹202e›",
      "&constructor;",
    ])
      assert.ok(text.includes(shown), `${shown} is not shown as text`);
    for (const link of await page
      .locator("[aria-label=Messages] a:not([target])")
      .evaluateAll((links) => links.map((each) => each.getAttribute("href"))))
      assert.equal(link, "/models/protections");
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test("Markdown is set well, in both colours, and code is copied as it is shown", async () => {
    const id = await importInto(gateway, archived("Markdown", ["Show me everything.", MARKDOWN]));
    for (const colorScheme of ["light", "dark"] as const) {
      const { page, complaints } = await openChat(browser, gateway, `/chat/${id}`, { colorScheme });
      await page.locator("[class*=hljs-keyword]").first().waitFor();
      await page.getByRole("button", { name: "Copy the code" }).click();
      assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^\/\/ A comment\nexport function add/);
      await keepScreenshot(page, `chat-markdown-${colorScheme}`, false);
      assert.equal(await page.getByRole("link", { name: "a link" }).getAttribute("title"), "https://example.com/page");
      assert.deepEqual(await accessibilityProblems(page), []);
      assert.deepEqual(await overflowing(page), []);
      assert.deepEqual(complaints, []);
      await page.context().close();
    }
  });

  test("a conversation of 10,000 messages opens within a second, and older ones come where one scrolls up", async (t) => {
    const contents = Array.from(
      { length: 10_000 },
      (_, index) => `${index % 2 === 0 ? "Question" : "Answer with **strength**"} number ${index}.`,
    );
    const id = await importInto(gateway, archived("Ten thousand", contents));
    const { page, complaints } = await openChat(browser, gateway);
    await page.getByRole("link", { name: "Ten thousand" }).waitFor();
    const time = await page.evaluate(async () => {
      const begin = performance.now();
      [...document.querySelectorAll("a")].find(({ textContent }) => textContent === "Ten thousand")!.click();
      while (!document.body.textContent!.includes("number 9999.")) await new Promise((resolve) => setTimeout(resolve, 5));
      return performance.now() - begin;
    });
    t.diagnostic(`opened in ${time.toFixed(0)} ms, bar ${MAXIMUM_OPENING}`);
    assert.ok(time < MAXIMUM_OPENING, `${time.toFixed(0)} ms`);
    const scroller = page.getByRole("region", { name: "Messages" });
    // It shows the end, and stays where one reads when older ones come.
    assert.ok(await scroller.evaluate((element) => element.scrollHeight - element.scrollTop - element.clientHeight < 60));
    const before = await page.getByRole("article").count();
    await scroller.evaluate((element) => element.scrollTo({ top: 0 }));
    await page.waitForFunction((count) => document.querySelectorAll("article").length > count, before);
    await page.waitForTimeout(300);
    const { middle, top } = await scroller.evaluate((element) => {
      const rows = [...element.querySelectorAll("article")];
      const seen = rows.find((row) => row.getBoundingClientRect().bottom > element.getBoundingClientRect().top + 80)!;
      return { middle: rows.indexOf(seen), top: element.scrollTop };
    });
    assert.ok(middle > 20 && top > 1_000, `at message ${middle}, ${top} from the top`);
    await page.getByRole("button", { name: "To the end" }).click();
    assert.ok(await scroller.evaluate((element) => element.scrollHeight - element.scrollTop - element.clientHeight < 60));
    // A hit far above is found and shown.
    await page.goto(`${gateway.origin}/chat/${id}?message=${await firstHit(gateway, "number 4000.")}`);
    await page.locator("article[data-found=true]").getByText("number 4000.").waitFor({ timeout: 20_000 });
    assert.ok(
      await page.locator("article[data-found=true]").evaluate((row) => {
        const { top: edge, bottom } = row.getBoundingClientRect();
        return edge > 0 && bottom < innerHeight;
      }),
    );
    // Only its surroundings are drawn; later ones come where one scrolls down, and the end is one button away.
    assert.ok((await page.getByRole("article").count()) < 500);
    await scroller.evaluate((element) => element.scrollTo({ top: element.scrollHeight }));
    await page.getByText("number 4100.").waitFor();
    await page.getByRole("button", { name: "To the end" }).click();
    await page.getByText("number 9999.").waitFor();
    assert.ok(await scroller.evaluate((element) => element.scrollHeight - element.scrollTop - element.clientHeight < 60));
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test("five megabytes that are pasted freeze nothing, and come back as a clear failure with the text kept", async (t) => {
    const { page, complaints } = await openChat(browser, gateway);
    await composer(page).fill("Sum this up:");
    await page.evaluate(() => navigator.clipboard.writeText("All work and no play. ".repeat(230_000)));
    await composer(page).focus();
    const begin = performance.now();
    await page.keyboard.press("Control+v");
    await page.getByText("5.1 MB of text").first().waitFor();
    await page.keyboard.type(" now");
    assert.equal(await composer(page).inputValue(), "Sum this up: now");
    const time = performance.now() - begin;
    t.diagnostic(`pasted, and 4 more keys taken, in ${time.toFixed(0)} ms`);
    assert.ok(time < 3_000, `${time.toFixed(0)} ms`);
    await keepScreenshot(page, "chat-paste", false);
    assert.deepEqual(await accessibilityProblems(page), []);
    await page.getByRole("button", { name: "Remove the text of 5.1 MB" }).click();
    await page.getByText("5.1 MB of text").waitFor({ state: "detached" });
    await page.keyboard.press("Control+v");
    await page.getByText("5.1 MB of text").first().waitFor();
    await composer(page).press("Enter");
    const failure = answers(page).first().getByRole("alert");
    await failure.waitFor({ timeout: 30_000 });
    assert.match(await failure.innerText(), /token|context|long/i);
    await questions(page).getByText("5.1 MB of text").waitFor();
    await keepScreenshot(page, "chat-too-long", false);
    // Said shorter, it is answered.
    await answers(page).getByRole("button", { name: "Edit the question" }).click();
    await page.getByRole("form", { name: "Edit the question" }).getByRole("button", { name: "Remove the text of 5.1 MB" }).click();
    await page.getByRole("textbox", { name: "Question" }).fill("Tell me a story about a short text.");
    await page.getByRole("button", { name: "Ask this instead" }).click();
    await page.getByText(/tokens\/s/).waitFor({ timeout: 20_000 });
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test("who reads above stays there while an answer comes; who is at the end follows it; an edited first question begins anew", async () => {
    const contents = Array.from(
      { length: 80 },
      (_, index) => `${index % 2 === 0 ? "Question" : "Answer"} ${index}. ${"Some words. ".repeat(12)}`,
    );
    const id = await importInto(gateway, archived("Reading", contents));
    const { page, complaints } = await openChat(browser, gateway, `/chat/${id}`);
    await page.getByText("Answer 79.").waitFor();
    const scroller = page.getByRole("region", { name: "Messages" });
    const fromEnd = (): Promise<number> => scroller.evaluate((element) => element.scrollHeight - element.scrollTop - element.clientHeight);
    const normal = slowHost(hostProcess(gateway));
    await say(page, "Tell me a story about a tower.");
    await begun(page, 60);
    assert.ok((await fromEnd()) < 60, `${await fromEnd()} from the end`);
    await scroller.hover();
    await page.mouse.wheel(0, -600);
    await page.waitForTimeout(200);
    const place = await scroller.evaluate((element) => element.scrollTop);
    const before = (await words(page)).length;
    await page.waitForFunction((length) => {
      const shown = [...document.querySelectorAll('article[aria-label="The model said"] [class*=markdown]')].at(-1);
      return shown!.textContent!.length > length + 40;
    }, before);
    assert.ok(Math.abs((await scroller.evaluate((element) => element.scrollTop)) - place) < 4);
    await page.getByRole("button", { name: "To the end" }).click();
    await begun(page, before + 90);
    assert.ok((await fromEnd()) < 60, `${await fromEnd()} from the end`);
    normal();
    await ended(page);
    await scroller.evaluate((element) => element.scrollTo({ top: 0 }));
    await questions(page).getByText("Question 0.").waitFor();
    await questions(page).first().getByRole("button", { name: "Edit the question" }).click();
    await page.getByRole("textbox", { name: "Question" }).fill("Tell me a story about another beginning.");
    await page.getByRole("button", { name: "Ask this instead" }).click();
    await questions(page).getByText("another beginning").waitFor();
    await ended(page);
    assert.equal(await page.getByRole("article").count(), 2);
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  test("a file that holds no conversations is refused in one line", async () => {
    const { page } = await openChat(browser, gateway, "/chat", { expected: /status of 4\d\d/ });
    const buffer = Buffer.from('{"format":"something else"}');
    await page.getByLabel("File to import").setInputFiles({ name: "other.json", mimeType: "application/json", buffer });
    const alert = page.getByRole("complementary", { name: "All conversations" }).getByRole("alert");
    await alert.waitFor();
    assert.ok((await alert.innerText()).length < 400);
    await keepScreenshot(page, "chat-import-refused", false);
    await page.context().close();
  });

  test("an answer of 200 kB is drawn within two seconds", async (t) => {
    const id = await importInto(gateway, archived("Long", ["Write a book.", MARKDOWN.repeat(Math.ceil(200_000 / MARKDOWN.length))]));
    const { page, complaints } = await openChat(browser, gateway);
    await page.getByRole("link", { name: "Long" }).waitFor();
    const times: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      times.push(
        await page.evaluate(async () => {
          const begin = performance.now();
          [...document.querySelectorAll("a")].find(({ textContent }) => textContent === "Long")!.click();
          while (document.querySelectorAll("article table").length < 100) await new Promise((resolve) => setTimeout(resolve, 5));
          return performance.now() - begin;
        }),
      );
      await page.waitForURL(`**/chat/${id}`);
      await page.keyboard.press("Control+Shift+o");
      await page.getByRole("heading", { name: "Say something" }).waitFor();
    }
    t.diagnostic(`drawn in ${times.map(Math.round).join(", ")} ms`);
    assert.ok(Math.min(...times) < MAXIMUM_LONG, `${times.map(Math.round).join(", ")} ms`);
    assert.deepEqual(complaints, []);
    await page.context().close();
  });
});

async function firstHit(gateway: RunningStart, words: string): Promise<string> {
  const result = (await (await consoleRequest(gateway, `/conversations/search?q=${encodeURIComponent(words)}`)).json()) as {
    hits: { message: string }[];
  };
  return result.hits[0]!.message;
}
