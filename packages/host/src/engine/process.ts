/**
 * Entry of the engine process. It lives apart from the server because a failed assertion in native code ends the process that it is in.
 * It reads no file but the model, opens no socket, and prints nothing.
 * @module
 */
import { Batcher } from "./batcher.ts";
import { openNative } from "./native.ts";
import type { Command, LoadCommand, Report } from "./protocol.ts";

let batcher: Batcher | null = null;

const report = (message: Report): void => {
  if (process.connected) process.send!(message);
};

// Without its server the engine has no purpose; nothing here needs saving, and native threads would delay a polite exit.
const end = (): boolean => process.kill(process.pid, "SIGKILL");
process.on("disconnect", end);
if (!process.connected) end(); // the server died while this module was being loaded
// A terminal's Ctrl-C reaches the whole group: the server decides when its engine ends, so that answers can finish.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => {});

process.on("message", (command: Command) => {
  if (command.type === "load") void load(command);
  else if (command.type === "generate") batcher?.generate(command);
  else batcher?.cancel(command.id);
});

async function load(command: LoadCommand): Promise<void> {
  try {
    const engine = await openNative(command);
    batcher = new Batcher(engine, command, report);
    report({ type: "ready", cacheCells: engine.cacheCells });
  } catch (error) {
    report({ type: "unusable", reason: error instanceof Error ? error.message : String(error) });
  }
}
