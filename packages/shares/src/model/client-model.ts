/**
 * The client's directory: how the model is built, and every number that is not in a linear layer.
 * @module
 */
import { join } from "node:path";
import { isObject, type JsonObject } from "@unseen/core/blueprint/config.ts";
import { readTensor } from "@unseen/core/blueprint/read-tensor.ts";
import { openSafetensors } from "@unseen/core/checkpoint/safetensors.ts";
import type { TensorLocation } from "@unseen/core/checkpoint/tensor.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import type { NormWeights } from "@unseen/core/reference/weights.ts";
import { z } from "zod";
import { layoutSchema, type Group, type Layout } from "../layout.ts";
import { LARGEST_ACTIVATION } from "../multiplier.ts";
import { PREPARE_AGAIN, checkLayout, invalidFile, readJsonFile, requireTensor } from "./share-directory.ts";

/** `checks` is secret: whoever knows it can answer wrongly unnoticed. */
export const CLIENT_FILES = { description: "client.json", tensors: "client.safetensors", checks: "checks.safetensors" } as const;

const clientSchema = z.strictObject({
  format: z.literal("unseen-shares-client/1"),
  layout: layoutSchema,
  /** Largest magnitudes of whole-number activations, by group. */
  limits: z.array(z.number().int().min(1).max(LARGEST_ACTIVATION)),
  /** As in the model's `config.json`. */
  config: z.custom<JsonObject>((value) => isObject(value as JsonObject)),
  rotaryLayout: z.enum(["half", "interleaved"]),
});

/** `client.json`. */
export type ClientDescription = z.infer<typeof clientSchema>;

/** A value as a client's description. Throws `BUNDLE_INVALID`. */
export function checkClient(value: unknown, where: string): ClientDescription {
  const result = clientSchema.safeParse(value);
  if (!result.success) throw invalidFile(where, "a description of unseen-shares-client/1", result.error.issues[0]);
  checkLayout(result.data.layout, where);
  if (result.data.limits.length !== result.data.layout.groups.length) throw invalidFile(where, "one limit for each group");
  return result.data;
}

/** An open client directory. */
export class ClientModel {
  readonly description: ClientDescription;
  readonly #tensors: ReadonlyMap<string, TensorLocation>;

  private constructor(description: ClientDescription, tensors: ReadonlyMap<string, TensorLocation>) {
    this.description = description;
    this.#tensors = tensors;
  }

  /** Reads the description and the tensors' headers. Throws `CHECKPOINT_*`, `BUNDLE_INVALID`, `PERMISSION_DENIED`. */
  static async open(directory: string): Promise<ClientModel> {
    const description = checkClient(readJsonFile(join(directory, CLIENT_FILES.description)), CLIENT_FILES.description);
    const { tensors } = await openSafetensors(join(directory, CLIENT_FILES.tensors));
    return new ClientModel(description, tensors);
  }

  get layout(): Layout {
    return this.description.layout;
  }

  /** Throws `BUNDLE_INVALID` unless the layout is that of the configuration. */
  requireGroups(expected: readonly Group[]): void {
    if (JSON.stringify(this.layout.groups) !== JSON.stringify(expected))
      throw invalidFile(CLIENT_FILES.description, "the groups that its configuration describes");
  }

  /** All numbers of a tensor. Throws `CHECKPOINT_MISSING_TENSOR`, `CHECKPOINT_WRONG_SHAPE`, `CHECKPOINT_NON_FINITE` and such. */
  tensor(name: string, ...shape: readonly number[]): Float32Array {
    const tensor = requireTensor(this.#tensors, name, "F32", shape);
    const values = readTensor(tensor, new Float32Array(tensor.bytes / 4));
    if (values.every(Number.isFinite)) return values;
    throw new UnseenError("CHECKPOINT_NON_FINITE", `tensor ${name} holds NaN or infinity.`, { hint: PREPARE_AGAIN });
  }

  /** As {@link ClientModel.tensor}; null where it is absent. */
  optional(name: string, ...shape: readonly number[]): Float32Array | null {
    return this.#tensors.has(name) ? this.tensor(name, ...shape) : null;
  }

  norm(name: string, size: number): NormWeights {
    return { gain: this.tensor(`${name}.gain`, size), bias: this.optional(`${name}.bias`, size) };
  }
}
