/**
 * Entry of llama.cpp's process. It lives apart from the server because a failed assertion in native code ends the process that it is in.
 * It reads no file but the model, opens no socket, and prints nothing.
 * @module
 */
import { Batcher } from "./batcher.ts";
import { serveParent } from "./child.ts";
import { openNative } from "./native.ts";
import type { Command, LoadCommand, Report } from "./protocol.ts";

let batcher: Batcher | null = null;

serveParent<Command, Report>((command, report) => {
  if (command.type === "load") void load(command, report);
  else if (command.type === "generate") batcher?.generate(command);
  else batcher?.cancel(command.id);
});

async function load(command: LoadCommand, report: (report: Report) => void): Promise<void> {
  try {
    const engine = await openNative(command);
    batcher = new Batcher(engine, command, report);
    report({ type: "ready", cacheCells: engine.cacheCells });
  } catch (error) {
    report({ type: "unusable", reason: error instanceof Error ? error.message : String(error) });
  }
}
