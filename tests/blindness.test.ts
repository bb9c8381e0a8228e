/**
 * The host is blind: started with the encrypted directory alone, nothing that it receives, writes, opens or
 * remembers holds a word of the conversation, of the tokenizer, or the key. The same search finds them at the gateway.
 * @module
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { loadKey } from "@unseen/client/keyring.ts";
import { resolveHome } from "@unseen/client/home.ts";
import { ask, post, PROGRAM, startServer, STORY_LLAMA, temporaryDirectory, type RunningServer } from "./command-line.ts";
import { family, memoryOf } from "./process-memory.ts";
import { startRecordingProxy, type RecordingProxy } from "./recording-proxy.ts";
import { filesBelow, spellings, tokensOf, vocabularyWords, wordsIn } from "./tokens.ts";

const linux = { skip: process.platform !== "linux" && "needs /proc" };

/** Words that occur nowhere but in this conversation. */
const MARKED = ["Quillfeather", "marmalade", "thrombosis", "Zanzibar", "wombat"];
const SYSTEM = "You are the physician of Quillfeather and speak of nothing else.";
const TOOL = {
  type: "function",
  function: {
    name: "look_up_thrombosis",
    description: "Finds the marmalade of a patient.",
    parameters: { type: "object", properties: { wombat: { type: "string" } } },
  },
};

/** What the host's own program and protocol say; everything else that is a word is a find. */
const PROTOCOL = new Set("accept content done family finish host keep list model return seed stop stream strength true".split(" "));

interface Setup {
  readonly home: string;
  readonly hostHome: string;
  readonly model: string;
  readonly host: RunningServer;
  readonly gateway: RunningServer;
  readonly proxy: RecordingProxy;
  readonly secret: Uint8Array;
  readonly keyId: string;
  /** What the conversation said, by the model and by the user. */
  readonly said: string[];
  readonly prompts: number[][];
}

let setup: Setup;
const words = vocabularyWords(tokensOf(STORY_LLAMA));

before(async () => {
  const directory = temporaryDirectory("blindness");
  const [home, hostHome, cwd, model] = ["keyholder", "host", "cwd", "sealed"].map((name) => join(directory, name)) as [
    string,
    string,
    string,
    string,
  ];
  for (const path of [home, hostHome, cwd]) mkdirSync(path);
  await ask(["encrypt", STORY_LLAMA, "--out", model, "--name", "story", "--no-measure"], { home });
  const key = await loadKey(resolveHome({ UNSEEN_HOME: home }), "default");
  const host = await startBlindHost(model, hostHome, cwd);
  const proxy = await startRecordingProxy(host.url);
  // Without pages: what opens them would turn over the memory in which the positive control must find the key.
  const gateway = await startServer(["gateway", "--no-web", "--port", "0", "--host", proxy.url, "--api-key", "sk-Quillfeather"], { home });
  setup = { home, hostHome, model, host, gateway, proxy, secret: key.secret, keyId: key.id, said: [], prompts: [] };
  await converse();
});

after(async () => {
  await Promise.all([setup?.gateway.stop(), setup?.host.stop()]);
  setup?.proxy.close();
});

/** `unseen serve` with nothing in its environment but its own home. */
async function startBlindHost(model: string, home: string, cwd: string): Promise<RunningServer> {
  const child = spawn(process.execPath, [PROGRAM, "serve", model, "--port", "0", "--json"], {
    cwd,
    env: { UNSEEN_HOME: home },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const text = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (piece: string) => void (text.stdout += piece));
  child.stderr.setEncoding("utf8").on("data", (piece: string) => void (text.stderr += piece));
  process.once("exit", () => child.kill("SIGKILL"));
  const ended = once(child, "close").then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as NodeJS.Signals | null,
    ...text,
  }));
  while (!text.stdout.includes("\n"))
    await Promise.race([once(child.stdout, "data"), ended.then(() => assert.fail(`the host ended: ${text.stderr}`))]);
  const facts = JSON.parse(text.stdout) as Record<string, unknown>;
  return {
    child,
    ended,
    stdout: () => text.stdout,
    stderr: () => text.stderr,
    facts,
    url: facts["url"] as string,
    stop() {
      child.kill("SIGTERM");
      return ended;
    },
  };
}

interface ChatAnswer {
  choices: { message: { content: string | null }; logprobs?: { content: { token: string }[] } }[];
}

/** A few turns that use every field with text in it. */
async function converse(): Promise<void> {
  const { gateway, said, prompts } = setup;
  const headers = { authorization: "Bearer sk-Quillfeather" };
  const chat = async (body: object): Promise<void> => {
    const answer = await post<ChatAnswer>(
      `${gateway.url}/v1/chat/completions`,
      { model: "story", temperature: 0, max_tokens: 24, user: "Zanzibar", ...body },
      headers,
    );
    // 422: a demanded form that a tiny model could not give; it was asked, and the host has seen the request.
    assert.ok([200, 422].includes(answer.status), JSON.stringify(answer.body));
    if (answer.status === 200) said.push(...answer.body.choices.map(({ message }) => message.content ?? ""));
  };
  const messages = [
    { role: "system", content: SYSTEM },
    { role: "user", content: "Tell me a story about a wombat in Zanzibar who ate marmalade." },
  ];
  await chat({ messages });
  await chat({
    messages: [...messages, { role: "assistant", content: said[0] }, { role: "user", content: "And the thrombosis?" }],
    stop: ["Quillfeather", "happy"],
    logit_bias: { 50: -3 },
  });
  await chat({ messages, logprobs: true, top_logprobs: 3, n: 2, temperature: 0.8, seed: 5 });
  await chat({ messages, tools: [TOOL] });
  await chat({ messages, tools: [TOOL], tool_choice: "required" });
  await chat({
    messages,
    response_format: {
      type: "json_schema",
      json_schema: { name: "marmalade", schema: { type: "object", properties: { wombat: { type: "string" } }, required: ["wombat"] } },
    },
  });
  const streamed = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { ...headers, "content-type": "application/json" },
    body: JSON.stringify({ model: "story", messages, stream: true, max_tokens: 24 }),
  });
  assert.match(await streamed.text(), /data: \[DONE\]/);
  await post(
    `${gateway.url}/v1/completions`,
    { model: "story", prompt: "The wombat of Zanzibar", max_tokens: 8, echo: true, stop: "marmalade" },
    headers,
  );
  const responses = await post<{ output_text?: string }>(
    `${gateway.url}/v1/responses`,
    { model: "story", instructions: SYSTEM, input: "thrombosis", max_output_tokens: 8 },
    headers,
  );
  assert.equal(responses.status, 200);
  const tokens = await post<{ tokens: number[] }>(`${gateway.url}/tokenize`, { model: "story", messages }, headers);
  prompts.push(tokens.body.tokens);
}

/** What to look for, by name. Exact bytes, not words that could be anything. */
function needles(): Map<string, Buffer> {
  const { secret, keyId, said, prompts } = setup;
  const identity = /AGE-SECRET-KEY-1\w+/.exec(readFileSync(join(setup.home, "keys/identity.txt"), "utf8"))?.[0] ?? assert.fail();
  const [prompt] = prompts as [number[]];
  return new Map([
    ...MARKED.map((word) => [`prompt word ${word}`, Buffer.from(word)] as const),
    ...MARKED.map((word) => [`prompt word ${word} in UTF-16`, Buffer.from(word, "utf16le")] as const),
    ...said.filter((text) => text.length > 20).map((text, index) => [`answer ${index}`, Buffer.from(text.slice(0, 20))] as const),
    ["system message", Buffer.from(SYSTEM.slice(0, 24))],
    ["template", Buffer.from("{%- for message in messages")],
    ...["<|user|>", "<|assistant|>", "<|bos|>"].map((token) => [`template token ${token}`, Buffer.from(token)] as const),
    ["tokenizer file", Buffer.from('"added_tokens"')],
    ["a word of the tokenizer with its mark", Buffer.from("\u0120little")],
    ["plain ids of the prompt", Buffer.from(prompt.slice(0, 8).join(","))],
    ["key id", Buffer.from(keyId)],
    ["identity", Buffer.from(identity.slice(0, 40))],
    ...[...spellings(secret)].map(([name, bytes]) => [`key as ${name}`, bytes] as const),
  ]);
}

/** The names of the needles that a haystack holds. */
function findings(haystack: Buffer): string[] {
  return [...needles()].filter(([, needle]) => haystack.includes(needle)).map(([name]) => name);
}

function findingsInMemory(server: RunningServer): string[] | null {
  // The program's own source text spells such tokens and field names too.
  const sought = [...needles()].filter(([name]) => !name.startsWith("template token") && name !== "tokenizer file");
  const found = new Set<string>();
  try {
    for (const member of family(server.child.pid as number)) {
      for (const piece of memoryOf(member))
        for (const [name, needle] of sought) if (!found.has(name) && piece.includes(needle)) found.add(name);
    }
  } catch (error) {
    if (["EACCES", "EPERM"].includes((error as NodeJS.ErrnoException).code ?? "")) return null;
    throw error;
  }
  return [...found];
}

describe("positive control: the same search", () => {
  test("finds prompt, answers, template and key id at the gateway", () => {
    const files = Buffer.concat(filesBelow(setup.home).map(({ bytes }) => bytes));
    const said = Buffer.from(setup.said.join("\n") + MARKED.join(" "));
    const found = new Set([...findings(files), ...findings(said)]);
    for (const name of [
      "key id",
      "identity",
      "template",
      "tokenizer file",
      "template token <|user|>",
      "a word of the tokenizer with its mark",
      "prompt word wombat",
      "answer 0",
    ])
      assert.ok(found.has(name), name);
    assert.ok(wordsIn(files.toString("utf8"), words).size > 1500);
  });

  test("finds the conversation in the gateway's memory", linux, (context) => {
    const found = findingsInMemory(setup.gateway);
    if (!found) return context.skip("this user may not read the memory of its own processes");
    context.diagnostic(`found: ${found.join("; ")}`);
    for (const name of ["prompt word marmalade", "template", "key id"]) assert.ok(found.includes(name), name);
    assert.ok(
      found.some((name) => name.startsWith("key as ")),
      "the key itself",
    );
  });
});

describe("the host", () => {
  test("received requests", () => {
    const requests = setup.proxy.bodies("/v1/completions");
    assert.ok(requests.length >= 10, `${requests.length}`);
    assert.ok(setup.proxy.received().includes("token_ids"));
  });

  test("received nothing but numbers, its own name and random salts", () => {
    const name = setup.host.facts["name"];
    for (const request of setup.proxy.bodies("/v1/completions")) {
      for (const [field, value] of Object.entries(request)) {
        const kind = Array.isArray(value) ? value.every((item) => Number.isSafeInteger(item)) : typeof value;
        if (field === "model") assert.equal(value, name);
        else if (field === "cache_salt") assert.match(String(value), /^[\w-]{43}$/);
        else if (field === "logit_bias")
          assert.ok(Object.entries(value as object).every(([id, bias]) => /^\d+$/.test(id) && typeof bias === "number"));
        else assert.ok(kind === true || kind === "number" || kind === "boolean", `${field} is a ${String(kind)}`);
      }
    }
  });

  test("finds no secret and no word in the bytes of the wire", (context) => {
    const { proxy } = setup;
    const both = Buffer.concat([proxy.sent(), proxy.received()]);
    assert.deepEqual(findings(both), []);
    // Salts and request numbers are random letters, in which a short word may appear by chance.
    const text = both
      .toString("latin1")
      .replaceAll(/"cache_salt":"[\w-]+"/g, "")
      .replaceAll(/cmpl-[0-9a-f]+|[0-9a-f]{32}/g, "");
    const found = wordsIn(text, words);
    context.diagnostic(`${both.length} bytes; words of the tokenizer among them, all of the protocol: ${[...found].toSorted().join(" ")}`);
    assert.deepEqual([...found].filter((word) => !PROTOCOL.has(word)).toSorted(), []);
  });

  test("logs nothing of it", () => {
    const log = Buffer.from(setup.host.stdout() + setup.host.stderr());
    assert.ok(log.length > 0);
    assert.deepEqual(findings(log), []);
    // Neither ids nor anything else of a request: only lifecycle.
    assert.ok(setup.host.stderr().split("\n").length < 10, setup.host.stderr());
  });

  test("has no file with a secret or a word in it", () => {
    for (const directory of [setup.hostHome, setup.model]) {
      for (const { path, bytes } of filesBelow(directory)) {
        assert.deepEqual(findings(bytes), [], path);
        assert.deepEqual(findings(Buffer.from(path)), [], path);
        assert.doesNotMatch(path, /tokenizer|vocab|template|\.age$|bundle/);
      }
    }
  });

  test("has no other file open, and no other model mapped", linux, (context) => {
    // Node itself may just be reading the system's certificates; they are searched like everything else.
    const allowed = [setup.hostHome, setup.model, "/etc/ssl/"];
    const { gateway, home } = setup;
    const seen = new Set<string>();
    for (const member of family(setup.host.child.pid as number)) {
      for (const name of readdirSync(`/proc/${member}/fd`)) {
        try {
          seen.add(readlinkSync(`/proc/${member}/fd/${name}`));
        } catch {
          // closed meanwhile
        }
      }
      for (const line of readFileSync(`/proc/${member}/maps`, "utf8").split("\n")) {
        const path = /\s(\/.*)$/.exec(line)?.[1];
        if (path) seen.add(path);
      }
      assert.deepEqual(findings(readFileSync(`/proc/${member}/environ`)), []);
      assert.deepEqual(findings(readFileSync(`/proc/${member}/cmdline`)), []);
    }
    const files = [...seen].filter((path) => path.startsWith("/") && !path.startsWith("/dev/") && !path.startsWith("/proc/"));
    const program = files.filter((path) => /\.(?:node|so(?:\.[\d.]+)?)$|\/node$/.test(path));
    const data = files.filter((path) => !program.includes(path));
    context.diagnostic(`data files: ${data.join(" ")}`);
    assert.ok(
      data.some((path) => path.endsWith(".gguf")),
      "the model is among them",
    );
    for (const path of data)
      assert.ok(
        allowed.some((directory) => path.startsWith(directory)),
        `${path} is not the host's`,
      );
    assert.ok(!files.some((path) => path.startsWith(home)), "nothing of the key holder's");
    for (const path of data) if (statSync(path).isFile()) assert.deepEqual(findings(readFileSync(path)), [], path);
    assert.ok(gateway.child.pid !== setup.host.child.pid);
  });

  test("remembers nothing of it: its memory and its engine's", linux, (context) => {
    const found = findingsInMemory(setup.host);
    if (!found) return context.skip("this user may not read the memory of its own processes");
    assert.deepEqual(found, []);
  });
});
