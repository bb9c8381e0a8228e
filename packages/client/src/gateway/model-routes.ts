/**
 * `GET /v1/models` and `GET /v1/models/:id`; `POST /v1/embeddings`, which needs a model that makes embeddings.
 * @module
 */
import { z } from "zod";
import { RequestError } from "../openai/errors.ts";
import { parseRequest } from "../openai/parse.ts";
import type { Gateway, GatewayContext } from "./exchange.ts";
import type { ServedModel } from "./model.ts";
import { readBody } from "./read-body.ts";

/** Lists the models. */
export function listModelsRoute(gateway: Gateway): (context: GatewayContext) => Response {
  return (context) => context.json({ object: "list", data: gateway.models.map(modelRow) });
}

/** Shows one model. @throws UnseenError MODEL_NOT_FOUND. */
export function showModelRoute(context: GatewayContext): Response {
  // Names may hold slashes, as in `org/name`; clients send them as they are or encoded.
  const name = decode(context.req.path.slice("/v1/models/".length));
  return context.json(modelRow(context.get("exchange").choose(name)));
}

/** A name that is no valid encoding is nobody's name. */
function decode(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

const embeddingsSchema = z.object({ model: z.string().nullish() });

/** Says that a model writes text and makes no embeddings. @throws RequestError REQUEST_UNSUPPORTED. */
export async function embeddingsRoute(context: GatewayContext): Promise<Response> {
  const request = parseRequest(embeddingsSchema, await readBody(context));
  const model = context.get("exchange").choose(request.model);
  throw new RequestError("REQUEST_UNSUPPORTED", "model", `model ${model.id} writes text; it makes no embeddings.`, {
    hint: "Encoder models are not served by this version yet.",
  });
}

function modelRow({ id, bundle, contextLength }: ServedModel): unknown {
  return {
    id,
    object: "model",
    created: Math.floor(Date.parse(bundle.created) / 1000) || 0,
    owned_by: "unseen",
    max_model_len: contextLength,
    unseen: { fingerprint: bundle.fingerprint, strength: bundle.strength, family: bundle.family },
  };
}
