/**
 * Entry of ONNX Runtime's process. It lives apart from the server because native code may end the process that it is in.
 * It reads no file but the model, opens no socket, and prints nothing.
 * @module
 */
import { serveParent } from "../child.ts";
import { ProviderError, RunError, openSession, type NativeSession } from "./session.ts";
import type { Command, LoadCommand, Report, RunCommand } from "./protocol.ts";

let session: NativeSession | null = null;

serveParent<Command, Report>((command, report) => {
  void (command.type === "load" ? load(command) : run(command)).then(report);
});

async function load(command: LoadCommand): Promise<Report> {
  try {
    session = await openSession(command);
    return { type: "ready" };
  } catch (error) {
    const code = error instanceof ProviderError ? "USAGE" : "CHECKPOINT_MALFORMED";
    return { type: "unusable", reason: error instanceof Error ? error.message : String(error), code };
  }
}

async function run(command: RunCommand): Promise<Report> {
  try {
    return { type: "output", id: command.id, output: await session!.run(command) };
  } catch (error) {
    return { type: "failed", id: command.id, reason: error instanceof RunError ? error.reason : "refused" };
  }
}
