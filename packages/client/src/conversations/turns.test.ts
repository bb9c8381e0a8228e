/** Answers that go on by themselves: followed, stopped, continued, killed hosts survived, and saved whatever happens. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { serveModel, type OfferedModel } from "../gateway/model.ts";
import {
  deciphered,
  END,
  FULL_TEMPLATE,
  modelOn,
  says,
  secret,
  startHost,
  testCipher,
  testTokenizer,
} from "../gateway/test-model.fixture.ts";
import type { ScriptedHost, Step } from "../engines/scripted-host.fixture.ts";
import { SECRET, temporaryDirectory, temporaryHome } from "./conversations.fixture.ts";
import { Conversations } from "./conversations.ts";
import { HostViewRecorder, KEPT_BYTES, type WirePiece } from "./host-view.ts";
import type { Message } from "./present.ts";
import type { AnswerEvent } from "./running-answer.ts";
import { ConversationStore } from "./store.ts";
import { Turns, type NewTurn, type Turn } from "./turns.ts";

const hosts: ScriptedHost[] = [];
after(() => Promise.all(hosts.map((host) => host.close())));
async function newHost(...given: Parameters<typeof startHost>): Promise<ScriptedHost> {
  const host = await startHost(...given);
  hosts.push(host);
  return host;
}

interface Bench {
  readonly store: ConversationStore;
  readonly turns: Turns;
  readonly id: string;
  readonly directory: string;
  say(content: string, parent?: string | null): Promise<Turn>;
  ended(turn: Turn): Promise<Message>;
}

async function bench(models: readonly OfferedModel[], directory = temporaryDirectory()): Promise<Bench> {
  const store = await ConversationStore.open({ directory, secret: SECRET });
  const turns = new Turns(store, () => models);
  const { id } = await store.create({});
  return {
    store,
    turns,
    id,
    directory,
    say: (content, parent = null) => turns.begin(id, { kind: "say", parent, content }),
    ended: ({ answer }) => ended(turns, id, answer.id),
  };
}

/** Waits for the end of an answer. */
async function ended(turns: Turns, id: string, message: string): Promise<Message> {
  const { promise, resolve } = Promise.withResolvers<Message>();
  const take = (event: AnswerEvent): void => {
    if (event.kind === "end") resolve(event.message);
  };
  const { first } = await turns.follow(id, message, take);
  first.forEach(take);
  return promise;
}

const served = async (...given: Parameters<typeof startHost>): Promise<{ host: ScriptedHost; model: OfferedModel }> => {
  const host = await newHost(...given);
  return { host, model: serveModel(modelOn([host])) };
};

/** Says a text slowly, for ever. */
function* babble(): Generator<Step> {
  for (;;) {
    yield { ids: secret("word ") };
    yield { wait: 10 };
  }
}

test("an answer is written without anyone looking on, saved, and asked for with all that was said", async () => {
  const { host, model } = await served("It is a mammal.");
  const { say, ended: end, store, id, turns, directory } = await bench([model]);
  await store.change(id, { settings: { model: null, system: "Be brief.", sampling: { temperature: 0.5, max_tokens: 40, seed: 7 } } });
  const first = await say("What is a whale?\nReally.");
  assert.equal(first.answer.state, "streaming");
  await assert.rejects(say("And?"), { code: "CONFLICT" });
  const answer = await end(first);
  assert.deepEqual(
    [answer.state, answer.content, answer.model, answer.wire, answer.failure],
    ["complete", "It is a mammal.", "test-model", true, null],
  );
  assert.equal(answer.usage?.completionTokens, "It is a mammal.".length + 1);
  const second = await end(await say("And a shark?", answer.id));
  assert.equal(second.state, "complete");
  assert.equal(
    deciphered(host.completions[1]!.body),
    "<|bos|><|system|>Be brief.<|end|><|user|>What is a whale?\nReally.<|end|><|assistant|>It is a mammal.<|end|><|user|>And a shark?<|end|><|assistant|>",
  );
  const { body } = host.completions[1]!;
  assert.deepEqual([body["temperature"], body.max_tokens, body["seed"]], [0.5, 40, 7]);
  assert.equal(second.usage?.promptTokens, body.prompt.length);

  const again = await ConversationStore.open({ directory, secret: SECRET });
  const page = await again.page(id, { limit: 100 });
  assert.equal(page.conversation.title, "What is a whale?");
  assert.deepEqual(page.messages, (await store.page(id, { limit: 100 })).messages);
  const { exchanges } = await again.view(id, answer.id);
  assert.deepEqual(exchanges.length, 1);
  assert.deepEqual(
    [exchanges[0]?.sent.ids, exchanges[0]?.received.ids],
    [host.completions[0]!.body.prompt, [...secret("It is a mammal."), ...testCipher.encipher([END])]],
  );
  assert.equal(exchanges[0]?.received.naive, testTokenizer().decode(exchanges[0]!.received.ids, { skipSpecialTokens: false }));
  assert.notEqual(exchanges[0]?.received.naive, "It is a mammal.");
  const [sent, received] = [exchanges[0]!.sent, exchanges[0]!.received].map(({ bytes }) => Buffer.from(bytes, "base64").toString("latin1"));
  assert.match(sent!, /^POST \/v1\/completions HTTP\/1\.1\r\n/);
  assert.ok(sent!.endsWith(host.completions[0]!.bytes));
  assert.match(received!, /^HTTP\/1\.1 200 OK\r\n[^]*"token_ids"/);
  await turns.close();
});

test("whoever connects gets all from the beginning: snapshot and pieces make up the answer and its host view", async () => {
  const { model } = await served(() => [{ ids: secret("One ") }, { wait: 40 }, { ids: secret("two ") }, { wait: 40 }, ...says("three.")]);
  const { say, turns, id } = await bench([model]);
  const { answer } = await say("Count");
  const follow = async (): Promise<AnswerEvent[]> => {
    const events: AnswerEvent[] = [];
    const done = Promise.withResolvers<void>();
    const { first } = await turns.follow(id, answer.id, (event) => {
      events.push(event);
      if (event.kind === "end") done.resolve();
    });
    if (first.length === 1) await done.promise;
    return [...first, ...events];
  };
  const early = follow();
  await sleep(60);
  const [one, other, late] = [await early, await follow(), await follow()];
  for (const events of [one, other, late]) {
    const snapshot = events[0]!;
    assert.equal(snapshot.kind, "snapshot");
    let text = snapshot.message.content;
    const ids = [...(snapshot.view.exchanges[0]?.received.ids ?? [])];
    for (const event of events) {
      if (event.kind === "delta") text += event.content;
      if (event.kind === "wire" && event.direction === "received") ids.push(...event.ids);
    }
    const last = events.at(-1)!;
    assert.equal(last.kind, "end");
    assert.deepEqual([text, last.message.content, last.message.state], ["One two three.", "One two three.", "complete"]);
    assert.deepEqual(ids, [...secret("One two three."), ...testCipher.encipher([END])]);
  }
  assert.equal(late.length, 2, "an answer that is over has no pieces");
});

test("stopped, it keeps what came, and the host stops computing; then it goes on where it was", async () => {
  let calls = 0;
  const { host, model } = await served(() => (calls++ === 0 ? babble() : says("and an end.")));
  const { say, turns, store, id, directory } = await bench([model]);
  const { answer } = await say("Talk");
  await sleep(150);
  const stopped = await turns.stop(id, answer.id);
  assert.equal(stopped.state, "stopped");
  assert.match(stopped.content, /^(word )+$/);
  assert.equal(await host.completions[0]?.ended, "aborted");
  assert.deepEqual(await turns.stop(id, answer.id), stopped, "stopping twice is no harm");
  const kept = await ConversationStore.open({ directory, secret: SECRET });
  assert.equal((await kept.page(id, { limit: 1 })).messages[0]?.content, stopped.content);

  await turns.begin(id, { kind: "continue", answer: answer.id });
  const whole = await ended(turns, id, answer.id);
  assert.deepEqual([whole.state, whole.content], ["complete", `${stopped.content}and an end.`]);
  assert.equal(deciphered(host.completions[1]!.body), `<|bos|><|user|>Talk<|end|><|assistant|>${stopped.content}`);
  assert.equal(whole.usage?.completionTokens, stopped.usage!.completionTokens + "and an end.".length + 1);
  assert.equal((await store.view(id, answer.id)).exchanges.length, 2);
  await assert.rejects(turns.begin(id, { kind: "continue", answer: answer.id }), { code: "REQUEST_INVALID" });
});

test("a thought goes on as a thought, text after a thought as text, with its spaces", async () => {
  const answers: Step[][] = [
    [...[..."<think>I weigh"].map((letter) => ({ ids: secret(letter) })), { ids: [], finish: "length" }],
    [{ ids: secret(" it.</think>\n\nHeavy"), finish: "length" }],
    says(" indeed."),
  ];
  // The tokenizer of these tests knows the opening tag as a token.
  const { host, model } = await served(() => answers.shift()!);
  const { say, turns, id } = await bench([model]);
  const first = await say("A whale?");
  const begun = await ended(turns, id, first.answer.id);
  assert.deepEqual([begun.reasoning, begun.content, begun.state], ["I weigh", "", "complete"]);
  await turns.begin(id, { kind: "continue", answer: begun.id });
  const second = await ended(turns, id, begun.id);
  assert.deepEqual([second.reasoning, second.content], ["I weigh it.", "Heavy"]);
  await turns.begin(id, { kind: "continue", answer: begun.id });
  const third = await ended(turns, id, begun.id);
  assert.deepEqual([third.reasoning, third.content, third.state], ["I weigh it.", "Heavy indeed.", "complete"]);
  const prompt = "<|bos|><|user|>A whale?<|end|><|assistant|><think>\n";
  assert.equal(deciphered(host.completions[1]!.body), `${prompt}I weigh`);
  assert.equal(deciphered(host.completions[2]!.body), `${prompt}I weigh it.\n</think>\n\nHeavy`);
  assert.ok(testCipher.decipher(host.completions[1]!.body.prompt).includes(263), "the tag is the model's token");
});

test("what a begun answer spells becomes no control token", async () => {
  let calls = 0;
  const { host, model } = await served(() => (calls++ === 0 ? [{ ids: testCipher.encipher([..."<|end|>"].map((letter) => letter.charCodeAt(0))), finish: "length" }] : says("x"))); // prettier-ignore
  const { say, turns, id } = await bench([model]);
  const { answer } = await say("Spell the end token");
  assert.equal((await ended(turns, id, answer.id)).content, "<|end|>");
  await turns.begin(id, { kind: "continue", answer: answer.id });
  await ended(turns, id, answer.id);
  const plain = testCipher.decipher(host.completions[1]!.body.prompt);
  assert.equal(plain.filter((token) => token === END).length, 1, "the template's own");
});

test("another answer stands beside the first, and is shown", async () => {
  let calls = 0;
  const { host, model } = await served(() => says(`answer ${(calls += 1)}`));
  const { say, turns, store, id } = await bench([model]);
  const { answer, question } = await say("Hello");
  await ended(turns, id, answer.id);
  const turn = await turns.begin(id, { kind: "regenerate", answer: answer.id });
  assert.equal(turn.question, null);
  assert.deepEqual(turn.answer.siblings, [answer.id, turn.answer.id]);
  await ended(turns, id, turn.answer.id);
  const shown = (await store.page(id, { limit: 10 })).messages;
  assert.deepEqual(shown.map(({ content }) => content), ["Hello", "answer 2"]); // prettier-ignore
  assert.deepEqual(host.completions[0]!.body.prompt, host.completions[1]!.body.prompt);
  await assert.rejects(turns.begin(id, { kind: "regenerate", answer: question!.id }), { code: "REQUEST_INVALID" });
  for (const wrong of [
    { kind: "say", parent: "gone", content: "x" },
    { kind: "continue", answer: "gone" },
  ] as NewTurn[])
    await assert.rejects(turns.begin(id, wrong), { code: "CONVERSATION_NOT_FOUND" });
  await assert.rejects(say("  \n"), { code: "REQUEST_INVALID" });
});

test("a host that dies in mid-answer: another goes on, and the view has both; with none the answer fails and keeps what came", async () => {
  const dying: Step[] = [{ ids: secret("Half ") }, { wait: 5 }, "die"];
  const [one, other] = [await newHost(() => dying), await newHost("an answer.")];
  const both = await bench([serveModel(modelOn([one, other]))]);
  const whole = await both.ended(await both.say("Hello"));
  assert.deepEqual([whole.state, whole.content], ["complete", "Half an answer."]);
  const { exchanges } = await both.turns.view(both.id, whole.id);
  assert.deepEqual(exchanges.map(({ host }) => host), [one.url, other.url]); // prettier-ignore

  const refusing = await newHost((_, call) => (call === 0 ? [{ ids: secret("Half ") }, { raw: "data: nonsense\n\n" }] : [{ status: 400 }]));
  const alone = await bench([serveModel(modelOn([refusing]))]);
  const failed = await alone.ended(await alone.say("Hello"));
  assert.deepEqual([failed.state, failed.content, failed.failure?.code.slice(0, 5)], ["failed", "Half ", "HOST_"]);
  const again = await ConversationStore.open({ directory: alone.directory, secret: SECRET });
  assert.deepEqual((await again.page(alone.id, { limit: 1 })).messages[0], failed);
});

test("the oldest is forgotten where all does not fit; a question that is too long fails, is kept, and harms none after it", async () => {
  const host = await newHost((body) => says(`${body.prompt.length}`), {
    models: [
      {
        id: "host-name",
        object: "model",
        max_model_len: 300,
        unseen: { fingerprint: "0123456789abcdef0123456789abcdef", vocabularySize: 300 },
      },
    ],
  });
  const { say, ended: end, id, store } = await bench([serveModel(modelOn([host]))]);
  let parent: string | null = null;
  for (let number = 0; number < 6; number += 1) parent = (await end(await say(`${number} ${"x".repeat(60)}`, parent))).id;
  const { messages } = await store.page(id, { limit: 100 });
  assert.ok(messages.every(({ state }) => state === "complete"));
  const forgotten = messages.flatMap(({ usage }) => usage?.forgotten ?? []);
  assert.deepEqual(forgotten, [0, 0, 0, 0, 2, 4]);
  assert.ok(host.completions.every(({ body }) => body.prompt.length < 300));
  assert.ok(host.completions.at(-1)!.body.prompt.length > 200, "as much as fits is told");
  assert.match(deciphered(host.completions.at(-1)!.body), /^<\|bos\|><\|user\|>2 /);

  for (const text of ["y".repeat(400), "z".repeat(5_000_000)]) {
    const began = performance.now();
    const failed = await end(await say(text, parent));
    assert.ok(performance.now() - began < 3_000, "no wait for a tokenizer");
    assert.deepEqual([failed.state, failed.failure?.code], ["failed", "REQUEST_TOO_LARGE"]);
    assert.match(failed.failure!.message, /^this is too long for test-model: it takes fewer than 300 tokens at a time/);
    const shown = (await store.page(id, { limit: 2 })).messages;
    assert.equal(shown[0]?.content, text);
    parent = failed.id;
  }
  const after = await end(await say("short", parent));
  assert.deepEqual([after.state, after.usage!.forgotten > 0], ["complete", true]);
  await assert.rejects(say("x".repeat(8 * 1024 * 1024 + 1), parent), { code: "REQUEST_TOO_LARGE", message: /^content: / });
});

test("a gateway that ends saves answers as interrupted; one that is killed has what was saved a second ago", async () => {
  const { model } = await served(() => babble());
  const home = temporaryHome();
  const first = new Conversations(home, () => [model]);
  const { store, turns } = await first.open();
  const { id } = await store.create({});
  const { answer } = await turns.begin(id, { kind: "say", parent: null, content: "Talk" });
  await sleep(1_400);
  // As after a kill: what is on the disk now, read by someone else.
  const copy = await ConversationStore.open({ directory: `${home.root}/conversations`, secret: (await first.vault()).secret });
  const saved = (await copy.page(id, { limit: 1 })).messages[0]!;
  assert.equal(saved.state, "interrupted");
  assert.match(saved.content, /^(word )+$/);
  await first.close();
  await assert.rejects(first.open(), { code: "CONFLICT" });
  const next = new Conversations(home, () => [model]);
  const again = (await (await next.open()).store.page(id, { limit: 1 })).messages[0]!;
  assert.deepEqual([again.id, again.state, again.wire], [answer.id, "interrupted", true]);
  assert.ok(again.content.startsWith(saved.content) && again.content.length > saved.content.length);
  await next.close();
});

test("which model answers: the named one, else the first that writes text; none is said before anything is noted", async () => {
  const { model } = await served("hi");
  const { say, store, id, ended: end } = await bench([model]);
  await store.change(id, { settings: { model: "gone", system: "", sampling: {} } });
  await assert.rejects(say("Hello"), { code: "MODEL_NOT_FOUND" });
  assert.equal((await store.page(id, { limit: 1 })).messages.length, 0);
  await store.change(id, { settings: { model: "test-model", system: "", sampling: {} } });
  assert.equal((await end(await say("Hello"))).content, "hi");
  await assert.rejects((await bench([])).say("Hello"), { code: "MODEL_NOT_FOUND" });
});

test("a deleted conversation ends its answer and leaves no file", async () => {
  const { model } = await served(() => babble());
  const { say, store, turns, id } = await bench([model]);
  const { answer } = await say("Talk");
  await turns.stopAll(id);
  await store.remove(id);
  await assert.rejects(turns.follow(id, answer.id, () => {}), { code: "CONVERSATION_NOT_FOUND" }); // prettier-ignore
  assert.deepEqual(store.list().conversations, []);
});

test("bytes: cut at a limit and counted beyond it; a new exchange for each request, and for each address without ids", () => {
  const pieces: WirePiece[] = [];
  const recorder = new HostViewRecorder(testTokenizer(FULL_TEMPLATE), (piece) => pieces.push(piece));
  const bytes = (host: string, direction: "sent" | "received", size: number): void =>
    recorder.onBytes({ host, direction, bytes: new Uint8Array(size).fill(7) });
  bytes("a", "sent", 10);
  bytes("b", "sent", KEPT_BYTES - 1);
  bytes("b", "sent", 5);
  bytes("b", "sent", 5);
  bytes("a", "received", 3);
  recorder.onWire({ host: "a", direction: "sent", ids: [72, 105, 299] });
  bytes("a", "sent", 4);
  recorder.onWire({ host: "a", direction: "received", ids: [0xe2] });
  recorder.onWire({ host: "a", direction: "received", ids: [0x82, 0xac, 0xe2] });
  recorder.end();
  const { exchanges } = recorder.view;
  assert.deepEqual(exchanges.map(({ host, sent, received }) => [host, sent.total, received.total]), [["a", 10, 3], ["b", KEPT_BYTES + 9, 0], ["a", 4, 0]]); // prettier-ignore
  assert.equal(Buffer.from(exchanges[1]!.sent.bytes, "base64").length, KEPT_BYTES);
  assert.deepEqual([exchanges[2]?.sent.naive, exchanges[2]?.received.naive], ["Hi", "€\ufffd"]);
  // Put together from the pieces it is the same.
  for (const [index, { sent, received }] of exchanges.entries())
    for (const [direction, side] of [
      ["sent", sent],
      ["received", received],
    ] as const) {
      const own = pieces.filter((piece) => piece.exchange === index && piece.direction === direction);
      assert.equal(Buffer.concat(own.map((piece) => Buffer.from(piece.bytes, "base64"))).toString("base64"), side.bytes);
      assert.deepEqual([own.reduce((sum, { size }) => sum + size, 0), own.flatMap(({ ids }) => ids), own.map(({ naive }) => naive).join("")], [side.total, side.ids, side.naive]); // prettier-ignore
    }
});
