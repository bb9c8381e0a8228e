/**
 * One plain model under every protection, in a temporary directory, and how exactly each computes what the plain one does.
 * @module
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { TextTokenizer } from "@unseen/client/tokenizer.ts";
import { openModel, type Model } from "@unseen/core/blueprint/model.ts";
import { decoderOf } from "@unseen/core/blueprint/families/index.ts";
import { convertModel, encryptModel, type TransformResult } from "@unseen/core/blueprint/transform.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { makeProjection } from "@unseen/shares/client/integrity.ts";
import { prepareShares } from "@unseen/shares/prepare/prepare-shares.ts";
import type { FidelityRow } from "@unseen/web/protocol/library.ts";
import { affordableTokens, sampleSequences } from "../measure.ts";
import { Reference } from "./reference.ts";

const STRENGTHS = ["permute", "rotate"] as const;
type Strength = (typeof STRENGTHS)[number];

/** Where a model's two shares and the client's part lie. */
export interface SplitModel {
  readonly servers: readonly [string, string];
  readonly client: string;
}

export interface PreparedModels {
  readonly reference: Reference;
  readonly vocabulary: number;
  /** Tokens of prompt and answer together. */
  readonly contextLength: number;
  /** GGUF files. */
  readonly served: Readonly<Record<"plain" | Strength, string>>;
  readonly fidelity: Readonly<Record<Strength, FidelityRow>>;
  /** The reason where the model cannot be split. */
  readonly split: SplitModel | string;
}

/**
 * Opens a model that can be compared.
 * @throws UnseenError `USAGE` for an encrypted model or a GGUF, `FAMILY_*` for an encoder, `CHECKPOINT_*`
 */
export async function openComparable(path: string): Promise<Model> {
  const model = await openModel(path);
  if (model.manifest)
    throw new UnseenError("USAGE", `${path} is encrypted, and the comparison begins with a plain model.`, {
      hint: "Give the directory that it was made from.",
    });
  if (model.format !== "safetensors")
    throw new UnseenError("USAGE", `${path} is a GGUF file, which two servers cannot be given.`, {
      hint: "Give a Hugging Face directory with safetensors; `unseen pull` downloads one.",
    });
  decoderOf(model.config);
  return model;
}

/**
 * Encrypts, splits and measures, under a key that is forgotten afterwards.
 *
 * @param step - Called after each of {@link PREPARING_STEPS} steps.
 * @throws UnseenError `CHECKPOINT_*`, `FAMILY_*`, `DISK_FULL`; the signal's reason
 */
export async function prepareModels(plain: Model, place: string, signal: AbortSignal, step: () => void): Promise<PreparedModels> {
  const secret = new Uint8Array(randomBytes(32));
  const encrypt = async (name: string, strength: Strength, precision?: "f32"): Promise<TransformResult> => {
    const result = await encryptModel({ source: plain.path, output: join(place, name), key: { secret, strength }, precision, signal });
    step();
    return result;
  };
  // A host serves a plain model from a GGUF alone, and formats that differ would be compared with each other.
  await convertModel({ source: plain.path, output: join(place, "plain.gguf"), signal });
  step();
  const { weights, contextLength } = await encrypt("permute.gguf", "permute");
  await encrypt("rotate.gguf", "rotate");
  // Rounded once, to whole numbers, and not to the stored format before; as `unseen share` does it.
  await encrypt("rotate-f32", "rotate", "f32");
  const split = await splitForServers(join(place, "rotate-f32"), place);
  step();
  const { vocabulary } = decoderOf(plain.config).architecture;
  const tokenizer = await TextTokenizer.load(plain.path).catch(() => null);
  signal.throwIfAborted();
  const reference = new Reference(plain, vocabulary, secret, sampleSequences(tokenizer, vocabulary, affordableTokens(weights)));
  step();
  const served = { plain: join(place, "plain.gguf"), permute: join(place, "permute.gguf"), rotate: join(place, "rotate.gguf") };
  const measure = async (strength: Strength): Promise<FidelityRow> => {
    // Each blocks for seconds; in between, the process hears that it is to end.
    await setImmediate();
    signal.throwIfAborted();
    const fidelity = reference.compareModel(await openModel(served[strength]));
    step();
    return fidelity;
  };
  return {
    reference,
    vocabulary,
    contextLength,
    served,
    fidelity: { permute: await measure("permute"), rotate: await measure("rotate") },
    split,
  };
}

/** How often {@link prepareModels} says that it got on. */
export const PREPARING_STEPS = 8;

async function splitForServers(encrypted: string, place: string): Promise<SplitModel | string> {
  const split = { servers: [join(place, "a"), join(place, "b")], client: join(place, "client") } as const;
  try {
    prepareShares({
      model: await openModel(encrypted),
      bits: 8,
      outA: split.servers[0],
      outB: split.servers[1],
      client: split.client,
      fingerprint: "comparison",
      project: (weights, out, inward) => makeProjection(weights, out, inward, (bytes) => bytes.set(randomBytes(bytes.length))),
    });
    return split;
  } catch (error) {
    // Some families cannot be split, and the other rows are worth having.
    if (UnseenError.isInstance(error) && error.code.startsWith("FAMILY_")) return error.message;
    throw error;
  }
}
