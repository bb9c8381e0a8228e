/**
 * Entry of the process in which ONNX Runtime runs on one thread with nothing around it.
 * @module
 */
import { InferenceSession, Tensor } from "onnxruntime-node";

const file = process.argv[2];
if (!file) throw new Error("usage: onnx-alone.ts FILE");
const session = await InferenceSession.create(file, { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 4 });
process.on("disconnect", () => process.exit());
process.on("message", async ({ shape, values, runs }: { shape: number[]; values: number[]; runs: number }) => {
  const feeds = { [session.inputNames[0] as string]: new Tensor("float32", Float32Array.from(values), shape) };
  const started = performance.now();
  for (let run = 0; run < runs; run += 1) await session.run(feeds);
  process.send?.((performance.now() - started) / 1000 / runs);
});
process.send?.("ready");
