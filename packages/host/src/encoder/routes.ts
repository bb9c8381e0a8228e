/**
 * `POST /v1/embeddings`, `/classify` and `/v1/rerank`: runs checked requests and answers in OpenAI's, vLLM's and Jina's shapes, in numbers.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { requireModel, type Route } from "../application.ts";
import type { Output } from "../engine/onnx/protocol.ts";
import type { Row } from "../engine/onnx/rows.ts";
import type { SessionSupervisor } from "../engine/onnx/supervisor.ts";
import type { EncoderMetrics } from "./metrics.ts";
import { parseClassifyRequest, parseEmbeddingsRequest, parseRerankRequest, type EncoderLimits } from "./request.ts";

/** What all answers of a server share. */
export interface EncoderContext {
  readonly engine: SessionSupervisor;
  readonly metrics: EncoderMetrics;
  /** Name under which the model is served. */
  readonly model: string;
  /** Asked for anew with each request: what the model can is known once it is loaded. */
  limits(): EncoderLimits;
}

/** The routes by path. */
export function encoderRoutes(encoder: EncoderContext): Readonly<Record<string, Route>> {
  const { model } = encoder;
  return {
    "/v1/embeddings": async (body, context) => {
      const request = parseEmbeddingsRequest(body, encoder.limits());
      requireModel(request.model ?? model, model);
      const outputs = await run(encoder, request.rows, context.req.raw.signal);
      const data = outputs.map((output, index) => {
        const vector = vectorOf(output);
        return { object: "embedding", index, embedding: request.isBase64 ? toBase64(vector) : Array.from(vector) };
      });
      return context.json({ object: "list", data, model, usage: usage(request.tokens) });
    },
    "/classify": async (body, context) => {
      const request = parseClassifyRequest(body, encoder.limits());
      requireModel(request.model ?? model, model);
      const outputs = await run(encoder, request.rows, context.req.raw.signal);
      const data = outputs.map((output, index) => ({ index, outputs: Array.from(output.data), shape: output.shape }));
      return context.json({ object: "list", model, data, usage: usage(request.tokens) });
    },
    "/v1/rerank": async (body, context) => {
      const request = parseRerankRequest(body, encoder.limits());
      requireModel(request.model ?? model, model);
      const outputs = await run(encoder, request.rows, context.req.raw.signal);
      if (request.by === "score") {
        const results = outputs.map((output, index) => ({ index, outputs: Array.from(output.data) }));
        return context.json({ model, results, usage: usage(request.tokens) });
      }
      const [query, ...documents] = outputs.map(vectorOf) as [Float32Array, ...Float32Array[]];
      const results = documents
        .map((vector, index) => ({ index, relevance_score: cosine(query, vector) }))
        .toSorted((left, right) => right.relevance_score - left.relevance_score || left.index - right.index)
        .slice(0, request.best);
      return context.json({ model, results, usage: usage(request.tokens) });
    },
  };
}

/** Runs all rows; resolves when every one has its result. Rejects with the first failure, cancelling the rest. */
function run({ engine, metrics }: EncoderContext, rows: readonly Row[], signal: AbortSignal): Promise<Output[]> {
  const { promise, resolve, reject } = Promise.withResolvers<Output[]>();
  const outputs: Output[] = [];
  let open = rows.length;
  let cancel = (): void => {};
  const settle = (error: UnseenError | null): void => {
    signal.removeEventListener("abort", abort);
    if (error) {
      cancel();
      reject(error);
    } else resolve(outputs);
  };
  const abort = (): void => {
    metrics.cancelled(open);
    settle(new UnseenError("REQUEST_INVALID", "the client went away."));
  };
  if (signal.aborted) {
    abort();
    return promise;
  }
  signal.addEventListener("abort", abort, { once: true });
  try {
    cancel = engine.submit(
      rows.map((row, index) => {
        const clock = metrics.begin();
        return {
          row,
          listener: {
            done(output: Output) {
              clock.done();
              outputs[index] = output;
              if (--open === 0) settle(hasNonFinite(outputs) ? notFinite() : null);
            },
            fail(error: UnseenError) {
              clock.fail();
              settle(error);
            },
          },
        };
      }),
    );
  } catch (error) {
    signal.removeEventListener("abort", abort);
    throw error;
  }
  return promise;
}

function hasNonFinite(outputs: readonly Output[]): boolean {
  return outputs.some(({ data }) => !data.every(Number.isFinite));
}

/** JSON has no word for it, and null would be taken for a missing number. */
function notFinite(): UnseenError {
  return new UnseenError("REQUEST_INVALID", "the input: the model's answer to it has numbers that are not finite.");
}

function vectorOf({ shape, data }: Output): Float32Array {
  if (shape.length === 1) return data;
  throw new UnseenError("REQUEST_UNSUPPORTED", "this model does not give one vector per input.", {
    hint: "POST /classify gives what there is.",
  });
}

/** As OpenAI has it: float32, little-endian. */
function toBase64(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString("base64");
}

function cosine(left: Float32Array, right: Float32Array): number {
  let product = 0;
  let leftSquares = 0;
  let rightSquares = 0;
  for (let index = 0; index < left.length; index++) {
    product += left[index]! * right[index]!;
    leftSquares += left[index]! ** 2;
    rightSquares += right[index]! ** 2;
  }
  const norm = Math.sqrt(leftSquares * rightSquares);
  return norm === 0 ? 0 : product / norm;
}

function usage(tokens: number): object {
  return { prompt_tokens: tokens, total_tokens: tokens };
}
