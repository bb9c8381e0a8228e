/**
 * Language models on llama.cpp: GGUF files, and directories that are converted to one.
 * @module
 */
import { prepareModel } from "./admit.ts";
import { completionRoute } from "./completions.ts";
import { EngineSupervisor } from "./engine/supervisor.ts";
import { Metrics } from "./metrics.ts";
import type { PrepareService } from "./service.ts";

const DEFAULT_CONTEXT = 8192; // tokens per sequence, where the model has more
const BATCH_SIZE = 512; // tokens per decoding step; also how late a cancelled prompt can stop
const DEFAULT_QUEUE = 64; // sequences

const REASON = "this server generates text; the model has no vectors or classes to give.";

/** @throws UnseenError `CHECKPOINT_*`, `FAMILY_*`, `NOT_ENCRYPTED`, `DISK_FULL` */
export const prepareDecoder: PrepareService = async (admitted, options) => {
  const { name, log, threads = 1, sequences = 4, maximumQueue = DEFAULT_QUEUE } = options;
  const model = await prepareModel(admitted, { threads, ...(options.home === undefined ? {} : { home: options.home }) });
  const contextLength = Math.min(options.contextSize ?? DEFAULT_CONTEXT, model.trainedContext);
  return () => {
    const metrics = new Metrics(name);
    const engine = new EngineSupervisor({
      file: model.file,
      threads,
      sequences,
      contextLength,
      batchSize: Math.min(BATCH_SIZE, Math.max(contextLength, 1)),
      cacheFormat: options.cacheFormat ?? "auto",
      maximumQueue,
      log,
    });
    const limits = {
      vocabularySize: model.vocabularySize,
      contextLength,
      eosIds: model.eosIds,
      maximumSequences: sequences + maximumQueue,
    };
    const { manifest } = model;
    return {
      engine,
      engineName: "llama.cpp",
      manifest,
      vocabularySize: model.vocabularySize,
      maximumLength: contextLength,
      facts: manifest && {
        fingerprint: manifest.fingerprint,
        vocabularySize: manifest.vocabularySize,
        strength: manifest.strength,
        family: manifest.family,
      },
      settings: `context=${contextLength} sequences=${sequences} threads=${threads}`,
      routes: { "/v1/completions": completionRoute({ engine, metrics, model: name }, limits) },
      refused: { "/v1/embeddings": REASON, "/classify": REASON, "/v1/rerank": REASON },
      metrics: () => metrics.render(engine.counts),
    };
  };
};
