/**
 * A server that is killed in mid-answer, through the gateway that people use; and frames that are none.
 * @module
 */
import { freePort } from "../tests/free-port.ts";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ask, startServer, STORY_LLAMA, temporaryDirectory, type RunningServer } from "../tests/command-line.ts";
import { testsShow, type Finding } from "./proof.ts";

const TOKENS = 300;

export async function* resilienceFindings(note: (line: string) => void): AsyncGenerator<Finding> {
  const home = temporaryDirectory("proof-shares-gateway");
  const [a, b] = [join(home, "a"), join(home, "b")];
  await ask(["share", STORY_LLAMA, "--out", a, b], { home });
  const ports = [await freePort(), await freePort()] as const;
  const start = (index: 0 | 1): Promise<RunningServer> =>
    startServer(["shares", "serve", [a, b][index]!, "--port", String(ports[index])], { home });
  const servers = [await start(0), await start(1)];
  const gateway = await startServer(["gateway", "--port", "0", "--shares", servers[0]!.url, servers[1]!.url, "--allow-same-operator"], {
    home,
  });
  try {
    const whole = await answer(gateway.url);
    note(`${whole.pieces} pieces without a disturbance`);
    const killed = await answer(gateway.url, async () => {
      servers[1]!.child.kill("SIGKILL");
      await servers[1]!.ended;
      servers[1] = await start(1);
    });
    yield {
      claim: "Server B is killed (-9) in mid-answer and started again: the stream waits and goes on",
      figure: killed.error ?? `${killed.pieces} pieces, ${killed.text === whole.text ? "the same text" : "another text"}`,
      bar: "the same text",
      holds: killed.error === null && killed.text === whole.text,
    };
    const gone = await answer(gateway.url, async () => {
      servers[0]!.child.kill("SIGKILL");
      await servers[0]!.ended;
    });
    servers[0] = await start(0);
    const again = await answer(gateway.url);
    yield {
      claim: "Server A is killed and stays away: a clear error that names it; when it is back, the next request is answered",
      figure: `${gone.error ?? "no error"}; then ${again.error ?? (again.text === whole.text ? "the same text" : "another text")}`,
      bar: "an error, the same text",
      holds: gone.error !== null && gone.error.includes(String(ports[0])) && again.text === whole.text,
    };
  } finally {
    await gateway.stop();
    await Promise.all(servers.map((server) => server.stop()));
  }
  yield await testsShow("Malformed frames, wrong shapes, oversized batches, another version, another model: typed errors, no crash", [
    fileURLToPath(new URL("../packages/shares/src/server/serve.test.ts", import.meta.url)),
    fileURLToPath(new URL("../packages/shares/src/frames.test.ts", import.meta.url)),
    fileURLToPath(new URL("../packages/shares/src/client/remote-multiplier.test.ts", import.meta.url)),
  ]);
}

interface Streamed {
  readonly text: string;
  readonly pieces: number;
  /** The error event's message. */
  readonly error: string | null;
}

/** One streamed answer, with something done after its tenth piece. */
async function answer(url: string, disturb?: () => Promise<void>): Promise<Streamed> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "story-llama",
      stream: true,
      temperature: 0,
      max_tokens: TOKENS,
      messages: [{ role: "user", content: "Tell me a story about a dog." }],
    }),
  });
  let [text, pieces, pending] = ["", 0, ""];
  let [error, disturbance]: [string | null, Promise<void>] = [null, Promise.resolve()];
  for await (const part of response.body!.pipeThrough(new TextDecoderStream())) {
    pending += part;
    const lines = pending.split("\n");
    pending = lines.pop()!;
    for (const line of lines) {
      if (!line.startsWith("data: {")) continue;
      const event = JSON.parse(line.slice(6)) as { choices?: { delta: { content?: string } }[]; error?: { message: string } };
      if (event.error) error = event.error.message;
      const content = event.choices?.[0]?.delta.content;
      if (!content) continue;
      text += content;
      pieces += 1;
      if (pieces === 10 && disturb) disturbance = disturb();
    }
  }
  await disturbance;
  return { text, pieces, error };
}
