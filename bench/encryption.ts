/**
 * One run of `unseen encrypt` as a user starts it, timed from outside.
 * @module
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { seconds } from "./measure.ts";

const CLI = fileURLToPath(new URL("../packages/unseen/bin/unseen.js", import.meta.url));

/** Wall time and peak memory. */
export async function timeEncryption(
  source: string,
  output: string,
  strength: string,
  home: string,
): Promise<{ seconds: number; megabytes: number }> {
  const child = spawn(process.execPath, [CLI, "encrypt", source, "--out", output, "--strength", strength, "--no-measure", "--json"], {
    env: { ...process.env, UNSEEN_HOME: home },
    stdio: ["ignore", "ignore", "inherit"],
  });
  let peak = 0;
  const watch = setInterval(() => {
    peak = Math.max(peak, residentKilobytes(child.pid));
  }, 50);
  const elapsed = await seconds(
    () =>
      new Promise<void>((resolve, reject) =>
        child.once("exit", (code) => (code === 0 ? resolve() : reject(new Error(`encrypt ended with ${code}`)))),
      ),
  );
  clearInterval(watch);
  return { seconds: elapsed, megabytes: peak / 1024 };
}

/** The process's own high-water mark, as Linux keeps it. */
function residentKilobytes(pid: number | undefined): number {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
