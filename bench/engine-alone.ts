/**
 * llama.cpp with nothing around it, in a process of its own: the baseline that servers are measured against.
 * @module
 */
import { getLlama } from "node-llama-cpp";
import type { StreamTiming } from "./hosts.ts";

const file = process.argv[2];
if (!file) throw new Error("usage: engine-alone.ts FILE");
const llama = await getLlama({ gpu: false, build: "never", maxThreads: 1 });
const model = await llama.loadModel({ modelPath: file });
const context = await model.createContext({ contextSize: 512, threads: 1 });
process.on("message", async ({ prompt, tokens }: { prompt: number[]; tokens: number }) => {
  const started = performance.now();
  const sequence = context.getSequence();
  let first = 0;
  let count = 0;
  for await (const _token of sequence.evaluate(prompt as never[], { temperature: 0, yieldEogToken: true })) {
    if (count === 0) first = performance.now();
    count += 1;
    if (count === tokens) break;
  }
  const ended = performance.now();
  sequence.dispose();
  process.send?.({ first: (first - started) / 1000, perToken: (ended - first) / 1000 / (count - 1), tokens: count } satisfies StreamTiming);
});
process.send?.("ready");
