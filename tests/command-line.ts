/**
 * Runs the command line as its users do: as a process of its own, in an environment that holds nothing by accident.
 * @module
 */
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The program that `npx unseen` runs. */
export const PROGRAM = fileURLToPath(new URL("../packages/unseen/bin/unseen.js", import.meta.url));

/** The small model that comes with the repository: bf16 safetensors with tokenizer and chat template. */
export const STORY_LLAMA = fileURLToPath(new URL("../packages/unseen/models/story-llama", import.meta.url));

/** Makes the many starts of these tests cheaper; users start once. */
const COMPILE_CACHE = process.env["NODE_COMPILE_CACHE"] ?? join(tmpdir(), "unseen-compile-cache");

export interface Surroundings {
  /** `UNSEEN_HOME`. */
  readonly home: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** The Node that starts the program; the one that runs the tests by default. */
  readonly node?: string;
  readonly cwd?: string;
  /** Bytes that any file may grow to (`RLIMIT_FSIZE`). */
  readonly fileSize?: number;
  /** Run without superuser rights; only the superuser can ask for it. */
  readonly user?: number;
}

/** What a finished command left behind. */
export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that runs on. */
export interface RunningCommand {
  readonly child: ChildProcess;
  readonly ended: Promise<Outcome>;
  readonly stdout: () => string;
  readonly stderr: () => string;
}

/** A server that has said where it listens. */
export interface RunningServer extends RunningCommand {
  readonly url: string;
  /** The object that `--json` printed at the start. */
  readonly facts: Readonly<Record<string, unknown>>;
  /** Ends it with SIGTERM and waits. */
  stop(): Promise<Outcome>;
}

/** Makes a directory that goes away with the process. */
export function temporaryDirectory(name: string): string {
  const directory = mkdtempSync(join(tmpdir(), `unseen-${name}-`));
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Starts a command. */
export function startCommand(parameters: readonly string[], surroundings: Surroundings): RunningCommand {
  const { home, environment = {}, node = process.execPath, cwd, fileSize, user } = surroundings;
  const limited = fileSize === undefined ? [] : ["prlimit", `--fsize=${fileSize}`, "--"];
  const [program, ...rest] = [...limited, node, PROGRAM, ...parameters] as [string, ...string[]];
  const child = spawn(program, rest, {
    cwd: cwd ?? home,
    env: { PATH: process.env["PATH"], HOME: home, UNSEEN_HOME: home, NODE_COMPILE_CACHE: COMPILE_CACHE, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
    ...(user === undefined ? {} : { uid: user, gid: user }),
  });
  const text = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (piece: string) => void (text.stdout += piece));
  child.stderr.setEncoding("utf8").on("data", (piece: string) => void (text.stderr += piece));
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);
  const ended = new Promise<Outcome>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => {
      process.off("exit", kill);
      resolve({ code, signal, ...text });
    });
  });
  return { child, ended, stdout: () => text.stdout, stderr: () => text.stderr };
}

/** Runs a command to its end. */
export function runCommand(parameters: readonly string[], surroundings: Surroundings): Promise<Outcome> {
  return startCommand(parameters, surroundings).ended;
}

/** Runs a command that must succeed, with `--json`, and gives its object. */
export async function ask<T = Record<string, unknown>>(parameters: readonly string[], surroundings: Surroundings): Promise<T> {
  const outcome = await runCommand([...parameters, "--json"], surroundings);
  assert.equal(outcome.code, 0, `unseen ${parameters.join(" ")}: ${outcome.stderr}`);
  return onlyObject<T>(outcome.stdout);
}

/** The one JSON object of a `--json` command; fails where stdout holds anything else. */
export function onlyObject<T = Record<string, unknown>>(stdout: string): T {
  assert.match(stdout, /^\{.*\}\n$/, "stdout holds one line, one object");
  return JSON.parse(stdout) as T;
}

/** Starts `serve`, `gateway` or `start` and waits until it says where it listens. */
export async function startServer(parameters: readonly string[], surroundings: Surroundings): Promise<RunningServer> {
  const command = startCommand([...parameters, "--json"], surroundings);
  const { child, ended } = command;
  const line = (async (): Promise<string> => {
    while (!command.stdout().includes("\n")) await once(child.stdout as NodeJS.ReadableStream, "data");
    return command.stdout().split("\n", 1)[0] as string;
  })();
  const first = await Promise.race([line, ended.then((outcome) => assert.fail(`unseen ${parameters.join(" ")} ended: ${outcome.stderr}`))]);
  const facts = JSON.parse(first) as Record<string, unknown>;
  return {
    ...command,
    url: facts["url"] as string,
    facts,
    stop() {
      child.kill("SIGTERM");
      return ended;
    },
  };
}

/** Sends JSON and reads JSON. */
export async function post<T = Record<string, unknown>>(
  url: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: T }> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as T };
}
