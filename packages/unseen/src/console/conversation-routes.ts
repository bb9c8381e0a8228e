/**
 * Routes of the conversations and their vault; see the web package's `protocol/conversations.ts`.
 * @module
 */
import { exportConversations } from "@unseen/client/conversations/archive.ts";
import { Conversations } from "@unseen/client/conversations/conversations.ts";
import { importConversations } from "@unseen/client/conversations/import/import.ts";
import { searchConversations } from "@unseen/client/conversations/search.ts";
import { asEvents } from "@unseen/client/gateway/events.ts";
import { eventResponse } from "@unseen/client/openai/event-response.ts";
import { parseRequest } from "@unseen/client/openai/parse.ts";
import type {
  AnswerEvent,
  ConversationList,
  ConversationPage,
  ConversationSummary,
  HostView,
  Imported,
  Message,
  SearchResult,
  Turn,
  Vault,
} from "@unseen/web/protocol/conversations.ts";
import { Hono, type Context } from "hono";
import type { Console, ConsolePart } from "./console.ts";
import {
  conversationSchema,
  currentSchema,
  folderChangeSchema,
  pageSchema,
  passphraseSchema,
  readImport,
  readSmall,
  readTurn,
  unlockSchema,
} from "./conversation-bodies.ts";
import { EventQueue } from "./event-queue.ts";

/** Between two comments of a stream that has nothing to tell, in milliseconds. */
const HEARTBEAT = 15_000;

export function openConversations({ home, offer }: Console): ConsolePart {
  const conversations = new Conversations(home, () => offer.models);
  const routes = new Hono();
  const conversationPath = "/console/conversations/:id";
  const messagePath = `${conversationPath}/messages/:message`;

  routes.get("/console/vault", async (context) => answer<Vault>(context, (await conversations.vault()).state));
  routes.post("/console/vault/unlock", async (context) => {
    const { passphrase } = await readSmall(context, unlockSchema);
    return answer<Vault>(context, await (await conversations.vault()).unlock(passphrase));
  });
  routes.post("/console/vault/lock", async (context) => answer<Vault>(context, await conversations.lock()));
  routes.put("/console/vault/passphrase", async (context) => {
    const { passphrase } = await readSmall(context, passphraseSchema);
    return answer<Vault>(context, await (await conversations.vault()).protect(passphrase));
  });

  routes.get("/console/conversations", async (context) => {
    const { store } = await conversations.open();
    return answer<ConversationList>(context, store.list());
  });
  routes.post("/console/conversations", async (context) => {
    const { store } = await conversations.open();
    return answer<ConversationSummary>(context, await store.create(await readSmall(context, conversationSchema)));
  });
  routes.get("/console/conversations/search", async (context) => {
    const { store } = await conversations.open();
    return answer<SearchResult>(context, await searchConversations(store, context.req.query("q") ?? ""));
  });
  routes.get("/console/conversations/export", async (context) => {
    const { store } = await conversations.open();
    const id = context.req.query("id");
    // Found before the answer begins, so that a wrong id has its own status.
    if (id !== undefined) await store.page(id, { limit: 1 });
    const name = `unseen-conversations-${new Date().toISOString().slice(0, 10)}.json`;
    return new Response(asBytes(exportConversations(store, id === undefined ? store.ids : [id])), {
      headers: { "content-type": "application/json", "content-disposition": `attachment; filename="${name}"` },
    });
  });
  routes.post("/console/conversations/import", async (context) => {
    const { store } = await conversations.open();
    return answer<Imported>(context, await importConversations(store, await readImport(context)));
  });
  routes.post("/console/folders", async (context) => {
    const { store } = await conversations.open();
    const { from, to } = await readSmall(context, folderChangeSchema);
    return answer<ConversationList>(context, await store.moveFolder(from, to));
  });

  routes.get(conversationPath, async (context) => {
    const { store } = await conversations.open();
    return answer<ConversationPage>(context, await store.page(context.req.param("id"), parseRequest(pageSchema, context.req.query())));
  });
  routes.patch(conversationPath, async (context) => {
    const { store } = await conversations.open();
    return answer<ConversationSummary>(context, await store.change(context.req.param("id"), await readSmall(context, conversationSchema)));
  });
  routes.delete(conversationPath, async (context) => {
    const { store, turns } = await conversations.open();
    await turns.stopAll(context.req.param("id"));
    await store.remove(context.req.param("id"));
    return context.body(null, 204);
  });
  routes.put(`${conversationPath}/current`, async (context) => {
    const { store } = await conversations.open();
    const id = context.req.param("id");
    await store.show(id, (await readSmall(context, currentSchema)).message);
    return answer<ConversationPage>(context, await store.page(id, parseRequest(pageSchema, {})));
  });
  routes.post(`${conversationPath}/turns`, async (context) => {
    const { turns } = await conversations.open();
    return answer<Turn>(context, await turns.begin(context.req.param("id"), await readTurn(context)));
  });

  routes.get(`${messagePath}/stream`, async (context) => {
    const { turns } = await conversations.open();
    const { id, message } = context.req.param();
    const abort = new AbortController();
    const queue = new EventQueue<AnswerEvent>();
    const { first, leave } = await turns.follow(id, message, (event) => {
      queue.push(event);
      if (event.kind === "end") queue.end();
    });
    abort.signal.addEventListener("abort", leave, { once: true });
    const events = asEvents(followed(first, queue.read(abort.signal), leave));
    return eventResponse(events, { abort, done: false, heartbeat: HEARTBEAT, onEnd: leave });
  });
  routes.post(`${messagePath}/stop`, async (context) => {
    const { turns } = await conversations.open();
    const { id, message } = context.req.param();
    return answer<Message>(context, await turns.stop(id, message));
  });
  routes.get(`${messagePath}/wire`, async (context) => {
    const { turns } = await conversations.open();
    const { id, message } = context.req.param();
    return answer<HostView>(context, await turns.view(id, message));
  });
  return { routes, close: () => conversations.close() };
}

/** An answer of the type that the contract names. */
function answer<Body>(context: Context, body: Body): Response {
  return context.json(body as object);
}

/** What came before a page connected, then what comes; nothing comes after the end. */
async function* followed(first: readonly AnswerEvent[], rest: AsyncGenerator<AnswerEvent>, leave: () => void): AsyncGenerator<AnswerEvent> {
  try {
    for (const event of first) {
      yield event;
      if (event.kind === "end") return;
    }
    yield* rest;
  } finally {
    leave();
  }
}

/** A text as a body; what is not read is not made. */
function asBytes(texts: AsyncGenerator<string>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await texts.next();
      if (done) controller.close();
      else controller.enqueue(encoder.encode(value));
    },
    async cancel() {
      await texts.return(undefined);
    },
  });
}
