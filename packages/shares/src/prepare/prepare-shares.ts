/**
 * Takes a model apart for two servers: whole-number weights for both of them, everything else for the client.
 *
 * Each server directory holds `shares.json` and `weights.safetensors`, the same in both. The client directory holds
 * `client.json`, `client.safetensors`, and `checks.safetensors`, which no server may see.
 * @module
 */
import { randomFillSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { blueprintOf } from "@unseen/core/blueprint/families/index.ts";
import type { Model } from "@unseen/core/blueprint/model.ts";
import { OutputPlace } from "@unseen/core/blueprint/output-place.ts";
import { checkShapes } from "@unseen/core/blueprint/plan.ts";
import { UnseenError, explainSystemError } from "@unseen/core/errors.ts";
import type { Linear } from "@unseen/core/reference/weights.ts";
import { makeProjection, type Projection } from "../client/integrity.ts";
import { ProjectionFile, limbsOf } from "../client/projection-file.ts";
import { limbName, type Layout } from "../layout.ts";
import { CLIENT_FILES, checkClient } from "../model/client-model.ts";
import { SHARE_FILES, checkLayout } from "../model/share-directory.ts";
import { activationLimit } from "../multiplier.ts";
import { keepVector, takeApart, type ClientTensor, type Parts } from "./parts.ts";
import { quantise } from "./quantise.ts";
import { SERVER_README } from "./readme.ts";
import { TensorFile } from "./tensor-file.ts";

export interface PrepareShares {
  /** Plain, or encrypted: then the ids that the client's model takes are cipher ids. */
  readonly model: Model;
  /** Of a weight. */
  readonly bits: 8 | 16;
  /** New directories of the two servers. */
  readonly outA: string;
  readonly outB: string;
  /** New directory of the client. */
  readonly client: string;
  /** Of the model; both sides name it. */
  readonly fingerprint: string;
  /** Makes the secret check of one limb, (out, in); at random unless given. */
  readonly project?: (weights: Int8Array, out: number, inward: number) => Projection;
  readonly log?: (line: string) => void;
}

export interface PreparedShares {
  readonly layout: Layout;
  /** Activation limits by group. */
  readonly limits: readonly number[];
  /** Of the weights of one server. */
  readonly serverBytes: number;
  /** Of the client's numbers, without the checks. */
  readonly clientBytes: number;
}

/**
 * Writes the three directories; each appears whole or not at all, the client's last. One layer of the model is in memory at a time.
 *
 * @throws UnseenError FAMILY_*, CHECKPOINT_*, OUTPUT_EXISTS, DISK_FULL, PERMISSION_DENIED
 */
export function prepareShares(options: PrepareShares): PreparedShares {
  const { model, bits, fingerprint } = options;
  const blueprint = blueprintOf(model.config);
  checkShapes(model, blueprint);
  const parts = takeApart(model, blueprint);
  const layout = checkLayout({ format: "unseen-shares/1", fingerprint, limbs: bits === 8 ? 1 : 2, groups: parts.groups }, "the model");

  const places: OutputPlace[] = [];
  try {
    for (const path of [options.outA, options.outB, options.client]) places.push(new OutputPlace(path));
    const [serverA, serverB, client] = places.map(({ directory }) => directory) as [string, string, string];
    const { limits, serverBytes } = writeWeights(parts, layout, [serverA, serverB], client, options);
    for (const server of [serverA, serverB]) {
      writeFileSync(join(server, SHARE_FILES.layout), JSON.stringify(layout));
      writeFileSync(join(server, "README.md"), SERVER_README);
    }
    const clientBytes = writeKept(parts.kept, client);
    const { config, rotaryLayout } = model;
    const description = checkClient({ format: "unseen-shares-client/1", layout, limits, config, rotaryLayout }, "the model");
    writeFileSync(join(client, CLIENT_FILES.description), JSON.stringify(description));
    for (const place of places) place.commit();
    return { layout, limits, serverBytes, clientBytes };
  } catch (error) {
    for (const place of places) place.discard();
    throw explainSystemError(error, options.client);
  }
}

/** Writes every layer's limbs and their checks; scales and biases go to what is kept. */
function writeWeights(
  parts: Parts,
  layout: Layout,
  servers: readonly string[],
  client: string,
  { project = projectAtRandom, log }: PrepareShares,
): { limits: number[]; serverBytes: number } {
  const tensors = limbsOf(layout).map((limb) => ({ name: limb.name, format: "I8" as const, shape: [limb.out, limb.in] }));
  const weights = new TensorFile(SHARE_FILES.weights, servers, tensors);
  const linears = parts.linears();
  const limits: number[] = [];
  const checks = ProjectionFile.create(join(client, CLIENT_FILES.checks), layout);
  try {
    for (const group of layout.groups) {
      let largestRowSum = 0;
      for (const { name, out } of group.layers) {
        const linear = linears.next().value as Linear;
        if (linear.out !== out || linear.in !== group.in)
          throw new UnseenError("INTERNAL", `layer ${name} must be (${out}, ${group.in}), got (${linear.out}, ${linear.in}).`);
        const quantised = quantise(linear, layout.limbs);
        for (const [limb, numbers] of quantised.limbs.entries()) {
          weights.write(limbName(name, limb), numbers);
          checks.add(name, limb, project(numbers, out, group.in));
        }
        keepVector(parts.kept, `${name}.scale`, quantised.scales);
        if (linear.bias) keepVector(parts.kept, `${name}.bias`, linear.bias);
        largestRowSum = Math.max(largestRowSum, quantised.largestRowSum);
      }
      limits.push(provenLimit(largestRowSum));
      log?.(`${group.name}: group ${limits.length} of ${layout.groups.length}`);
    }
  } catch (error) {
    try {
      checks.close();
    } catch {
      // That projections are missing is no news after another failure.
    }
    throw error;
  } finally {
    weights.close();
  }
  checks.close();
  return { limits, serverBytes: weights.bytes };
}

function writeKept(kept: ReadonlyMap<string, ClientTensor>, client: string): number {
  const file = new TensorFile(
    CLIENT_FILES.tensors,
    [client],
    [...kept].map(([name, { shape }]) => ({ name, shape, format: "F32" })),
  );
  try {
    for (const [name, tensor] of kept) file.write(name, tensor.read());
  } finally {
    file.close();
  }
  return file.bytes;
}

function projectAtRandom(weights: Int8Array, out: number, inward: number): Projection {
  return makeProjection(weights, out, inward, randomFillSync<Uint8Array>);
}

/** A group's activation limit, by which no sum leaves the signed 32-bit range. Throws `INTERNAL` should it be wrong. */
export function provenLimit(largestRowSum: number): number {
  const limit = activationLimit(largestRowSum);
  if (limit >= 1 && limit * largestRowSum <= 2 ** 31 - 1) return limit;
  throw new UnseenError("INTERNAL", `activations up to ${limit} times weights of sum ${largestRowSum} exceed 32 bits.`);
}
