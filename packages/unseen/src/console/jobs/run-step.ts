/**
 * One command line in a process of its own: a crash of it, or of an engine in it, never reaches the gateway.
 * @module
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Failure } from "@unseen/web/protocol/failure.ts";
import { z } from "zod";
import { channelMessageSchema, type ChannelMessage } from "../../channel.ts";
import { argumentsOf, type Step } from "./plan.ts";

const PROGRAM = fileURLToPath(new URL("../../../bin/unseen.js", import.meta.url));
/** Characters of stdout (CWE-770): a report of all attacks takes fifty thousand. */
const MAXIMUM_OUTPUT = 16 * 1024 * 1024;
/** Characters of stderr that are kept, for the line that says why a process died. */
const KEPT_COMPLAINT = 2000;
/** How long a command may take to end in order. */
const ENDING_MILLISECONDS = 10_000;

/** What every command gets of this process's environment: nothing of the user's settings, and no other secret (CWE-526). */
const INHERITED = [
  "PATH",
  "HOME",
  "USERPROFILE",
  "SystemRoot",
  "LANG",
  "NODE_COMPILE_CACHE",
  "NODE_EXTRA_CA_CERTS",
  "SSL_CERT_FILE",
  "NODE_USE_ENV_PROXY",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
  "http_proxy",
  "https_proxy",
  "no_proxy",
];

const failureSchema = z.object({ error: z.object({ code: z.string(), message: z.string(), hint: z.string().optional() }) });

/** How a step ended. */
export interface StepEnd {
  /** The object of `--json`, if it is no failure. */
  readonly result: object | null;
  readonly failure: Failure | null;
}

export interface RunningStep {
  /** null where the process could not be started. */
  readonly processId: number | null;
  /** Never rejects. */
  readonly ended: Promise<StepEnd>;
  /** Asks it to end in order; after ten seconds it is killed. */
  stop(): void;
}

export interface StepListener {
  /** What passes on the channel. */
  onMessage(message: ChannelMessage): void;
  /** The object of `--json`, as soon as it is there: a server's, while it runs on. */
  onResult(result: object): void;
}

/** Where a step works. */
export interface StepPlace {
  /** `UNSEEN_HOME`, unless the step names another. */
  readonly home: string;
  /** Directory for what the command makes and removes again. */
  readonly temporary: string;
}

/** Starts a step. */
export function runStep(step: Step, place: StepPlace, { onMessage, onResult }: StepListener): RunningStep {
  // No shell: an argument is what it is.
  const child = spawn(process.execPath, [PROGRAM, ...argumentsOf(step)], {
    stdio: ["pipe", "pipe", "pipe", "ipc"],
    env: environmentOf(step, place),
  });
  // A command that ends without having read all of it is no failure of ours.
  child.stdin?.on("error", () => {}).end(step.input);
  child.on("message", (message) => {
    const parsed = channelMessageSchema.safeParse(message);
    if (parsed.success) onMessage(parsed.data);
  });
  let result: object | null = null;
  let failure: Failure | null = null;
  const output = new Lines((line) => {
    const value = objectOf(line);
    const failed = failureSchema.safeParse(value);
    if (failed.success) {
      const { code, message, hint } = failed.data.error;
      failure ??= { code, message, ...(hint === undefined ? {} : { hint }) };
    } else if (value !== null && result === null) {
      result = value;
      onResult(value);
    }
  });
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    if (!output.add(text)) child.kill("SIGKILL");
  });
  let complaint = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => void (complaint = (complaint + text).slice(-KEPT_COMPLAINT)));
  const ended = new Promise<StepEnd>((resolve) => {
    child.once("error", (error) =>
      resolve({ result: null, failure: { code: "INTERNAL", message: `the command did not start: ${error.message}` } }),
    );
    child.once("close", (code, signal) => {
      if (failure === null && (code !== 0 || signal !== null)) failure = deathOf(code, signal, complaint);
      resolve({ result: failure ? null : result, failure });
    });
  });
  let timer: NodeJS.Timeout | undefined;
  void ended.then(() => clearTimeout(timer));
  return {
    processId: child.pid ?? null,
    ended,
    stop() {
      if (timer) return;
      child.kill("SIGTERM");
      timer = setTimeout(() => child.kill("SIGKILL"), ENDING_MILLISECONDS);
    },
  };
}

function environmentOf({ secrets, inherits = [], home: own }: Step, { home, temporary }: StepPlace): Record<string, string> {
  const inherited = [...INHERITED, ...inherits].flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...Object.fromEntries(inherited), TMPDIR: temporary, TEMP: temporary, TMP: temporary, UNSEEN_HOME: own ?? home, ...secrets };
}

/** One line for a process that died without a word of its own. */
function deathOf(code: number | null, signal: string | null, complaint: string): Failure {
  const last = complaint.trim().split("\n").at(-1)?.replace(/^unseen: /, "").slice(0, 500); // prettier-ignore
  if (signal !== null)
    return {
      code: "JOB_FAILED",
      message: `the command was ended by ${signal}.`,
      hint: signal === "SIGKILL" ? "Check the free memory, and start it again." : "Start it again.",
    };
  return { code: "JOB_FAILED", message: last || `the command ended with code ${code}.`, hint: "Run it in a terminal to see more." };
}

function objectOf(line: string): object | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

/** Splits text that comes in pieces. */
class Lines {
  readonly #onLine: (line: string) => void;
  #parts: string[] = [];
  #characters = 0;

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  /** False once there was too much. */
  add(text: string): boolean {
    this.#characters += text.length;
    if (this.#characters > MAXIMUM_OUTPUT) return false;
    const [first = "", ...rest] = text.split("\n");
    this.#parts.push(first);
    for (const part of rest) {
      this.#onLine(this.#parts.join(""));
      this.#parts = [part];
    }
    return true;
  }
}
