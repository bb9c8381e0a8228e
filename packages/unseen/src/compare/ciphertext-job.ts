/**
 * First layers of the bundled network on ciphertext, ready to be evaluated again and again.
 * @module
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { decodeOnnx, type OnnxModel } from "@unseen/core/checkpoint/onnx.ts";
import { Session } from "@unseen/fhe/client/session.ts";
import { compile } from "@unseen/fhe/compile/compile.ts";
import type { Evaluator } from "@unseen/fhe/evaluator/evaluator.ts";
import { readHeads } from "@unseen/fhe/graph/read-heads.ts";
import type { Head } from "@unseen/fhe/layer.ts";
import type { Parameters } from "@unseen/fhe/parameters.ts";
import type { PlannedCut } from "@unseen/fhe/plan.ts";
import { planCuts } from "@unseen/fhe/planner/plan-cuts.ts";
import { BUNDLED_PICTURE_MODEL } from "../bundled-models.ts";

/** Milliseconds that an evaluation may take. */
const BUDGET = 120_000;

/** The bundled network with the cuts that its plan offers. */
export function openFirstLayers(): { model: OnnxModel; heads: readonly Head[]; planned: readonly PlannedCut[] } {
  const model = decodeOnnx(readFileSync(BUNDLED_PICTURE_MODEL));
  const { heads, end } = readHeads(model);
  const { cuts } = planCuts({ heads, end });
  return { model, heads, planned: cuts.filter(({ refused }) => refused === null) };
}

/** Bytes of evaluation keys, of the encrypted picture and of the encrypted features. */
export interface JobBytes {
  readonly keys: number;
  readonly picture: number;
  readonly features: number;
}

/** A user's picture and keys, ready to be evaluated any number of times. */
export interface PreparedJob {
  /** Seconds: of drawing the keys, their context included, and of encrypting the picture. */
  readonly seconds: { readonly keys: number; readonly encrypt: number };
  /** Evaluates once; the same keys and head each time. */
  evaluate(evaluator: Evaluator): Promise<void>;
  /** Decrypts what was evaluated last. */
  decrypt(): { readonly seconds: number; readonly features: Float64Array };
  bytes(): JobBytes;
  close(): void;
}

/** Draws keys and encrypts a picture. */
export async function prepareJob(head: Head, parameters: Parameters, picture: Float64Array): Promise<PreparedJob> {
  const program = compile(head, parameters);
  const started = performance.now();
  const session = await Session.create(parameters, program);
  const keys = session.keys();
  const drawn = performance.now();
  const inputs = program.pack(picture).map((slots) => session.encrypt(slots));
  const encrypted = performance.now();
  const hash = createHash("sha256");
  const ownKeys = [keys.rotation, keys.relinearisation].filter((key) => key !== null);
  for (const key of ownKeys) hash.update(key);
  const task = { head, headId: head.value, parameters, tenant: "bench", keysId: hash.digest("hex"), keys, inputs, budget: BUDGET };
  const forms = session.resultsOf(program);
  let outputs: readonly Uint8Array[] = [];
  return {
    seconds: { keys: (drawn - started) / 1000, encrypt: (encrypted - drawn) / 1000 },
    evaluate: async (evaluator) => {
      ({ outputs } = await evaluator.evaluate(task));
    },
    decrypt() {
      const from = performance.now();
      const features = program.unpack(outputs.map((output, index) => session.decrypt(output, forms[index]!)));
      return { seconds: (performance.now() - from) / 1000, features };
    },
    bytes: () => ({ keys: totalBytes(ownKeys), picture: totalBytes(inputs), features: totalBytes(outputs) }),
    close: () => session.close(),
  };
}

/** A picture of all 256 grey levels: the time does not depend on it. */
export function pictureFor({ shape }: Head): Float64Array {
  return Float64Array.from({ length: shape.channels * shape.height * shape.width }, (_, index) => ((index * 37) % 256) / 255);
}

function totalBytes(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}
