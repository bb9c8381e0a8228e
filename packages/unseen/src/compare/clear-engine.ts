/**
 * The baseline that ciphertext is measured against: ONNX Runtime with nothing around it, in a process of its own.
 * @module
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { UnseenError } from "@unseen/core/errors.ts";
import type { Head } from "@unseen/fhe/layer.ts";

/** Runs each time that is measured: one takes microseconds. */
const RUNS = 5000;

/** ONNX Runtime on one thread. */
export interface ClearEngine {
  /** Seconds per run. */
  time(): Promise<number>;
  stop(): void;
}

/** Starts it with a network of pictures, and runs it until it is warm. @throws UnseenError ENGINE_CRASHED, here and from `time` */
export async function startClearEngine(file: string, { shape }: Head, picture: Float64Array): Promise<ClearEngine> {
  const { PATH = "", LD_LIBRARY_PATH = "" } = process.env;
  const child = fork(fileURLToPath(new URL("onnx-alone.ts", import.meta.url)), [file], {
    execArgv: [],
    env: { PATH, LD_LIBRARY_PATH },
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
  child.on("error", () => {}); // whoever waits hears of it by the exit
  const hear = async (): Promise<unknown> => {
    const ended = new AbortController();
    try {
      return await Promise.race([
        once(child, "message", { signal: ended.signal }).then(([message]) => message as unknown),
        once(child, "exit", { signal: ended.signal }).then(() => {
          throw crashed();
        }),
      ]);
    } finally {
      ended.abort();
    }
  };
  await hear();
  const ask = async (runs: number): Promise<number> => {
    if (!child.connected) throw crashed();
    const answer = hear();
    child.send({ shape: [1, shape.channels, shape.height, shape.width], values: [...picture], runs });
    return (await answer) as number;
  };
  await ask(RUNS);
  return { time: () => ask(RUNS), stop: () => void child.kill("SIGKILL") };
}

function crashed(): UnseenError {
  return new UnseenError("ENGINE_CRASHED", "ONNX Runtime's process ended.", { hint: "Check the free memory." });
}
