/**
 * The models that can be asked now, as pages show them.
 * @module
 */
import type { OfferedModel } from "@unseen/client/gateway/model.ts";
import type { OfferedRow, Protection } from "@unseen/web/protocol/library.ts";

/** Stands in an offered model's id between its name and what tells apart the same model under two protections. */
const PROTECTION_MARK = "@";

/** One offered model. */
export function offeredRow(model: OfferedModel): OfferedRow {
  const { id, bundle, engines, contextLength } = model;
  return {
    id,
    name: id.split(PROTECTION_MARK, 1)[0] || id,
    fingerprint: bundle.fingerprint,
    family: bundle.family,
    strength: bundle.strength,
    task: taskOf(model),
    protection: protectionOf(model),
    simulated: engines.some(({ attestation }) => attestation?.simulated === true),
    contextLength: contextLength > 0 && Number.isFinite(contextLength) ? contextLength : null,
    hosts: engines.map(({ url }) => url),
    defaults: defaultsOf(model),
  };
}

function taskOf(model: OfferedModel): OfferedRow["task"] {
  // Without a tokenizer there is no text to talk with.
  if (!("encoder" in model)) return model.tokenizer ? "chat" : "other";
  if (model.encoder.readsPictures) return "vision";
  return model.encoder.task;
}

function protectionOf({ engines }: OfferedModel): Protection {
  // Engines over two servers hold the pair; those that continue text say besides that no machine gets ids.
  if (engines.some((engine) => "keepsIds" in engine || "pair" in engine)) return "shares";
  return engines.length > 0 && engines.every(({ attestation }) => attestation !== undefined) ? "ee+tee" : "ee";
}

function defaultsOf({ bundle: { generation } }: OfferedModel): OfferedRow["defaults"] {
  const { temperature, topP, topK, minP, repetitionPenalty } = generation;
  return {
    ...(temperature === undefined ? {} : { temperature }),
    ...(topP === undefined ? {} : { top_p: topP }),
    ...(topK === undefined ? {} : { top_k: topK }),
    ...(minP === undefined ? {} : { min_p: minP }),
    ...(repetitionPenalty === undefined ? {} : { repetition_penalty: repetitionPenalty }),
  };
}
