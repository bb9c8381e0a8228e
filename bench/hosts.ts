/**
 * Hosts as their own processes, and timed streams from them.
 * @module
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { readEvents } from "@unseen/client/engines/event-stream.ts";

const CLI = fileURLToPath(new URL("../packages/unseen/bin/unseen.js", import.meta.url));

export interface RunningHost {
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts `unseen serve` on a free port and waits until it answers. */
export async function startHostProcess(model: string, home: string, flags: readonly string[] = []): Promise<RunningHost> {
  const child = spawn(process.execPath, [CLI, "serve", model, "--port", "0", "--json", ...flags], {
    env: { ...process.env, UNSEEN_HOME: home },
    stdio: ["ignore", "pipe", "ignore"],
  });
  const exited = once(child, "exit");
  process.once("exit", () => child.kill("SIGKILL"));
  child.stdout.setEncoding("utf8");
  let text = "";
  for await (const piece of child.stdout) {
    text += piece as string;
    if (text.includes("\n")) break;
  }
  const { url, error } = JSON.parse(text || '{"error":{"message":"the host ended"}}') as { url: string; error?: { message: string } };
  if (error) throw new Error(error.message);
  return {
    url,
    async stop() {
      child.kill("SIGTERM");
      await exited;
    },
  };
}

export interface StreamTiming {
  /** Seconds from the request to the first token. */
  readonly first: number;
  /** Seconds per token after the first. */
  readonly perToken: number;
  readonly tokens: number;
}

/** Times one streamed completion of token ids; works against a host (whose only model needs no name) and against a gateway. */
export async function timeStream(url: string, model: string | undefined, prompt: readonly number[], tokens: number): Promise<StreamTiming> {
  const started = performance.now();
  const response = await fetch(`${url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model, prompt, max_tokens: tokens, temperature: 0, stream: true, ignore_eos: true, return_token_ids: true }),
  });
  if (!response.ok || !response.body) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
  let first = 0;
  let count = 0;
  for await (const data of readEvents(response.body, () => {})) {
    if (data === "[DONE]") break;
    const choice = (JSON.parse(data) as { choices: { token_ids?: number[]; text?: string }[] }).choices[0];
    const arrived = choice?.token_ids?.length ?? (choice?.text ? 1 : 0);
    if (arrived > 0 && first === 0) first = performance.now();
    count += arrived;
  }
  const ended = performance.now();
  return { first: (first - started) / 1000, perToken: (ended - first) / 1000 / Math.max(tokens - 1, 1), tokens: count };
}
