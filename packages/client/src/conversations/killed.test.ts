/** Writers that are killed at any moment, and two that want the same home. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { ConversationTree } from "./conversation-tree.ts";
import { HEAD, SECRET, message, temporaryDirectory, temporaryHome } from "./conversations.fixture.ts";
import { Conversations } from "./conversations.ts";
import { stage } from "./staging.ts";
import { ConversationStore } from "./store.ts";

const WRITER = fileURLToPath(new URL("writer.fixture.ts", import.meta.url));

test("kill -9 at any moment loses nothing that was said to be saved, and damages nothing", async () => {
  const directory = temporaryDirectory();
  for (let round = 0; round < 6; round += 1) {
    const child = spawn(process.execPath, [WRITER, directory], { stdio: ["ignore", "pipe", "inherit"] });
    let said = "";
    child.stdout.on("data", (part: Buffer) => (said += part.toString()));
    await once(child.stdout, "data");
    await sleep(Math.random() * 250);
    child.kill("SIGKILL");
    await once(child, "close");
    const lines = said.slice(0, said.lastIndexOf("\n")).split("\n");
    const [id, number] = lines.at(-1)!.split(" ") as [string, string];
    assert.equal(lines.length, Number(number) + 1);

    const store = await ConversationStore.open({ directory, secret: SECRET });
    const { conversations, damaged } = store.list();
    assert.deepEqual([conversations.length, damaged], [round + 1, 0]);
    const summary = conversations.find((one) => one.id === id)!;
    assert.ok(summary.messages >= lines.length && summary.messages <= lines.length + 1, `${summary.messages} of ${lines.length}`);
    const { messages } = await store.page(id, { limit: 500 });
    assert.equal(messages.at(-1)?.content.length, ((summary.messages - 1) * 7919) % 20_000);
    await store.change(id, { title: "and it goes on" });
  }
});

test("a full disk is said in one line, loses nothing that was saved, and with room again it goes on", async () => {
  const directory = temporaryDirectory();
  // The kernel ends a write beyond the limit as it does on a full disk: after a part of it.
  const command = `ulimit -f 400; exec "${process.execPath}" "${WRITER}" "${directory}"`;
  const child = spawn("bash", ["-c", command], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  let complaint = "";
  child.stdout.on("data", (part: Buffer) => (said += part.toString()));
  child.stderr.on("data", (part: Buffer) => (complaint += part.toString()));
  const [code] = (await once(child, "close")) as [number];
  assert.equal(code, 1);
  assert.match(complaint, /the disk is full: the conversation could not be saved\./);
  const lines = said.trimEnd().split("\n");
  assert.ok(lines.length > 5);
  const store = await ConversationStore.open({ directory, secret: SECRET });
  const { conversations, damaged } = store.list();
  assert.deepEqual([conversations.length, damaged, conversations[0]?.messages], [1, 0, lines.length]);
  assert.equal((await store.change(conversations[0]!.id, { title: "room again" })).title, "room again");
  assert.deepEqual(readdirSync(directory), [`${conversations[0]!.id}.log`], "nothing half-written is left");
});

test("an import that was interrupted is whole or not there", async () => {
  const directory = temporaryDirectory();
  const trees = [new ConversationTree(HEAD), new ConversationTree({ ...HEAD, title: "Another" })];
  trees[0]!.apply({ kind: "message", message: message("a", null, "words") });
  const place = { directory, secret: SECRET };
  const ids = await stage(place, trees);
  // As a crash leaves them: ready with one file moved already, and a draft that was not ready.
  mkdirSync(join(directory, ".import-0a.ready"));
  renameSync(join(directory, `${ids[0]}.log`), join(directory, ".import-0a.ready", `${ids[0]}.log`));
  mkdirSync(join(directory, ".import-0b"));
  renameSync(join(directory, `${(await stage(place, trees.slice(1)))[0]}.log`), join(directory, ".import-0b", "draft.log"));
  const store = await ConversationStore.open(place);
  assert.deepEqual([...store.ids].toSorted(), ids.toSorted());
  assert.deepEqual(readdirSync(directory).toSorted(), ids.map((id) => `${id}.log`).toSorted());
});

test("a home's conversations belong to one process at a time, and to the next when it ends", async () => {
  const home = temporaryHome();
  const script = `
    const { Conversations } = await import(${JSON.stringify(new URL("conversations.ts", import.meta.url).href)});
    const { resolveHome } = await import(${JSON.stringify(new URL("../home.ts", import.meta.url).href)});
    await new Conversations(resolveHome(), () => []).open();
    process.stdout.write("open\\n");
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    env: { ...process.env, UNSEEN_HOME: home.root },
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  const conversations = new Conversations(home, () => []);
  await assert.rejects(conversations.open(), {
    code: "CONFLICT",
    message: `another gateway has these conversations open (process ${child.pid}).`,
  });
  child.kill("SIGKILL");
  await once(child, "close");
  const { store } = await conversations.open();
  await store.create({});
  await conversations.close();
  const next = new Conversations(home, () => []);
  assert.equal((await next.open()).store.list().conversations.length, 1);
  await next.close();
});
