/**
 * The real thing behind the pages: `unseen start` as a process of its own, in a home of its own.
 * @module
 */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const PROGRAM = fileURLToPath(new URL("../../packages/unseen/bin/unseen.js", import.meta.url));
const PATIENCE = 90_000; // ms

export interface RunningStart {
  /** With the access code. */
  readonly address: string;
  /** Without. */
  readonly origin: string;
  readonly hostUrl: string;
  readonly home: string;
  readonly process: ChildProcess;
  /** What the console answers to a page that has access, as JSON. */
  ask<Answer>(path: string): Promise<Answer>;
  /** Everything that it printed, both streams. */
  output(): string;
  /** Ends it; its home is removed unless it is to be used again. */
  stop(options?: { readonly keepHome?: boolean; readonly signal?: NodeJS.Signals }): Promise<void>;
}

/** Starts a gateway with a blind host of the bundled story model and waits until both are ready. */
export async function start(
  options: { readonly home?: string; readonly port?: number; readonly environment?: Record<string, string> } = {},
): Promise<RunningStart> {
  const home = options.home ?? (await mkdtemp(join(tmpdir(), "unseen-web-")));
  const child = spawn(process.execPath, [PROGRAM, "start", "--port", String(options.port ?? 0), "--host-port", "0", "--json"], {
    env: { ...process.env, UNSEEN_HOME: home, ...options.environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const { promise, resolve, reject } = Promise.withResolvers<{ web: string; baseUrl: string; hostUrl: string }>();
  const timer = setTimeout(() => reject(new Error(`unseen start took too long: ${output}`)), PATIENCE);
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
    const line = output.split("\n").find((candidate) => candidate.startsWith("{") && candidate.endsWith("}"));
    if (line) resolve(JSON.parse(line) as { web: string; baseUrl: string; hostUrl: string });
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => void (output += text));
  child.once("exit", (code) => reject(new Error(`unseen start ended with ${code}: ${output}`)));
  const facts = await promise.finally(() => clearTimeout(timer));
  const { origin } = new URL(facts.baseUrl);
  const code = new URLSearchParams(new URL(facts.web).hash.slice(1)).get("access");
  return {
    address: facts.web,
    origin,
    async ask<Answer>(path: string) {
      const response = await fetch(origin + path, { headers: { authorization: `Bearer ${code}` } });
      return (await response.json()) as Answer;
    },
    hostUrl: facts.hostUrl,
    home,
    process: child,
    output: () => output,
    async stop({ keepHome = false, signal = "SIGTERM" } = {}) {
      if (child.exitCode === null && child.signalCode === null) {
        const closed = once(child, "exit");
        child.kill(signal);
        await closed;
      }
      if (!keepHome) await rm(home, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

/** What one command prints as JSON. @throws when it fails */
export async function runCommand(parameters: readonly string[], home: string): Promise<object> {
  const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, ...parameters, "--json"], {
    env: { ...process.env, UNSEEN_HOME: home },
  });
  return JSON.parse(stdout) as object;
}

/** A policy for the simulator in a directory. */
export function simulatorPolicy(directory: string): Promise<object> {
  return runCommand(["attest", "policy", "--attest", "simulator", "--attest-directory", directory], directory);
}
