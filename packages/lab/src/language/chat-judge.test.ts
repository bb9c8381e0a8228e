import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { UnseenError } from "@unseen/core/errors.ts";
import { ChatJudge, scoreIn } from "./chat-judge.ts";
import { judgeServer } from "./judge-server.fixture.ts";

test("the first number is the score, if it is one", () => {
  const cases: [string, number | null][] = [
    ["8", 8],
    [" 7.5/10", 7.5],
    ["Score: 3.", 3],
    ["0", 0],
    ["10 out of 10", 10],
    ["-3", null],
    ["11", null],
    ["fluent", null],
    ["", null],
    [`${"x".repeat(5000)} 4`, null],
  ];
  for (const [words, score] of cases) assert.equal(scoreIn(words), score, words.slice(0, 20));
});

test("a question goes to the model under the address, with the key", async () => {
  await using server = await judgeServer((text) => `${text.length}`);
  const judge = new ChatJudge({ url: `${server.url}/`, model: "reader", apiKey: "secret" });
  assert.equal(await judge.score("Once up"), 7);
  assert.equal(await new ChatJudge({ url: new URL(server.url).origin, model: "reader" }).score("Once"), 4);
  const [first, second] = server.asked;
  assert.deepEqual([first!.path, first!.model, first!.authorization], ["/v1/chat/completions", "reader", "Bearer secret"]);
  assert.deepEqual([second!.path, second!.authorization], ["/v1/chat/completions", undefined]);
  assert.deepEqual([judge.asked, judge.unusable], [1, 0]);
});

test("answers of no use are counted and no error", async () => {
  const bodies = [
    "{}",
    "not JSON",
    '{"choices":[]}',
    '{"choices":[{"message":{"content":null}}]}',
    JSON.stringify({ choices: [{ message: { content: "no" } }] }),
  ];
  let turn = 0;
  await using server = await judgeServer((_, response) => {
    response.end(bodies[turn++]);
    return null;
  });
  const judge = new ChatJudge({ url: server.url, model: "reader" });
  for (const body of bodies) assert.equal(await judge.score("text"), null, body);
  assert.deepEqual([judge.asked, judge.unusable], [bodies.length, bodies.length]);
});

test("refusals, redirects, floods and silence are no answers", async () => {
  await using elsewhere = await judgeServer(() => "9");
  const faults: Record<string, Parameters<typeof judgeServer>[0]> = {
    refusal(_, response) {
      response.statusCode = 500;
      return "9";
    },
    redirect(_, response) {
      response.writeHead(307, { location: `${elsewhere.url}/chat/completions` }).end();
      return null;
    },
    flood: () => `9 ${"x".repeat(1_100_000)}`,
    silence: () => null,
  };
  for (const [name, answer] of Object.entries(faults)) {
    await using server = await judgeServer(answer);
    // Only silence is waited out.
    const judge = new ChatJudge({ url: server.url, model: "reader", timeout: name === "silence" ? 100 : 60_000 });
    assert.equal(await judge.score("text"), null, name);
    assert.equal(server.asked.length, 1);
  }
  assert.equal(elsewhere.asked.length, 0);
});

test("nobody there is no answer", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  assert.equal(await new ChatJudge({ url: `http://127.0.0.1:${port}`, model: "reader" }).score("text"), null);
});

test("an address that is none is refused without quoting it", () => {
  for (const url of ["judge", "file:///etc/passwd", "http://user:word@127.0.0.1/v1"])
    assert.throws(
      () => new ChatJudge({ url, model: "reader" }),
      (error) => UnseenError.isInstance(error) && error.code === "USAGE" && !error.message.includes("word@"),
    );
});
