/** Other programs' exports, and files that mean harm. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { SECRET, temporaryDirectory } from "../conversations.fixture.ts";
import type { ConversationPage } from "../present.ts";
import { ConversationStore } from "../store.ts";
import { importConversations, type Imported } from "./import.ts";

const directory = temporaryDirectory();

async function imported(value: unknown): Promise<{ result: Imported; pages: ConversationPage[] }> {
  const store = await ConversationStore.open({ directory: temporaryDirectory(), secret: SECRET });
  const result = await importConversations(store, typeof value === "string" ? value : JSON.stringify(value));
  return { result, pages: await Promise.all(store.ids.map((id) => store.page(id, { limit: 500 }))) };
}

const said = ({ messages }: ConversationPage): string[] => messages.map(({ role, content }) => `${role}: ${content}`);

const openai = (mapping: object, more: object = {}): object => ({
  title: "Whales",
  create_time: 1.7e9,
  update_time: 1.7e9 + 5,
  mapping,
  ...more,
});
const openaiNode = (parent: string | null, role: string, parts: unknown[], more: object = {}): object => ({
  parent,
  children: [],
  message: { author: { role }, content: { content_type: "text", parts }, create_time: 1.7e9, metadata: { model_slug: "big" }, ...more },
});

test("OpenAI: what was said stays; system notes, tools and pictures give way to what follows them", async () => {
  const mapping = {
    root: { parent: null, message: null },
    system: openaiNode("root", "system", [""]),
    question: openaiNode("system", "user", ["What is ", { asset_pointer: "picture" }, "a whale?"]),
    tool: openaiNode("question", "tool", ["searched"]),
    thoughts: openaiNode("tool", "assistant", [], { content: { content_type: "thoughts", thoughts: [{ summary: "hm" }] } }),
    answer: openaiNode("thoughts", "assistant", ["A mammal."]),
    another: openaiNode("question", "assistant", ["A fish."]),
    more: openaiNode("answer", "user", ["Thanks"]),
  };
  const { result, pages } = await imported([
    openai(mapping, { current_node: "more" }),
    openai({ root: { message: null } }, { title: null }),
  ]);
  assert.deepEqual(result, { format: "openai", conversations: 2, messages: 4 });
  const [whales] = pages.filter(({ messages }) => messages.length > 0) as [ConversationPage];
  assert.deepEqual(said(whales), ["user: What is \na whale?", "assistant: A mammal.", "user: Thanks"]);
  assert.equal(whales.messages[1]?.siblings.length, 2);
  assert.deepEqual([whales.messages[1]?.model, whales.messages[0]?.model], ["big", null]);
  assert.deepEqual([whales.conversation.title, whales.conversation.created, whales.conversation.updated], ["Whales", "2023-11-14T22:13:20.000Z", "2023-11-14T22:13:25.000Z"]); // prettier-ignore
});

test("Open WebUI: branches and the current one", async () => {
  const messages = {
    b: { id: "b", parentId: "a", childrenIds: [], role: "assistant", content: "one", timestamp: 1.7e9, model: "m" },
    c: { id: "c", parentId: "a", childrenIds: [], role: "assistant", content: "two", timestamp: 1.7e9 },
    a: { id: "a", parentId: null, childrenIds: ["b", "c"], role: "user", content: "Say one", timestamp: 1.7e9 },
  };
  const { result, pages } = await imported([{ title: "Count", folder: "Numbers", chat: { history: { messages, currentId: "b" } } }]);
  assert.deepEqual(result, { format: "open-webui", conversations: 1, messages: 3 });
  assert.deepEqual(said(pages[0]!), ["user: Say one", "assistant: one"]);
  assert.deepEqual(
    [pages[0]?.messages[1]?.siblings.length, pages[0]?.conversation.folder, pages[0]?.conversation.title],
    [2, "Numbers", "Count"],
  );
});

test("llama.cpp: one conversation or several, with its root and system message", async () => {
  const conversation = {
    conv: { id: "x", name: "Sea", lastModified: 1.7e12, currNode: "3" },
    messages: [
      { id: "0", convId: "x", type: "root", role: "system", content: "", timestamp: 1.7e12, parent: "-1", children: ["1"] },
      { id: "1", convId: "x", type: "text", role: "system", content: "Be brief.", timestamp: 1.7e12, parent: "0", children: ["2"] },
      { id: "2", convId: "x", type: "text", role: "user", content: "Sea?", timestamp: 1.7e12, parent: "1", children: ["3"] },
      {
        id: "3",
        convId: "x",
        type: "text",
        role: "assistant",
        content: "Water.",
        thinking: "hm",
        timestamp: 1.7e12,
        parent: "2",
        children: [],
      },
    ],
  };
  for (const value of [conversation, [conversation]]) {
    const { result, pages } = await imported(value);
    assert.deepEqual(result, { format: "llama.cpp", conversations: 1, messages: 2 });
    assert.deepEqual(said(pages[0]!), ["user: Sea?", "assistant: Water."]);
    assert.deepEqual([pages[0]?.messages[1]?.reasoning, pages[0]?.conversation.settings.system], ["hm", "Be brief."]);
  }
});

const webui = (messages: object): object => ({ title: "x", chat: { history: { messages, currentId: null } } });
const node = (parentId: string | null, content: unknown = "x"): object => ({ parentId, role: "user", content });
const good = webui({ a: node(null) });

const hostile: readonly (readonly [name: string, value: unknown])[] = [
  ["not JSON", "{"],
  ["nothing", ""],
  ["a number", "7"],
  ["another program's file", { hello: 1 }],
  ["an empty list", []],
  ["a circle", [good, webui({ a: node("b"), b: node("a") })]],
  ["a message that answers itself", [webui({ a: node("a") })]],
  ["a missing parent", [good, webui({ a: node(null), b: node("gone") })]],
  ["a content of another type", [good, webui({ a: node(null, { deep: 1 }) })]],
  ["no messages at all", [good, { chat: {} }]],
  ["two kinds in one file", [good, openai({ a: openaiNode(null, "user", ["x"]) })]],
  [
    "more messages than there may be",
    [webui(Object.fromEntries(Array.from({ length: 100_001 }, (_, index) => [`m${index}`, node(null, "x")])))],
  ],
  ["more conversations than there may be", Array.from({ length: 10_001 }, () => good)],
  ["a message that is too long", [good, webui({ a: node(null, "x".repeat(8 * 1024 * 1024 + 1)) })]],
  ["a nest of a hundred thousand brackets", `${"[".repeat(100_000)}${"]".repeat(100_000)}`],
  ["a nest inside a message", `[{"title":"x","mapping":{"a":{"message":{"author":{"role":"user"},"content":{"parts":${"[".repeat(100_000)}${"]".repeat(100_000)}}},"parent":7}}}]`], // prettier-ignore
  ["a later version", { format: "unseen-conversations", version: 2 }],
  ["half an archive", { format: "unseen-conversations", version: 1, exported: "2026-01-01T00:00:00.000Z", conversations: [{ id: "x" }] }],
  ["the same id twice", { conv: {}, messages: [1, 1].map((id) => ({ id, role: "user", content: "x" })) }],
];

for (const [name, value] of hostile) {
  test(`${name} is refused in one line, and nothing is imported`, async () => {
    const store = await ConversationStore.open({ directory, secret: SECRET });
    const text = typeof value === "string" ? value : JSON.stringify(value);
    await assert.rejects(importConversations(store, text), (error: { code: string; message: string }) => {
      assert.equal(error.code, "REQUEST_INVALID");
      assert.match(error.message, /^[^\n]{10,300}$/);
      return true;
    });
    assert.deepEqual(readdirSync(directory), []);
  });
}

test("a chain of fifty thousand messages is no danger, whatever order it is written in", async () => {
  const messages = Object.fromEntries(
    Array.from({ length: 50_000 }, (_, index) => [`m${49_999 - index}`, node(index === 49_999 ? null : `m${49_998 - index}`, "x")]),
  );
  const { result, pages } = await imported([webui(messages)]);
  assert.deepEqual([result.messages, pages[0]?.messages.length, pages[0]?.more], [50_000, 500, true]);
});

test("any JSON at all is taken whole or refused in one line", async () => {
  const store = await ConversationStore.open({ directory: temporaryDirectory(), secret: SECRET });
  const keys = [
    "mapping",
    "chat",
    "conv",
    "history",
    "messages",
    "parent",
    "message",
    "author",
    "role",
    "content",
    "parts",
    "title",
    "__proto__",
    "id",
  ];
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      { depthSize: "medium" },
      fc.jsonValue({ maxDepth: 1 }),
      fc.constantFrom("user", "a", "b", null),
      tie("list"),
      tie("object"),
    ),
    list: fc.array(tie("any"), { maxLength: 3 }),
    object: fc.dictionary(fc.constantFrom(...keys), tie("any"), { maxKeys: 5 }),
  })).any;
  await fc.assert(
    fc.asyncProperty(value, async (json) => {
      const before = store.ids.length;
      const outcome = await importConversations(store, JSON.stringify(json)).catch((error: { code?: string }) => error);
      if ("format" in outcome) assert.equal(store.ids.length, before + outcome.conversations);
      else {
        assert.equal((outcome as { code?: string }).code, "REQUEST_INVALID");
        assert.equal(store.ids.length, before);
      }
    }),
    { numRuns: 300 },
  );
});
