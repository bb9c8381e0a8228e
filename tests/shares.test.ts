/**
 * Two servers behind the gateway, each a process of its own: the OpenAI API over shares, and what goes wrong.
 * @module
 */
import assert from "node:assert/strict";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { TextTokenizer } from "@unseen/client/tokenizer.ts";
import { needs, sharedPath } from "./shared.ts";
import { ask, onlyObject, post, runCommand, startServer, STORY_LLAMA, temporaryDirectory, type RunningServer } from "./command-line.ts";

const home = temporaryDirectory("shares");
const [a, b] = [join(home, "a"), join(home, "b")];
let servers: [RunningServer, RunningServer];
let gateway: RunningServer;
let shared: { fingerprint: string; client: string };

const serve = (directory: string, port = "0"): Promise<RunningServer> =>
  startServer(["shares", "serve", directory, "--port", port], { home });

before(async () => {
  shared = await ask(["share", STORY_LLAMA, "--out", a, b], { home });
  servers = [await serve(a), await serve(b)];
  gateway = await startServer(["gateway", "--port", "0", "--shares", servers[0].url, servers[1].url, "--allow-same-operator"], { home });
});

after(async () => {
  await gateway?.stop();
  await Promise.all((servers ?? []).map((server) => server.stop()));
});

interface Answer {
  choices: { message: { content: string }; finish_reason: string; logprobs: { content: { token: string; logprob: number }[] } | null }[];
  usage: { prompt_tokens: number; completion_tokens: number };
}

const chat = async (body: object = {}): Promise<Answer> => {
  const { status, body: answer } = await post<Answer>(`${gateway.url}/v1/chat/completions`, {
    model: "story-llama",
    temperature: 0,
    max_tokens: 24,
    messages: [{ role: "user", content: "Tell me a story about a dog." }],
    ...body,
  });
  assert.equal(status, 200, JSON.stringify(answer));
  return answer;
};

describe("unseen share", () => {
  test("gives the servers numbers alone: no word, no scale, no table of embeddings", async () => {
    for (const directory of [a, b]) {
      assert.deepEqual(readdirSync(directory).toSorted(), ["README.md", "shares.json", "weights.safetensors"]);
      const weights = statSync(join(directory, "weights.safetensors")).size;
      assert.ok(weights > 4e6 && weights < 5.5e6, `${weights} bytes: a byte a weight`);
    }
    assert.equal(statSync(join(shared.client, "checks.safetensors")).mode & 0o777, 0o600);
  });

  test("refuses what it cannot do, in one line", async () => {
    for (const [parameters, code] of [
      [["share", STORY_LLAMA, "--out", join(home, "x")], "USAGE"],
      [["share", STORY_LLAMA, "--out", a, b], "OUTPUT_EXISTS"],
      [["share", join(home, "nothing"), "--out", join(home, "x"), join(home, "y")], "CHECKPOINT_NOT_FOUND"],
      [["shares", "serve", join(home, "nothing")], "CHECKPOINT_NOT_FOUND"],
      [["shares", "serve", a, "--tls-key", "key.pem"], "USAGE"],
      [["chat", "--message", "x", "--shares", servers[0].url], "USAGE"],
      [["chat", "--message", "x", "--shares", servers[0].url, servers[1].url], "USAGE"],
    ] as const) {
      const outcome = await runCommand([...parameters, "--json"], { home });
      assert.notEqual(outcome.code, 0, parameters.join(" "));
      assert.equal((onlyObject(outcome.stdout)["error"] as { code: string }).code, code, `${parameters.join(" ")}: ${outcome.stderr}`);
      assert.doesNotMatch(outcome.stderr, /\n\s+at /);
    }
  });
});

describe("the gateway over two servers", () => {
  test("answers in sentences, the same each time, with log-probabilities", async () => {
    const first = await chat({ logprobs: true, top_logprobs: 2 });
    assert.equal(first.usage.completion_tokens, 24);
    assert.match(first.choices[0]!.message.content, /[a-z]+ [a-z]+ [a-z]+/);
    const tokens = first.choices[0]!.logprobs!.content;
    assert.equal(tokens.map(({ token }) => token).join(""), first.choices[0]!.message.content);
    assert.ok(tokens.every(({ logprob }) => logprob <= 0));
    assert.deepEqual((await chat({ logprobs: true, top_logprobs: 2 })).choices, first.choices);
  });

  test("samples with a seed, stops at strings, and at the end of the answer", async () => {
    const drawn = async (seed: number): Promise<string> => (await chat({ temperature: 1, seed })).choices[0]!.message.content;
    assert.equal(await drawn(3), await drawn(3));
    assert.notEqual(await drawn(3), await drawn(4));
    const whole = (await chat()).choices[0]!.message.content;
    const word = whole.split(" ")[4]!;
    const cut = await chat({ stop: [word] });
    assert.equal(cut.choices[0]!.message.content, whole.slice(0, whole.indexOf(word)));
  });

  test("agrees with the plain model nearly everywhere", async () => {
    const { fidelity, bitExact } = await ask<{ fidelity: { greedyAgreement: number }; bitExact: boolean }>(
      ["shares", "bench", STORY_LLAMA, "--prompts", "2", "--tokens", "4"],
      { home },
    );
    assert.ok(bitExact);
    // Of 32 positions under a key drawn anew; random ids are what a model is least sure of.
    assert.ok(fidelity.greedyAgreement > 0.7);
  });

  test("goes on when a server that was killed is back", async () => {
    const whole = (await chat({ max_tokens: 40 })).choices[0]!.message.content;
    const port = new URL(servers[1].url).port;
    servers[1].child.kill("SIGKILL");
    await servers[1].ended;
    const [answer] = await Promise.all([
      post<Answer & { error?: { message: string } }>(`${gateway.url}/v1/chat/completions`, {
        model: "story-llama",
        temperature: 0,
        max_tokens: 40,
        messages: [{ role: "user", content: "Tell me a story about a dog." }],
      }),
      serve(b, port).then((server) => (servers[1] = server)),
    ]);
    // Before a word was said, the request may end with an error that says which server it was; the next one is answered.
    if (answer.status !== 200) {
      assert.match(answer.body.error!.message, new RegExp(port));
      assert.equal((await chat({ max_tokens: 40 })).choices[0]!.message.content, whole);
    } else assert.equal(answer.body.choices[0]!.message.content, whole);
  });

  test("servers' logs hold nothing of the conversation", async () => {
    const tokenizer = await TextTokenizer.load(STORY_LLAMA);
    const ids = tokenizer.encode("Tell me a story about a dog.", { specialTokens: false }).join(",");
    for (const server of servers) {
      assert.doesNotMatch(server.stderr(), /dog|story/i);
      assert.ok(!server.stderr().includes(ids));
    }
  });
});

test("a classifier over two servers, from the command line", needs("assets/sst2-distilbert"), async () => {
  const [first, second] = [join(home, "classifier-a"), join(home, "classifier-b")];
  await ask(["share", sharedPath("assets/sst2-distilbert")!, "--name", "sentiment", "--out", first, second], { home });
  const pair = [await serve(first), await serve(second)];
  try {
    const { results } = await ask<{ results: { label: string }[] }>(
      [
        "classify",
        "--model",
        "sentiment",
        "--shares",
        pair[0]!.url,
        pair[1]!.url,
        "--allow-same-operator",
        "a gorgeous, witty, seductive movie.",
        "a dreadful mess.",
      ],
      { home },
    );
    assert.deepEqual(
      results.map(({ label }) => label),
      ["POSITIVE", "NEGATIVE"],
    );
  } finally {
    await Promise.all(pair.map((server) => server.stop()));
  }
});
