import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { after, test } from "node:test";
import type { HostScript, ScriptedHost } from "../engines/scripted-host.fixture.ts";
import { serveModel } from "../gateway/model.ts";
import { deciphered, modelOn, says, secret, startHost } from "../gateway/test-model.fixture.ts";
import { runChat } from "./chat.ts";
import { chatLoop, type ChatLoopOptions } from "./chat-loop.ts";
import { readCommand } from "./commands.ts";
import { listIds } from "./wire-view.ts";

const hosts: ScriptedHost[] = [];
after(() => Promise.all(hosts.map((host) => host.close())));

interface Terminal {
  readonly host: ScriptedHost;
  readonly ended: Promise<void>;
  type(text: string): void;
  /** Everything shown so far. */
  shown(): string;
  until(words: string | RegExp): Promise<void>;
}

async function open(
  answer: HostScript["answer"] | string,
  options: Partial<ChatLoopOptions> & { contextLength?: number } = {},
): Promise<Terminal> {
  const host = await startHost(answer);
  hosts.push(host);
  const { contextLength = 4096, ...rest } = options;
  const input = new PassThrough();
  const output = new PassThrough({ encoding: "utf8" });
  let text = "";
  output.on("data", (piece: string) => (text += piece));
  const ended = chatLoop({ model: modelOn([host], { contextLength }), input, output, ...rest });
  const until = async (words: string | RegExp): Promise<void> => {
    for (let tries = 0; tries < 1000; tries += 1) {
      if (typeof words === "string" ? text.includes(words) : words.test(text)) return;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.fail(`never shown: ${String(words)}\n${text}`);
  };
  return { host, ended, type: (line) => void input.write(line), shown: () => text, until };
}
const prompt = (terminal: Terminal): string => deciphered(terminal.host.completions.at(-1)!.body);

test("a conversation: the answer is streamed and remembered, /reset forgets it, /exit leaves", async () => {
  const terminal = await open("Hello there 🎉", { system: "Be kind." });
  terminal.type("Hi\n");
  await terminal.until("Hello there 🎉\n");
  terminal.type("And?\n");
  await terminal.until(/🎉\n.*🎉\n/s);
  assert.equal(
    prompt(terminal),
    "<|bos|><|system|>Be kind.<|end|><|user|>Hi<|end|><|assistant|>Hello there 🎉<|end|><|user|>And?<|end|><|assistant|>",
  );
  terminal.type("/reset\n/system Be short.\nAgain\n");
  await terminal.until(/🎉\n.*🎉\n.*🎉\n/s);
  assert.equal(prompt(terminal), "<|bos|><|system|>Be short.<|end|><|user|>Again<|end|><|assistant|>");
  terminal.type("/exit\n");
  await terminal.ended;
});

test("a message of several lines stands between triple quotes", async () => {
  const terminal = await open("ok");
  terminal.type('"""one\n/two\nthree"""\n');
  await terminal.until("ok\n");
  assert.match(prompt(terminal), /<\|user\|>one\n\/two\nthree<\|end\|>/);
  terminal.type("/exit\n");
  await terminal.ended;
});

test("--show-wire shows the ids that the host received and sent, and no text of them", async () => {
  const terminal = await open("Yes", { showWire: true });
  terminal.type("Hi\n");
  await terminal.until("no text");
  const { body } = terminal.host.completions[0]!;
  assert.ok(terminal.shown().includes(`host saw   ${listIds(body.prompt)}`));
  assert.match(terminal.shown(), new RegExp(`host said  ${secret("Yes").join(" ")} \\d+ \\(4 tokens\\)`));
  terminal.type("/wire\n/exit\n");
  await terminal.ended;
  assert.match(terminal.shown(), /is hidden/);
});

test("Ctrl-C stops the answer and nothing else; what was said so far is kept", async () => {
  const terminal = await open((_, call) => (call === 0 ? [{ ids: secret("Once upon") }, "hang"] : says("Sure.")), { terminal: true });
  terminal.type("Tell\r");
  await terminal.until("Once upon");
  terminal.type("\u0003");
  await terminal.until("[stopped]");
  assert.equal(await terminal.host.completions[0]!.ended, "aborted");
  terminal.type("Go on\r");
  await terminal.until(/Sure\.\n.*you › /s);
  assert.match(prompt(terminal), /<\|assistant\|>Once upon<\|end\|><\|user\|>Go on<\|end\|>/);
  terminal.type("\u0003");
  await terminal.until("Ctrl-D leaves");
  terminal.type("\u0004");
  await terminal.ended;
});

test("/save writes the conversation for the owner alone", async () => {
  const directory = await mkdtemp(join(tmpdir(), "unseen-chat-"));
  const file = join(directory, "talk.json");
  const terminal = await open("Hello");
  terminal.type("Hi\n");
  await terminal.until("Hello\n");
  terminal.type(`/save ${file}\n/save ${directory}/none/x\n/exit\n`);
  await terminal.ended;
  assert.deepEqual(JSON.parse(await readFile(file, "utf8")), { model: "test-model", messages: [{ role: "user", content: "Hi" }, { role: "assistant", content: "Hello" }] }); // prettier-ignore
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  assert.match(terminal.shown(), /does not exist/);
  await rm(directory, { recursive: true });
});

test("a failing host is told in one line and the question can be asked again", async () => {
  const terminal = await open((_, call) => (call === 0 ? [{ status: 429 }] : says("Now.")));
  terminal.type("Hi\n");
  await terminal.until("full queue");
  terminal.type("Hi\n");
  await terminal.until("Now.\n");
  assert.equal(prompt(terminal), "<|bos|><|user|>Hi<|end|><|assistant|>");
  terminal.type("/exit\n");
  await terminal.ended;
});

test("the oldest messages leave when the context is full; a question that never fits is refused", async () => {
  const terminal = await open("0123456789", { contextLength: 40 });
  terminal.type("first question\nsecond one\n");
  await terminal.until("oldest 2 messages");
  await terminal.until(/9\n.*9\n/s);
  assert.equal(prompt(terminal), "<|bos|><|user|>second one<|end|><|assistant|>");
  terminal.type(`${"x".repeat(50)}\n/exit\n`);
  await terminal.ended;
  assert.match(terminal.shown(), /expected fewer than 40 tokens/);
});

test("an answer cannot steer the terminal", async () => {
  const terminal = await open("a\u001b[2Jb\u0007c");
  terminal.type("Hi\n/exit\n");
  await terminal.ended;
  assert.match(terminal.shown(), /a\[2Jbc\n/);
  assert.ok(!terminal.shown().includes("\u001b"));
});

test("/help lists every command, an unknown one is named, a path is a message", async () => {
  const terminal = await open("x");
  terminal.type("/help\n/frob\n/exit\n");
  await terminal.ended;
  for (const words of ["/system TEXT", "/save FILE", "Ctrl-C", "there is no /frob"]) assert.ok(terminal.shown().includes(words), words);
  assert.equal(readCommand("/etc/passwd is a file"), null);
  assert.deepEqual(readCommand(" /quit "), { name: "exit", rest: "" });
});

test("one question: streamed and shown, or silent with everything in the result", async () => {
  const host = await startHost("Yes 🎉");
  hosts.push(host);
  const output = new PassThrough({ encoding: "utf8" });
  let text = "";
  output.on("data", (piece: string) => (text += piece));
  const result = await runChat(serveModel(modelOn([host])), { message: "Hi", output, showWire: true });
  assert.match(text, /^Yes 🎉\n {2}host saw/);
  const { body } = host.completions[0]!;
  assert.deepEqual(result?.hostSaw.prompt, body.prompt);
  assert.deepEqual(
    [result?.message, result?.answer, result?.promptTokens, result?.completionTokens],
    ["Hi", "Yes 🎉", body.prompt.length, 9],
  );
  text = "";
  await runChat(serveModel(modelOn([host])), { message: "Hi", output, silent: true });
  assert.equal(text, "");
});
