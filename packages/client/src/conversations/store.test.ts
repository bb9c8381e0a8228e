/** The tree of a conversation, what is found in it, and that large ones stay fast. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { exportConversations, type ArchivedConversation } from "./archive.ts";
import { ConversationTree } from "./conversation-tree.ts";
import { HEAD, SECRET, message, temporaryDirectory } from "./conversations.fixture.ts";
import { importConversations } from "./import/import.ts";
import type { ConversationEvent } from "./message.ts";
import { searchConversations } from "./search.ts";
import { ConversationStore } from "./store.ts";
import { titleOf } from "./title.ts";

const open = (directory: string): Promise<ConversationStore> => ConversationStore.open({ directory, secret: SECRET });

async function exported(store: ConversationStore, ids = store.ids): Promise<{ conversations: ArchivedConversation[] }> {
  let text = "";
  for await (const piece of exportConversations(store, ids)) text += piece;
  return JSON.parse(text) as { conversations: ArchivedConversation[] };
}

/** A conversation without its ids: every message as the path to it, in any order. */
function shapeOf({ messages, current, ...rest }: ArchivedConversation): object {
  const paths = new Map<string, string>();
  for (const { id, parent, ...one } of messages)
    paths.set(id, `${parent === null ? "" : paths.get(parent)}/${JSON.stringify(Object.entries(one).toSorted())}`);
  // Where nothing was shown, an import shows the last message.
  return {
    ...rest,
    id: "",
    title: rest.title.trim(),
    messages: [...paths.values()].toSorted(),
    ...(current === null ? {} : { current: paths.get(current) }),
  };
}

test("any tree that was saved is there after the next start, and after it went through an archive", async () => {
  const step = fc.record({
    parent: fc.nat(12),
    content: fc.string({ unit: "grapheme", maxLength: 40 }),
    pieces: fc.array(fc.string({ maxLength: 10 }), { maxLength: 3 }),
    show: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 12 }),
      fc.string({ unit: "grapheme", minLength: 1, maxLength: 30 }).filter((text) => text.trim() !== ""),
      async (steps, title) => {
        const directory = temporaryDirectory();
        const store = await open(directory);
        const { id } = await store.create({ title, folder: "a folder" });
        const expected: { id: string; parent: string | null; content: string }[] = [];
        for (const [index, { parent, content, pieces, show }] of steps.entries()) {
          const above = expected[parent]?.id ?? null;
          const name = `m${index}`;
          await store.with(id, (file) => store.append(file, [{ kind: "message", message: message(name, above, content) }]));
          for (const piece of pieces)
            await store.with(id, (file) => store.append(file, [{ kind: "piece", id: name, content: piece, reasoning: "" }]));
          if (show || index === 0) await store.show(id, name);
          expected.push({ id: name, parent: above, content: content + pieces.join("") });
        }
        const before = await exported(store);
        assert.deepEqual(
          before.conversations[0]?.messages.map(({ id: name, parent, content }) => ({ id: name, parent, content })),
          expected,
        );
        const again = await open(directory);
        assert.deepEqual((await exported(again)).conversations, before.conversations);
        assert.deepEqual(await again.page(id, { limit: 500 }), await store.page(id, { limit: 500 }));

        const other = await open(temporaryDirectory());
        await importConversations(other, JSON.stringify(await exported(store)));
        const copy = (await exported(other)).conversations[0]!;
        assert.notEqual(copy.id, id, "an id of its own");
        assert.deepEqual(shapeOf(copy), shapeOf(before.conversations[0]!));
      },
    ),
    { numRuns: 15 },
  );
});

test("what does not fit what happened before is refused and not written", async () => {
  const directory = temporaryDirectory();
  const store = await open(directory);
  const { id } = await store.create({});
  const path = join(directory, `${id}.log`);
  const size = statSync(path).size;
  const wrong: ConversationEvent[] = [
    { kind: "message", message: message("a", "missing", "") },
    { kind: "message", message: message("a", "a", "") },
    { kind: "current", id: "missing" },
    { kind: "piece", id: "missing", content: "x", reasoning: "" },
  ];
  for (const event of wrong)
    await assert.rejects(
      store.with(id, (file) => store.append(file, [event])),
      { code: "REQUEST_TOO_LARGE" },
    );
  assert.equal(statSync(path).size, size);
  await assert.rejects(store.page("../vault", { limit: 1 }), { code: "CONVERSATION_NOT_FOUND" });
  await assert.rejects(store.page(id, { limit: 1, before: "missing" }), { code: "CONVERSATION_NOT_FOUND" });
});

test("a damaged conversation is counted and left alone, and hides no other", async () => {
  const directory = temporaryDirectory();
  const store = await open(directory);
  const { id } = await store.create({ title: "good" });
  const bad = await store.create({ title: "bad" });
  const path = join(directory, `${bad.id}.log`);
  const file = readFileSync(path);
  file[file.length - 5]! ^= 4;
  writeFileSync(path, file);
  writeFileSync(join(directory, "notes.txt"), "not ours");
  const again = await open(directory);
  assert.deepEqual(again.list().conversations.map((one) => one.id), [id]); // prettier-ignore
  assert.equal(again.list().damaged, 1);
  await assert.rejects(again.page(bad.id, { limit: 1 }), { code: "CONVERSATION_NOT_FOUND", message: /damaged/ });
  assert.deepEqual(readFileSync(path), file);
  assert.equal((await searchConversations(again, "good")).hits.length, 1);
});

test("branches: siblings stand beside each other, and showing one shows its newest end", async () => {
  const store = await open(temporaryDirectory());
  const { id } = await store.create({});
  const add = (name: string, parent: string | null) =>
    store.with(id, (file) =>
      store.append(file, [
        { kind: "message", message: message(name, parent, name) },
        { kind: "current", id: name },
      ]),
    );
  for (const [name, parent] of [["q1", null], ["a1", "q1"], ["q2", "a1"], ["a2", "q1"], ["a3", "q2"], ["other", null]] as const) await add(name, parent); // prettier-ignore
  const shown = async (): Promise<string[]> => (await store.page(id, { limit: 100 })).messages.map((one) => one.id);
  assert.deepEqual(await shown(), ["other"]);
  await store.show(id, "q1");
  assert.deepEqual(await shown(), ["q1", "a1", "q2", "a3"]);
  const { messages, more } = await store.page(id, { limit: 2, before: "a3" });
  assert.deepEqual([messages.map((one) => one.id), more], [["a1", "q2"], true]);
  assert.deepEqual(messages[0]?.siblings, ["a1", "a2"]);
  await store.show(id, "a2");
  assert.deepEqual(await shown(), ["q1", "a2"]);
});

test("folders are there as long as something is in them", async () => {
  const store = await open(temporaryDirectory());
  const one = await store.create({ folder: "Work" });
  await store.create({ folder: "Work" });
  await store.create({ folder: "Home" });
  assert.deepEqual(store.list().folders, ["Home", "Work"]);
  assert.deepEqual((await store.moveFolder("Work", "Office")).folders, ["Home", "Office"]);
  assert.deepEqual((await store.moveFolder("Home", null)).folders, ["Office"]);
  await store.remove(one.id);
  assert.equal(store.list().conversations.length, 2);
  await assert.rejects(store.remove(one.id), { code: "CONVERSATION_NOT_FOUND" });
});

test("search finds any case of any script, says where, and takes signs as they are", async () => {
  const store = await open(temporaryDirectory());
  const { id } = await store.create({ title: "Über (alles)" });
  const said = ["The ΣΊΣΥΦΟΣ stone", `${"🙂".repeat(80)} a.b*c ${"🙂".repeat(80)}`, "line\nbreak"];
  for (const [index, text] of said.entries())
    await store.with(id, (file) => store.append(file, [{ kind: "message", message: message(`m${index}`, null, text) }]));
  const find = async (query: string) => (await searchConversations(store, query)).hits;
  assert.deepEqual(await find("ÜBER ("), [
    { conversation: id, title: "Über (alles)", message: null, excerpt: "Über (alles)", start: 0, length: 6 },
  ]);
  assert.equal((await find("σίσυφος"))[0]?.message, "m0");
  const [hit] = await find("A.B*C");
  assert.equal(hit?.excerpt.slice(hit.start, hit.start + hit.length), "a.b*c");
  assert.ok(hit.excerpt.isWellFormed() && hit.excerpt.length < 140);
  assert.equal((await find("axb"))[0], undefined);
  assert.equal((await find("line break"))[0]?.message, "m2");
  assert.deepEqual(await find("   "), []);
});

test("a log that is mostly old titles is written anew, and says the same", async () => {
  const directory = temporaryDirectory();
  const store = await open(directory);
  const { id } = await store.create({});
  const path = join(directory, `${id}.log`);
  let largest = 0;
  for (let number = 0; number < 60; number += 1) {
    await store.change(id, { title: `title ${number}`, settings: { model: null, system: "s".repeat(20_000), sampling: {} } });
    largest = Math.max(largest, statSync(path).size);
  }
  assert.ok(largest > 200_000 && largest < 300_000, `${largest}`);
  assert.equal((await open(directory)).list().conversations[0]?.title, "title 59");
});

test("ten thousand messages: opened, shown, written and searched without a wait", async (context) => {
  const directory = temporaryDirectory();
  const tree = new ConversationTree(HEAD);
  for (let number = 0; number < 10_000; number += 1) {
    const said = message(`m${number}`, number === 0 ? null : `m${number - 1}`, `message ${number} ${"lorem ipsum dolor ".repeat(30)}`);
    assert.ok(tree.apply({ kind: "message", message: said }));
  }
  tree.apply({ kind: "current", id: "m9999" });
  const seconds: Record<string, number> = {};
  const measure = async <Result>(name: string, work: () => Promise<Result>): Promise<Result> => {
    const start = performance.now();
    const result = await work();
    seconds[name] = (performance.now() - start) / 1000;
    return result;
  };
  await (await open(directory)).createAll([tree]);
  const store = await measure("open", () => open(directory));
  const [{ id } = { id: "" }] = store.list().conversations;
  const page = await measure("page", () => store.page(id, { limit: 100 }));
  assert.deepEqual([page.messages.length, page.messages[0]?.id, page.more, page.conversation.messages], [100, "m9900", true, 10_000]);
  await measure("append", () =>
    store.with(id, (file) => store.append(file, [{ kind: "message", message: message("new", "m9999", "a needle") }])),
  );
  const found = await measure("search", () => searchConversations(store, "NEEDLE"));
  assert.equal(found.hits[0]?.message, "new");
  const many = await measure("search for all", () => searchConversations(store, "lorem"));
  assert.deepEqual([many.hits.length, many.more], [100, true]);
  context.diagnostic(JSON.stringify(seconds));
  assert.ok(seconds["open"]! < 5 && seconds["page"]! < 0.5 && seconds["append"]! < 1 && seconds["search"]! < 1, JSON.stringify(seconds));
});

test("a thousand conversations: listed at once after the start", async (context) => {
  const directory = temporaryDirectory();
  const trees = Array.from({ length: 1000 }, (_, number) => {
    const tree = new ConversationTree({ ...HEAD, title: `number ${number}`, updated: new Date(1e12 + number * 1000).toISOString() });
    for (let place = 0; place < 10; place += 1)
      tree.apply({ kind: "message", message: message(`m${place}`, null, `text ${place} `.repeat(20), { created: HEAD.created }) });
    return tree;
  });
  await (await open(directory)).createAll(trees);
  assert.equal(readdirSync(directory).length, 1000);
  const start = performance.now();
  const store = await open(directory);
  const opened = performance.now();
  const { conversations } = store.list();
  const listed = performance.now();
  assert.equal(conversations.length, 1000);
  assert.ok(conversations.every(({ updated }, index) => index === 0 || updated <= conversations[index - 1]!.updated));
  context.diagnostic(`opened in ${(opened - start).toFixed(0)} ms, listed in ${(listed - opened).toFixed(1)} ms`);
  assert.ok(opened - start < 10_000 && listed - opened < 300);
});

test("a title is the first line, cut at a word", () => {
  assert.equal(titleOf("\n  What is   a whale?\nAnd a dolphin?"), "What is a whale?");
  assert.equal(titleOf(" \n\t "), null);
  fc.assert(
    fc.property(fc.array(fc.constantFrom("a", "é", " ", "\n", "🙂", "\ud83d", "word "), { maxLength: 120 }), (parts) => {
      const text = parts.join("");
      const title = titleOf(text);
      assert.ok(
        title === null ? text.trim() === "" : title.length <= 60 && title.length > 0 && (title.isWellFormed() || !text.isWellFormed()),
      );
    }),
  );
});
