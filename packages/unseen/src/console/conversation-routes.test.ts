/** The conversations' routes as a page uses them, with a real gateway's model behind. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { createParser } from "eventsource-parser";
import type { ScriptedHost, Step } from "@unseen/client/engines/scripted-host.fixture.ts";
import { Offer } from "@unseen/client/gateway/offer.ts";
import { modelOn, says, secret, startHost } from "@unseen/client/gateway/test-model.fixture.ts";
import { resolveHome } from "@unseen/client/home.ts";
import type {
  AnswerEvent,
  Archive,
  ConversationList,
  ConversationPage,
  ConversationSummary,
  HostView,
  Message,
  NewTurn,
  SearchResult,
  Turn,
} from "@unseen/web/protocol/conversations.ts";
import { openConversations } from "./conversation-routes.ts";
import { createSite } from "./site.ts";

const CODE = "c".repeat(43);
const directory = mkdtempSync(join(tmpdir(), "unseen-console-"));
const closing: (() => Promise<void> | undefined)[] = [];
after(async () => {
  for (const close of closing) await close();
  rmSync(directory, { recursive: true, force: true });
});

async function newHost(...given: Parameters<typeof startHost>): Promise<ScriptedHost> {
  const host = await startHost(...given);
  closing.push(() => host.close());
  return host;
}

function page(name: string, hosts: readonly ScriptedHost[] = []) {
  const home = resolveHome({ UNSEEN_HOME: join(directory, name) });
  const offer = new Offer(hosts.length > 0 ? [modelOn(hosts)] : []);
  const notes: string[] = [];
  const part = openConversations({ home, offer, version: "0", preparing: null, note: (line) => notes.push(line) });
  closing.push(() => part.close?.());
  const assets = { owns: () => false, respond: () => new Response(null, { status: 404 }) };
  const site = createSite({ accessCode: CODE, assets, parts: [part] });
  const send = async (method: string, path: string, body?: unknown): Promise<Response> => {
    const text = body === undefined || typeof body === "string" ? (body as string | undefined) : JSON.stringify(body);
    const init = { method, headers: { authorization: `Bearer ${CODE}` }, ...(text === undefined ? {} : { body: text }) };
    return site.fetch(new Request(`http://localhost/console/${path}`, init));
  };
  const ask = async <Body>(method: string, path: string, body?: unknown): Promise<Body> => {
    const response = await send(method, path, body);
    const text = await response.text();
    assert.ok(response.ok, `${method} ${path}: ${text}`);
    return (text === "" ? undefined : JSON.parse(text)) as Body;
  };
  const fail = async (method: string, path: string, body?: unknown): Promise<[status: number, code: string]> => {
    const response = await send(method, path, body);
    const { error } = (await response.json()) as { error: { code: string; message: string } };
    assert.ok(error.message.length > 5 && !error.message.includes("\n"));
    return [response.status, error.code];
  };
  return { home, part, notes, send, ask, fail };
}

async function eventsOf(response: Response): Promise<AnswerEvent[]> {
  assert.equal(response.headers.get("content-type"), "text/event-stream; charset=utf-8");
  const events: AnswerEvent[] = [];
  createParser({ onEvent: ({ data }) => events.push(JSON.parse(data) as AnswerEvent) }).feed(await response.text());
  return events;
}

test("a conversation from the first question to its deletion", async () => {
  const host = await newHost((_, call) => says(call === 0 ? "A mammal." : "A fish."));
  const { home, ask, send, fail } = page("whole", [host]);
  assert.deepEqual(await ask("GET", "vault"), { state: "open", protection: "identity" });
  const { id } = await ask<ConversationSummary>("POST", "conversations", {});
  const turn: NewTurn = { kind: "say", parent: null, content: "What is a whale?" };
  const { question, answer } = await ask<Turn>("POST", `conversations/${id}/turns`, turn);
  const events = await eventsOf(await send("GET", `conversations/${id}/messages/${answer.id}/stream`));
  assert.deepEqual([events[0]?.kind, events.at(-1)?.kind], ["snapshot", "end"]);
  const shown = await ask<ConversationPage>("GET", `conversations/${id}`);
  assert.deepEqual(shown.messages.map(({ content }) => content), ["What is a whale?", "A mammal."]); // prettier-ignore
  assert.equal(shown.conversation.title, "What is a whale?");
  const { exchanges } = await ask<HostView>("GET", `conversations/${id}/messages/${answer.id}/wire`);
  assert.deepEqual(exchanges[0]?.sent.ids, host.completions[0]!.body.prompt);
  assert.equal(exchanges[0]?.host, host.url);

  const again = await ask<Turn>("POST", `conversations/${id}/turns`, { kind: "regenerate", answer: answer.id });
  await eventsOf(await send("GET", `conversations/${id}/messages/${again.answer.id}/stream`));
  const back = await ask<ConversationPage>("PUT", `conversations/${id}/current`, { message: answer.id });
  assert.equal(back.messages.at(-1)?.content, "A mammal.");
  assert.deepEqual(back.messages.at(-1)?.siblings, [answer.id, again.answer.id]);
  const before = await ask<ConversationPage>("GET", `conversations/${id}?before=${answer.id}&limit=1`);
  assert.deepEqual(before.messages.map((one) => one.id), [question!.id]); // prettier-ignore

  const settings = { model: null, system: "Be brief.", sampling: { temperature: 0.2 } };
  const changed = await ask<ConversationSummary>("PATCH", `conversations/${id}`, { title: " Sea ", folder: "Animals", settings });
  assert.deepEqual([changed.title, changed.folder, changed.settings], ["Sea", "Animals", settings]);
  const list = await ask<ConversationList>("POST", "folders", { from: "Animals", to: "Beasts" });
  assert.deepEqual([list.folders, list.conversations[0]?.folder], [["Beasts"], "Beasts"]);
  const { hits } = await ask<SearchResult>("GET", `conversations/search?q=${encodeURIComponent("MAMMAL")}`);
  assert.deepEqual([hits[0]?.message, hits[0]?.conversation], [answer.id, id]);

  const download = await send("GET", `conversations/export?id=${id}`);
  assert.match(download.headers.get("content-disposition") ?? "", /^attachment; filename="unseen-conversations-\d{4}-\d\d-\d\d\.json"$/);
  const text = await download.text();
  const archive = JSON.parse(text) as Archive;
  assert.deepEqual([archive.format, archive.conversations[0]?.messages.length], ["unseen-conversations", 3]);
  assert.deepEqual(await ask("POST", "conversations/import", text), { format: "unseen", conversations: 1, messages: 3 });
  assert.equal((await ask<ConversationList>("GET", "conversations")).conversations.length, 2);
  const files = readdirSync(join(home.root, "conversations")).map((name) => readFileSync(join(home.root, "conversations", name), "latin1"));
  assert.doesNotMatch(files.join(), /whale|mammal|Beasts|brief/i);

  assert.equal((await send("DELETE", `conversations/${id}`)).status, 204);
  assert.deepEqual(await fail("GET", `conversations/${id}`), [404, "CONVERSATION_NOT_FOUND"]);
  assert.deepEqual(readdirSync(join(home.root, "conversations")).filter((name) => name.startsWith(id)), []); // prettier-ignore
});

test("a page that goes away leaves the answer running; one that comes back gets it from the beginning; stopping stops it", async () => {
  function* babble(): Generator<Step> {
    for (;;) {
      yield { ids: secret("word ") };
      yield { wait: 10 };
    }
  }
  const host = await newHost(() => babble());
  const { ask, send, fail } = page("streams", [host]);
  const { id } = await ask<ConversationSummary>("POST", "conversations", { title: "Talk" });
  const { answer } = await ask<Turn>("POST", `conversations/${id}/turns`, { kind: "say", parent: null, content: "Talk" });
  const path = `conversations/${id}/messages/${answer.id}`;
  const first = (await send("GET", `${path}/stream`)).body!.getReader();
  await first.read();
  await first.cancel();
  assert.deepEqual(await fail("POST", `conversations/${id}/turns`, { kind: "say", parent: null, content: "x" }), [409, "CONFLICT"]);
  const second = send("GET", `${path}/stream`).then(eventsOf);
  await new Promise((resolve) => setTimeout(resolve, 100));
  const stopped = await ask<Message>("POST", `${path}/stop`);
  assert.equal(stopped.state, "stopped");
  const events = await second;
  assert.deepEqual(events.at(-1), { kind: "end", message: stopped });
  const told = events.map((event) => (event.kind === "snapshot" ? event.message.content : event.kind === "delta" ? event.content : ""));
  assert.equal(told.join(""), stopped.content);
});

test("locked: everything but the vault says so, until the right passphrase comes; running answers end saved", async () => {
  const host = await newHost(() => [{ ids: secret("Begun") }, "hang"]);
  const { ask, fail, send, home } = page("locked", [host]);
  const { id } = await ask<ConversationSummary>("POST", "conversations", { title: "Secret plans" });
  assert.deepEqual(await fail("POST", "vault/lock"), [409, "CONFLICT"]);
  assert.deepEqual(await fail("PUT", "vault/passphrase", { passphrase: "" }), [400, "REQUEST_INVALID"]);
  assert.deepEqual(await ask("PUT", "vault/passphrase", { passphrase: "open sesame" }), { state: "open", protection: "passphrase" });
  const { answer } = await ask<Turn>("POST", `conversations/${id}/turns`, { kind: "say", parent: null, content: "Talk" });
  const stream = (await send("GET", `conversations/${id}/messages/${answer.id}/stream`)).body!.getReader();
  for (let told = ""; !told.includes('"Begun"');) told += new TextDecoder().decode((await stream.read()).value);
  assert.deepEqual(await ask("POST", "vault/lock"), { state: "locked", protection: "passphrase" });
  const locked: [string, string, unknown?][] = [
    ["GET", "conversations"],
    ["POST", "conversations", {}],
    ["GET", "conversations/search?q=x"],
    ["GET", "conversations/export"],
    ["POST", "conversations/import", "[]"],
    ["POST", "folders", { from: "a", to: null }],
    ["GET", `conversations/${id}`],
    ["PATCH", `conversations/${id}`, {}],
    ["DELETE", `conversations/${id}`],
    ["PUT", `conversations/${id}/current`, { message: answer.id }],
    ["POST", `conversations/${id}/turns`, { kind: "say", parent: null, content: "x" }],
    ["GET", `conversations/${id}/messages/${answer.id}/stream`],
    ["POST", `conversations/${id}/messages/${answer.id}/stop`],
    ["GET", `conversations/${id}/messages/${answer.id}/wire`],
    ["PUT", "vault/passphrase", { passphrase: null }],
  ];
  for (const [method, path, body] of locked) assert.deepEqual(await fail(method, path, body), [423, "VAULT_LOCKED"], `${method} ${path}`);
  assert.deepEqual(await fail("POST", "vault/unlock", { passphrase: "open barley" }), [403, "VAULT_INVALID"]);
  assert.deepEqual(await ask("POST", "vault/unlock", { passphrase: "open sesame" }), { state: "open", protection: "passphrase" });
  const { messages } = await ask<ConversationPage>("GET", `conversations/${id}`);
  assert.deepEqual([messages[1]?.state, messages[1]?.content], ["interrupted", "Begun"]);
  const other = page("locked");
  assert.equal(other.home.root, home.root);
  assert.deepEqual(await other.fail("GET", "vault"), [409, "CONFLICT"], "another gateway on the same home");
});

test("a paste of five megabytes is kept and answered with what is wrong; more than the limit is refused with what to do", async () => {
  const { ask, fail, send } = page("large", [await newHost("short")]);
  const { id } = await ask<ConversationSummary>("POST", "conversations", {});
  const turns = `conversations/${id}/turns`;
  const content = 'a "line"\n'.repeat(600_000);
  const { answer } = await ask<Turn>("POST", turns, { kind: "say", parent: null, content });
  const events = await eventsOf(await send("GET", `conversations/${id}/messages/${answer.id}/stream`));
  const last = events.at(-1)!;
  assert.ok(last.kind === "end");
  assert.deepEqual([last.message.state, last.message.failure?.code], ["failed", "REQUEST_TOO_LARGE"]);
  assert.equal((await ask<ConversationPage>("GET", `conversations/${id}`)).messages[0]?.content.length, content.length);
  assert.deepEqual(await fail("POST", turns, { kind: "say", parent: null, content: "x".repeat(9 * 1024 * 1024) }), [
    400,
    "REQUEST_TOO_LARGE",
  ]);
  assert.deepEqual(await fail("POST", turns, " ".repeat(65 * 1024 * 1024)), [413, "REQUEST_TOO_LARGE"]);
});

test("bodies and paths that mean harm", async () => {
  const { ask, fail, home, notes } = page("hostile", [await newHost("hi")]);
  const { id } = await ask<ConversationSummary>("POST", "conversations", {});
  const settings = { model: null, system: "", sampling: {} };
  const wrong: [string, string, unknown][] = [
    ["POST", "conversations", "{"],
    ["POST", "conversations", { title: "" }],
    ["POST", "conversations", { title: "x".repeat(201) }],
    ["POST", "conversations", { folder: 7 }],
    ["PATCH", `conversations/${id}`, { settings: { ...settings, sampling: { temperature: 9 } } }],
    ["PATCH", `conversations/${id}`, { settings: { ...settings, system: "x".repeat(1_000_001) } }],
    ["PATCH", `conversations/${id}`, { settings: { model: null } }],
    ["POST", `conversations/${id}/turns`, { kind: "shout", content: "x" }],
    ["POST", `conversations/${id}/turns`, { kind: "say", content: "x" }],
    ["POST", `conversations/${id}/turns`, { kind: "say", parent: null, content: "" }],
    ["GET", `conversations/${id}?limit=0`, undefined],
    ["GET", `conversations/${id}?limit=501`, undefined],
    ["GET", `conversations/${id}?limit=1e1`, undefined],
    ["POST", "conversations/import", "[1]"],
    ["POST", "vault/unlock", { passphrase: 7 }],
  ];
  for (const [method, path, body] of wrong) assert.deepEqual(await fail(method, path, body), [400, "REQUEST_INVALID"], `${method} ${path}`);
  const missing: [string, string, unknown?][] = [
    ["GET", `conversations/${encodeURIComponent("../vault")}`],
    ["DELETE", `conversations/${encodeURIComponent("../../conversations/vault")}`],
    ["GET", "conversations/export?id=gone"],
    ["GET", `conversations/${id}/messages/gone/stream`],
    ["POST", `conversations/${id}/messages/gone/stop`],
    ["GET", `conversations/${id}/messages/gone/wire`],
    ["PUT", `conversations/${id}/current`, { message: "gone" }],
  ];
  for (const [method, path, body] of missing)
    assert.deepEqual(await fail(method, path, body), [404, "CONVERSATION_NOT_FOUND"], `${method} ${path}`);
  const path = join(home.root, "conversations", `${id}.log`);
  writeFileSync(path, "rubbish");
  assert.deepEqual(await fail("PATCH", `conversations/${id}`, { title: "x" }), [409, "CONFLICT"]);
  assert.equal(readFileSync(path, "latin1"), "rubbish", "left alone");
  assert.deepEqual(notes, []);
});
