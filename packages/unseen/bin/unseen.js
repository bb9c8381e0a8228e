#!/usr/bin/env node
// Plain JavaScript, so that any Node can read it: older ones hand over to the Node that this package pins.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import * as module from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const main = join(dirname(fileURLToPath(import.meta.url)), "../src/main.ts");
const [major] = process.versions.node.split(".").map(Number);

// A reader that has seen enough, like `head`, is no failure.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error) => process.exit(error.code === "EPIPE" ? 0 : 1));
}

if (major >= 24) {
  // Compiled code is kept between runs, which halves the time to start.
  module.enableCompileCache();
  const { run } = await import(main);
  process.exitCode = await run(process.argv.slice(2));
} else {
  const pinned = pinnedNode();
  if (!pinned) {
    process.stderr.write(`unseen: needs Node 24 or newer, this is ${process.version}. Run "npm ci", which brings one.\n`);
    process.exit(1);
  }
  const child = spawn(pinned, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("exit", (code, signal) => {
    if (signal) process.kill(process.pid, signal);
    else process.exit(code ?? 1);
  });
}

function pinnedNode() {
  try {
    const file = join(dirname(module.createRequire(import.meta.url).resolve("node/package.json")), "bin/node");
    return existsSync(file) ? file : null;
  } catch {
    return null;
  }
}
