/**
 * `GET /v1/models` and `GET /v1/models/:id`.
 * @module
 */
import type { HostAttestation } from "../engines/attested-connection.ts";
import type { Gateway, GatewayContext } from "./exchange.ts";
import type { OfferedModel } from "./model.ts";

/** Lists the models. */
export function listModelsRoute(gateway: Gateway): (context: GatewayContext) => Response {
  return (context) => context.json({ object: "list", data: gateway.models.map(modelRow) });
}

/** Shows one model. @throws UnseenError MODEL_NOT_FOUND. */
export function showModelRoute(context: GatewayContext): Response {
  // Names may hold slashes, as in `org/name`; clients send them as they are or encoded.
  const name = decode(context.req.path.slice("/v1/models/".length));
  return context.json(modelRow(context.get("exchange").find(name)));
}

/** A name that is no valid encoding is nobody's name. */
function decode(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

function modelRow(model: OfferedModel): unknown {
  const { id, bundle, contextLength } = model;
  const attestations = model.engines.flatMap(({ attestation }) => (attestation ? [attestationRow(attestation)] : []));
  return {
    id,
    object: "model",
    created: Math.floor(Date.parse(bundle.created) / 1000) || 0,
    owned_by: "unseen",
    // JSON has no infinity: a model of pictures has no length.
    max_model_len: Number.isFinite(contextLength) ? contextLength : null,
    unseen: {
      fingerprint: bundle.fingerprint,
      strength: bundle.strength,
      family: bundle.family,
      ...("encoder" in model ? { task: model.encoder.task } : {}),
      ...(attestations.length > 0 ? { attestation: attestations } : {}),
    },
  };
}

/** What a host has shown so far. */
function attestationRow({ url, proof }: HostAttestation): unknown {
  return { host: url, ...(proof ? { ...proof, verifiedAt: new Date(proof.verifiedAt).toISOString() } : { kind: null }) };
}
