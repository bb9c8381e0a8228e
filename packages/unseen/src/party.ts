/**
 * A command of this program as a process of its own, on this machine: for trying out what otherwise runs on several.
 * @module
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { UnseenError } from "@unseen/core/errors.ts";

const PROGRAM = fileURLToPath(new URL("../bin/unseen.js", import.meta.url));
const START_TIMEOUT = 60_000; // ms

/**
 * A party's process, and the object that it prints when it is ready.
 * @throws UnseenError JOB_FAILED from `facts`, with what the party said when it did not start
 */
export function startParty(
  parameters: readonly string[],
  environment: Readonly<Record<string, string>>,
): { child: ChildProcess; facts: Promise<Record<string, unknown>> } {
  // Nothing of this user's settings reaches the parties.
  const { PATH = "", HOME = "", NODE_COMPILE_CACHE } = process.env;
  const child = spawn(process.execPath, [PROGRAM, ...parameters, "--json"], {
    env: { PATH, HOME, ...(NODE_COMPILE_CACHE ? { NODE_COMPILE_CACHE } : {}), ...environment },
    // A party ends with this process, however this one ends: it notices that the channel broke.
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  let stderr = "";
  child.stderr!.setEncoding("utf8").on("data", (text: string) => void (stderr = (stderr + text).slice(-4000)));
  const failed = (): UnseenError => {
    const line = stderr.trim().split("\n").at(-1) ?? "";
    return new UnseenError("JOB_FAILED", `\`unseen ${parameters.slice(0, 2).join(" ")}\` did not start: ${line || "it said nothing"}`, {
      hint: "Start it by itself to see more.",
    });
  };
  const ready = new Promise<Record<string, unknown>>((resolve, reject) => {
    let stdout = "";
    const timer = setTimeout(() => reject(failed()), START_TIMEOUT);
    child.once("error", () => reject(failed()));
    child.once("close", () => {
      clearTimeout(timer);
      reject(failed());
    });
    child.stdout!.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      const [first, rest] = stdout.split("\n", 2);
      if (rest === undefined) return;
      const said = JSON.parse(first!) as Record<string, unknown>;
      // An error's line is on stderr, all of which is there when the streams close.
      if ("error" in said) return;
      clearTimeout(timer);
      resolve(said);
    });
  });
  ready.catch(() => {});
  return { child, facts: ready };
}

/** Ends a party in order, and after 5 seconds in any case. */
export async function endParty(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, "close");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 5_000);
  await closed;
  clearTimeout(timer);
}
