/**
 * Entry of the stem's process: the part of a model that the key holder computes. It lives apart because a failed assertion in native
 * code ends the process that it is in. It reads no file but the stem, opens no socket, and prints nothing.
 * @module
 */
import { env, InferenceSession, Tensor } from "onnxruntime-node";
import type { StemCommand, StemReport, StemTensor } from "./protocol.ts";

let session: InferenceSession | null = null;

const report = (message: StemReport): void => {
  if (process.connected) process.send!(message);
};

// Without its client the stem has no purpose, and native threads would delay a polite exit.
const end = (): boolean => process.kill(process.pid, "SIGKILL");
process.on("disconnect", end);
if (!process.connected) end();
// A terminal's Ctrl-C reaches the whole group: the client decides when its stem ends.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => {});

process.on("message", (command: StemCommand) => {
  if (command.type === "load") void load(command.file);
  else void run(command.id, command.input);
});

async function load(file: string): Promise<void> {
  try {
    env.logLevel = "fatal";
    session = await InferenceSession.create(file, {
      executionProviders: ["cpu"],
      // Its own choice is every core, and its threads spin while they wait.
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      executionMode: "sequential",
      logSeverityLevel: 4,
    });
    report({ type: session.inputNames.length === 1 ? "ready" : "unusable" });
  } catch {
    report({ type: "unusable" });
  }
}

async function run(id: number, { shape, data }: StemTensor): Promise<void> {
  try {
    const results = await session!.run({ [session!.inputNames[0]!]: new Tensor("float32", data, [...shape]) });
    const outputs = new Map(Object.entries(results).map(([name, tensor]) => [name, floats(tensor)]));
    report({ type: "outputs", id, outputs });
  } catch {
    // The engine's own words may quote the input.
    report({ type: "failed", id });
  }
}

function floats(tensor: Tensor): StemTensor {
  if (!(tensor.data instanceof Float32Array)) throw new TypeError("a stem gives float32");
  return { shape: tensor.dims, data: tensor.data };
}
