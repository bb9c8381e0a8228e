/**
 * The models that a running gateway offers. They may come and go while it runs.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { serveModel, type GatewayModel, type OfferedModel } from "./model.ts";

export class Offer {
  #models: readonly OfferedModel[];

  constructor(models: readonly (GatewayModel | OfferedModel)[] = []) {
    this.#models = models.map((model) => serveModel(model));
  }

  get models(): readonly OfferedModel[] {
    return this.#models;
  }

  /** Offers one more. @throws UnseenError CONFLICT where one of that id is offered. */
  add(model: GatewayModel | OfferedModel): OfferedModel {
    if (this.#models.some(({ id }) => id === model.id))
      throw new UnseenError("CONFLICT", `a model named ${model.id} is offered already.`, { hint: "Remove that one first." });
    const served = serveModel(model);
    this.#models = [...this.#models, served];
    return served;
  }

  /** Offers it no longer; requests that run go on. The caller closes its hosts. */
  remove(id: string): OfferedModel | null {
    const found = this.#models.find((model) => model.id === id) ?? null;
    this.#models = this.#models.filter((model) => model !== found);
    return found;
  }
}
