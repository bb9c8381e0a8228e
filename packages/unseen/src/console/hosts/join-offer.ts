/**
 * One offered model for all hosts that serve it: they share its work and stand in for each other.
 * @module
 */
import type { BlindEncoder } from "@unseen/client/encoders/blind-encoder.ts";
import { EncoderHost } from "@unseen/client/encoders/encoder-host.ts";
import type { ModelHost } from "@unseen/client/engines/engine.ts";
import { serveModel, type EncoderModel, type GatewayModel, type OfferedModel } from "@unseen/client/gateway/model.ts";
import type { Offer } from "@unseen/client/gateway/offer.ts";
import type { Host } from "../../models.ts";
import { pairOf } from "../../shares/share-pair.ts";

/** The offered model of that fingerprint at hosts, not at two servers. */
export function offeredAtHosts(offer: Offer, fingerprint: string): OfferedModel | null {
  return offer.models.find((model) => model.bundle.fingerprint === fingerprint && !model.engines.some(pairOf)) ?? null;
}

/**
 * Lets a host take part in a model that is offered already.
 *
 * @param leaving engines whose place it takes
 * @returns the new engine; none where the host takes part already; null where the model is not offered
 */
export function joinOffered(
  offer: Offer,
  fingerprint: string,
  { address, engine }: Host,
  leaving: ReadonlySet<ModelHost> = new Set(),
): ModelHost[] | null {
  const model = offeredAtHosts(offer, fingerprint);
  if (!model) return null;
  const stays = (other: ModelHost): boolean => !leaving.has(other);
  if (model.engines.some((other) => other.url === engine.url && stays(other))) return [];
  if ("encoder" in model) {
    const host = new EncoderHost(address);
    replace(offer, encoderModel(model.id, model, model.encoder.withEngines([...model.encoder.engines.filter(stays), host])));
    return [host];
  }
  replace(offer, decoderModel(model, [...model.engines.filter(stays), engine]));
  return [engine];
}

/** Takes hosts away from all offered models; a model without a host is offered no longer. */
export function leaveOffer(offer: Offer, leaving: ReadonlySet<ModelHost>): void {
  for (const model of offer.models) {
    if (!model.engines.some((engine) => leaving.has(engine))) continue;
    if (model.engines.every((engine) => leaving.has(engine))) {
      offer.remove(model.id);
      closeModel(model);
    } else if ("encoder" in model) {
      const engines = model.encoder.engines.filter((engine) => !leaving.has(engine));
      replace(offer, encoderModel(model.id, model, model.encoder.withEngines(engines)));
    } else
      replace(
        offer,
        decoderModel(
          model,
          model.engines.filter((engine) => !leaving.has(engine)),
        ),
      );
  }
}

/** Offers a model that nobody offers yet; where another has its name, with the beginning of its fingerprint. */
export function offerNew(offer: Offer, model: GatewayModel | EncoderModel): OfferedModel {
  const { id, bundle } = model;
  return offer.add(offer.models.some((other) => other.id === id) ? renamed(model, `${id}@${bundle.fingerprint.slice(0, 8)}`) : model);
}

/** The same under another id. */
export function renamed(model: GatewayModel | EncoderModel, id: string): GatewayModel | EncoderModel {
  return "encoder" in model ? encoderModel(id, model, model.encoder) : { ...model, id };
}

/** Ends what a model keeps open that is offered no longer. */
export function closeModel(model: OfferedModel): void {
  if ("encoder" in model) model.encoder.close();
  else for (const engine of model.engines) engine.close?.();
}

/** Without an await in between, so that no request finds it missing. */
function replace(offer: Offer, model: OfferedModel): void {
  offer.remove(model.id);
  offer.add(model);
}

function decoderModel({ id, bundle, tokenizer, cipher }: GatewayModel, engines: GatewayModel["engines"]): OfferedModel {
  return serveModel({ id, bundle, tokenizer, cipher, engines });
}

function encoderModel(id: string, { bundle, tokenizer }: EncoderModel, encoder: BlindEncoder): EncoderModel {
  return {
    id,
    bundle,
    tokenizer,
    engines: encoder.engines,
    encoder,
    get contextLength() {
      return encoder.maximumLength;
    },
  };
}
