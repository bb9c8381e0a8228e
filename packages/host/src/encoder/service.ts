/**
 * Encoders, classifiers and vision models on ONNX Runtime: ONNX files.
 * @module
 */
import { SessionSupervisor } from "../engine/onnx/supervisor.ts";
import type { PrepareService } from "../service.ts";
import { takesSequences } from "./ends.ts";
import { EncoderMetrics } from "./metrics.ts";
import { maximumRowsFor } from "./request.ts";
import { encoderRoutes } from "./routes.ts";

const DEFAULT_LENGTH = 512; // tokens, where neither the model nor the operator says
const DEFAULT_QUEUE = 1024; // rows
/** A processor gains little from large batches, and whoever comes late waits for the whole run. */
const CPU_LIMITS = { rows: 16, tokens: 2048 };
const ACCELERATOR_LIMITS = { rows: 64, tokens: 16_384 };

const REASON = "this server does not generate text; it runs an ONNX model.";

export const prepareEncoder: PrepareService = async (admitted, options) => {
  const { name, log, threads = 1, provider = "cpu", maximumQueue = DEFAULT_QUEUE, contextSize } = options;
  const ends = admitted.ends!;
  const described = ends.interface;
  const own = described.maximumLength;
  const maximumLength = contextSize === undefined ? (own ?? DEFAULT_LENGTH) : Math.min(contextSize, own ?? Infinity);
  const defaults = provider === "cpu" ? CPU_LIMITS : ACCELERATOR_LIMITS;
  const limits = { rows: options.batchRows ?? defaults.rows, tokens: options.batchTokens ?? defaults.tokens };
  const ids = described.inputs.find(({ kind }) => kind === "ids");
  const length = takesSequences(described) ? maximumLength : null;
  return () => {
    const metrics = new EncoderMetrics(name);
    const engine = new SessionSupervisor({
      file: admitted.path,
      threads,
      provider,
      interface: described,
      idsAreCausal: ids === undefined || (ends.lookups.get(ids.name)?.isCausal ?? false),
      isHalf: ends.isHalf,
      maximumLength,
      limits,
      maximumQueue,
      log,
      onRun: (record) => metrics.ran(record),
    });
    const maximumRows = maximumRowsFor(maximumQueue, limits.rows);
    const { manifest } = admitted;
    return {
      engine,
      engineName: "onnxruntime",
      manifest,
      vocabularySize: manifest?.vocabularySize ?? ids?.vocabularySize ?? 0,
      maximumLength: length,
      facts: manifest && {
        fingerprint: manifest.fingerprint,
        vocabularySize: manifest.vocabularySize,
        strength: manifest.strength,
        family: manifest.family,
        interface: described,
      },
      settings: `${length === null ? "" : `context=${length} `}rows=${limits.rows} tokens=${limits.tokens} threads=${threads} provider=${provider}`,
      routes: encoderRoutes({ engine, metrics, model: name, limits: () => ({ ends, plan: engine.plan, maximumLength, maximumRows }) }),
      refused: { "/v1/completions": REASON },
      metrics: () => metrics.render(engine.counts),
    };
  };
};
