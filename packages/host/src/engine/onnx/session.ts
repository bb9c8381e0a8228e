/**
 * ONNX Runtime with one model: feeds in, one output out.
 * @module
 */
import { InferenceSession, Tensor, env, listSupportedBackends } from "onnxruntime-node";
import { pool } from "./pool.ts";
import { toFloat32, type FeedType, type Numbers } from "./numbers.ts";
import { MAXIMUM_OUTPUT_VALUES, type Feed, type LoadCommand, type Output, type RunCommand, type RunFailure } from "./protocol.ts";

/** A loaded model. */
export interface NativeSession {
  /** Rejects with a {@link RunError}. */
  run(command: RunCommand): Promise<Output>;
}

/** Why a run gave nothing. */
export class RunError extends Error {
  readonly reason: RunFailure;

  constructor(reason: RunFailure) {
    super(reason);
    this.reason = reason;
  }
}

/**
 * Opens a model file.
 * @throws Error with ONNX Runtime's own message where the file cannot be used, {@link ProviderError} where the provider cannot
 */
export async function openSession({ file, threads, provider, output }: LoadCommand): Promise<NativeSession> {
  // Its remarks name ids that are out of range; nothing of a request may be printed.
  env.logLevel = "fatal";
  const supported = listSupportedBackends().map(({ name }) => name);
  if (!supported.includes(provider)) {
    throw new ProviderError(`this build has no provider "${provider}", it has ${supported.join(", ")}.`);
  }
  const session = await open(file, {
    executionProviders: [provider],
    // Its own choice is every core.
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    // Threads that spin while they wait doubled the processor time with two threads, for no gain that could be measured.
    extra: { session: { intra_op: { allow_spinning: "0" } } },
    executionMode: "sequential",
    graphOptimizationLevel: "all",
    logSeverityLevel: 4,
  });
  if (!session.outputNames.includes(output)) throw new Error("the graph has another output than its interface says.");
  return {
    async run({ feeds, pool: pooling }) {
      const answer = await evaluate(session, feeds, output);
      const { dims, type, data } = answer;
      // Pooling shrinks; without it everything crosses to the server.
      const pools = pooling !== null && dims.length === 3;
      if (!pools && answer.size > MAXIMUM_OUTPUT_VALUES) throw new RunError("large");
      const values = toFloat32(type, data);
      if (values === null) throw new RunError("refused");
      return pools ? pool({ shape: dims, data: values }, pooling) : { shape: [...dims], data: values };
    },
  };
}

/** The place to compute at is not there; the file may well be in order. */
export class ProviderError extends Error {}

async function open(file: string, options: InferenceSession.SessionOptions): Promise<InferenceSession> {
  try {
    return await InferenceSession.create(file, options);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw /ExecutionProvider|shared library/i.test(message) ? new ProviderError(message) : error;
  }
}

async function evaluate(session: InferenceSession, feeds: readonly Feed[], output: string): Promise<Tensor> {
  try {
    const tensors = Object.fromEntries(feeds.map(({ name, type, data, shape }) => [name, tensorOf(type, data, shape)]));
    return (await session.run(tensors, [output]))[output]!;
  } catch (error) {
    throw new RunError(/alloc|memory/i.test(error instanceof Error ? error.message : "") ? "memory" : "refused");
  }
}

function tensorOf(type: FeedType, data: Numbers, shape: readonly number[]): Tensor {
  // Half precision crosses as bits; newer runtimes have an array for it, which ONNX Runtime then insists on.
  const Half = (globalThis as { Float16Array?: new (buffer: ArrayBuffer, offset: number, length: number) => unknown }).Float16Array;
  const given = type === "float16" && Half ? new Half(data.buffer, data.byteOffset, data.length) : data;
  return new Tensor(type, given as never, shape);
}
