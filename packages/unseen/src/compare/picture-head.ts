/**
 * First layers of the bundled network for pictures: on ciphertext, and the same in clear, by turns.
 * @module
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { explainSystemError } from "@unseen/core/errors.ts";
import { createEvaluator } from "@unseen/fhe/evaluator/pool.ts";
import { runClear } from "@unseen/fhe/graph/run-clear.ts";
import { splitModel } from "@unseen/fhe/graph/split-model.ts";
import type { HeadRow } from "@unseen/web/protocol/comparison.ts";
import { openFirstLayers, pictureFor, prepareJob } from "./ciphertext-job.ts";
import { startClearEngine } from "./clear-engine.ts";
import { HEAD_LEARNS } from "./protections.ts";
import { alternate, median, medianRatio, seconds } from "./rounds.ts";

/**
 * Measures the last cut that the plan offers.
 *
 * @param onRound - Called after each.
 * @throws UnseenError `EVALUATION_*`, `ENGINE_CRASHED`, `DISK_FULL`; the signal's reason
 */
export async function measureHead(place: string, rounds: number, signal: AbortSignal, onRound: () => void): Promise<HeadRow> {
  const { model, heads, planned } = openFirstLayers();
  const { cut, layers, parameters } = planned.at(-1)!;
  const head = heads[cut - 1]!;
  const picture = pictureFor(head);
  const file = join(place, "head.onnx");
  await writeFile(file, splitModel(model, cut).head).catch((error: unknown) => {
    throw explainSystemError(error, file);
  });
  const job = await prepareJob(head, parameters, picture);
  const evaluator = createEvaluator({ workers: 1 });
  try {
    const engine = await startClearEngine(file, head, picture);
    try {
      // The first evaluation starts the worker, which reads the keys and encodes the weights.
      await job.evaluate(evaluator);
      const times = await alternate(rounds, {
        clear: () => {
          signal.throwIfAborted();
          return engine.time();
        },
        ciphertext: async () => {
          signal.throwIfAborted();
          const taken = await seconds(() => job.evaluate(evaluator));
          onRound();
          return taken;
        },
      });
      const expected = runClear(head, picture);
      const { features } = job.decrypt();
      const { keys, picture: pictureBytes, features: featureBytes } = job.bytes();
      return {
        network: "xray-cnn",
        cut,
        layers: [...layers],
        scheme: parameters.scheme.toUpperCase(),
        learns: HEAD_LEARNS,
        ciphertextSeconds: median(times.ciphertext),
        clearSeconds: median(times.clear),
        overhead: medianRatio(times.ciphertext, times.clear),
        largestError: features.reduce((most, value, index) => Math.max(most, Math.abs(value - expected[index]!)), 0),
        keyBytes: keys,
        pictureBytes,
        featureBytes,
      };
    } finally {
      engine.stop();
    }
  } finally {
    job.close();
    await evaluator.close();
  }
}
