/**
 * `POST /v1/embeddings`, `/classify`, `/v1/rerank`: text and pictures in, vectors, labels and scores out.
 * @module
 */
import { encodeFloats } from "../encoders/encoder-host.ts";
import { classifySchema, embeddingsSchema, rerankSchema } from "../openai/encoder-schema.ts";
import { RequestError } from "../openai/errors.ts";
import { freshId, nowSeconds } from "../openai/identifiers.ts";
import { parseRequest } from "../openai/parse.ts";
import { listInputs } from "./encoder-inputs.ts";
import type { Exchange, GatewayContext } from "./exchange.ts";
import { readBody } from "./read-body.ts";

/** Vectors in OpenAI's shape. */
export async function embeddingsRoute(context: GatewayContext): Promise<Response> {
  const exchange = context.get("exchange");
  const request = parseRequest(embeddingsSchema, await readBody(context));
  const model = exchange.chooseEncoder(request.model);
  const inputs = listInputs(request);
  const { results, tokens } = await model.encoder.embed(inputs, { ...exchange.context(), encrypted: request.encrypted ?? false });
  const width = results[0]!.length;
  if ((request.dimensions ?? width) !== width)
    throw new RequestError("REQUEST_UNSUPPORTED", "dimensions", `dimensions: this model makes vectors of ${width} numbers, no others.`, {
      hint: "Leave dimensions out.",
    });
  const isBase64 = request.encoding_format === "base64";
  return context.json({
    object: "list",
    model: model.id,
    data: results.map((vector, index) => ({
      object: "embedding",
      index,
      embedding: isBase64 ? encodeFloats(vector) : Array.from(vector, Math.fround),
    })),
    usage: usageOf(exchange, tokens),
  });
}

/** Labels in vLLM's shape, with the logits. */
export async function classifyRoute(context: GatewayContext): Promise<Response> {
  const exchange = context.get("exchange");
  const request = parseRequest(classifySchema, await readBody(context));
  const model = exchange.chooseEncoder(request.model);
  const { results, tokens } = await model.encoder.classify(listInputs(request), exchange.context());
  return context.json({
    id: freshId("classify-"),
    object: "list",
    created: nowSeconds(),
    model: model.id,
    data: results.map(({ label, probabilities, logits }, index) => ({
      index,
      label,
      probs: probabilities,
      logits,
      num_classes: logits.length,
    })),
    usage: usageOf(exchange, tokens),
  });
}

/** Documents by how well they fit a query, best first, in the shape of Jina and Cohere. */
export async function rerankRoute(context: GatewayContext): Promise<Response> {
  const exchange = context.get("exchange");
  const request = parseRequest(rerankSchema, await readBody(context));
  const model = exchange.chooseEncoder(request.model);
  const texts = request.documents.map((document) => (typeof document === "string" ? document : document.text));
  const { results, tokens } = await model.encoder.rerank(request.query, texts, exchange.context());
  const ranked = results.map((score, index) => ({ index, score })).toSorted((one, other) => other.score - one.score);
  return context.json({
    id: freshId("rerank-"),
    model: model.id,
    results: ranked.slice(0, request.top_n ?? ranked.length).map(({ index, score }) => ({
      index,
      relevance_score: score,
      ...(request.return_documents === false ? {} : { document: { text: texts[index] } }),
    })),
    usage: usageOf(exchange, tokens),
  });
}

function usageOf(exchange: Exchange, tokens: number): object {
  exchange.prompt(tokens);
  return { prompt_tokens: tokens, total_tokens: tokens };
}
