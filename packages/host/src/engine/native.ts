/**
 * The part of llama.cpp that the engine drives: node-llama-cpp's binding, below its public iterators.
 *
 * The public `evaluate()` cannot report the model's own log-probabilities beside a sampled token, cannot stop in the middle
 * of a long prompt, refuses to bias end-of-sequence ids, sorts the whole vocabulary for `topK: 0`, and costs 0.2 ms more per
 * token. The binding does all of it; it is not covered by the package's versioning, so the version is pinned exactly and
 * {@link openNative} checks what it uses before it is used.
 * @module
 */
import { LlamaLogLevel, getLlama } from "node-llama-cpp";
import type { LoadCommand } from "./protocol.ts";

/** ggml's F32 and F16: weights precise enough that a half-precision cache would be what tells answers apart. */
const EXACT_TENSOR_TYPES: ReadonlySet<number> = new Set([0, 1]);

/** A chain of samplers with a random state: one per running sequence. */
export interface NativeSampler {
  applyConfig(configuration: {
    temperature?: number;
    topK?: number;
    topP?: number;
    minP?: number;
    seed?: number;
    repeatPenalty?: number;
    repeatPenaltyMaxTokens?: number;
    repeatPenaltyTokens?: Uint32Array;
    repeatPenaltyPresencePenalty?: number;
    repeatPenaltyFrequencyPenalty?: number;
    tokenBiasKeys?: Uint32Array;
    tokenBiasValues?: Float32Array;
  }): void;
  dispose(): void;
}

/** `[tokens, includeMaximum, includeMinimum, includeSelected, includeTop]`: whose logits to return. */
export type LogitFilter = [tokens: number[], maximum: boolean, minimum: boolean, selected: boolean, top: number];

/** `[token, probabilities, confidence, [id, logit, ...], sum of exp(logit - maximum)]`. */
export type SampledLogits = [number, unknown, unknown, number[] | undefined, number | undefined];

/** llama.cpp's context with its key-value cache of several sequences. */
export interface NativeContext {
  initBatch(tokens: number): void;
  /** Returns the batch positions whose logits were asked for. */
  addToBatch(sequence: number, firstPosition: number, tokens: Uint32Array, logitIndexes: Uint32Array): Uint32Array;
  decodeBatch(): Promise<void>;
  sampleToken(batchPosition: number, sampler: NativeSampler): Promise<number>;
  sampleToken(
    batchPosition: number,
    sampler: NativeSampler,
    probabilities: false,
    confidence: false,
    logits: LogitFilter,
    totalWeight: true,
  ): Promise<SampledLogits>;
  disposeSequence(sequence: number): void;
  removeTokenCellsFromSequence(sequence: number, start: number, end: number): boolean;
  getSequenceKvCacheMinPosition(sequence: number): number;
}

/** A loaded model, ready to decode. */
export interface NativeEngine {
  readonly context: NativeContext;
  /** Cells of the sliding attention window, or null where every layer sees everything. */
  readonly slidingWindow: number | null;
  /** Tokens per sequence that the cache holds. */
  readonly cacheCells: number;
  createSampler(): NativeSampler;
}

/**
 * Loads a GGUF file on the CPU. Never compiles or downloads anything, never tokenises (a placeholder vocabulary may abort the process).
 * @throws Error with llama.cpp's own last message where the file cannot be used
 */
export async function openNative(load: LoadCommand): Promise<NativeEngine> {
  let lastError = "";
  let loading = true;
  const llama = await getLlama({
    gpu: false,
    build: "never",
    maxThreads: load.threads,
    logLevel: LlamaLogLevel.error,
    // While loading, messages are about the file. Later ones could name tokens, so nothing of them is kept.
    logger: (_level, message) => {
      if (loading) lastError = message.trim();
    },
  });
  try {
    const model = await llama.loadModel({ modelPath: load.file, gpuLayers: 0, useMmap: true });
    const single =
      load.cacheFormat === "f32" || (load.cacheFormat === "auto" && EXACT_TENSOR_TYPES.has(model.fileInsights.dominantTensorType ?? -1));
    const context = await model.createContext({
      contextSize: load.contextLength,
      sequences: load.sequences,
      batchSize: load.batchSize,
      threads: load.threads,
      failedCreationRemedy: false,
      // Flash attention computes in half precision whatever the cache holds: 4e-3 in the logits instead of 2e-6.
      ...(single ? { flashAttention: false, experimentalKvCacheKeyType: "F32", experimentalKvCacheValueType: "F32" } : {}),
    });
    const native = (context as unknown as { _ctx?: NativeContext })._ctx;
    const binding = (llama as unknown as { _bindings?: { AddonSampler?: new (model: unknown) => NativeSampler } })._bindings;
    const nativeModel = (model as unknown as { _model?: unknown })._model;
    const Sampler = binding?.AddonSampler;
    const methods = ["initBatch", "addToBatch", "decodeBatch", "sampleToken", "disposeSequence", "removeTokenCellsFromSequence"] as const;
    if (!native || !Sampler || !nativeModel || methods.some((method) => typeof native[method] !== "function")) {
      throw new Error("node-llama-cpp has another binding than version 3.22.1.");
    }
    loading = false;
    return {
      context: native,
      slidingWindow: model.fileInsights.swaSize ?? null,
      cacheCells: context.contextSize,
      createSampler: () => new Sampler(nativeModel),
    };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(lastError === "" ? reason : `${reason} (${lastError})`, { cause: error });
  }
}
