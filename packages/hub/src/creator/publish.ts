/**
 * From an ONNX file to a published version: the first layers of each cut encrypted on the hub, the later ones with the creator.
 * @module
 */
import { createHash } from "node:crypto";
import { decodeOnnx } from "@unseen/core/checkpoint/onnx.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { compile } from "@unseen/fhe/compile/compile.ts";
import { readHeads } from "@unseen/fhe/graph/read-heads.ts";
import { splitModel } from "@unseen/fhe/graph/split-model.ts";
import { withPictureScale } from "@unseen/fhe/layer.ts";
import type { Calibration } from "@unseen/fhe/plan.ts";
import { planCuts } from "@unseen/fhe/planner/plan-cuts.ts";
import { uploadBlob, type TransferProgress } from "../api/blobs.ts";
import type { HubClient } from "../api/hub-client.ts";
import { publishVersion } from "../api/jobs.ts";
import { encryptHead, headKeyOf } from "../head-key.ts";
import { outlineOf } from "../outline.ts";
import type { Leak, ModelManifest, PublishedCut } from "../protocol.ts";
import type { CreatorStore, OwnVersion } from "./creator-store.ts";

export interface Publication {
  readonly name: string;
  /** Markdown. */
  readonly card: string;
  readonly licence: string;
  readonly labels: readonly string[];
  /** 1 for models of values 0..1, 255 for 0..255. */
  readonly scale: number;
  /** Measured by `unseen leak`, with the pictures that it made (PNG). */
  readonly leaks: readonly { readonly leak: Omit<Leak, "pictures">; readonly pictures: Uint8Array | null }[];
  readonly calibrations?: ReadonlyMap<string, Calibration>;
  /** Seconds that an evaluation may take. */
  readonly budget: number;
}

/**
 * Publishes a model. Again with the same content: the same version.
 *
 * @param file the ONNX file's bytes
 * @throws UnseenError CUT_UNAVAILABLE when there is no cut to offer; CHECKPOINT_*; HUB_*
 */
export async function publishModel(
  file: Uint8Array,
  publication: Publication,
  { hub, store, progress = () => {} }: { hub: HubClient; store: CreatorStore; progress?: TransferProgress },
): Promise<OwnVersion> {
  const model = decodeOnnx(file);
  const { calibrations, budget, scale } = publication;
  const read = readHeads(model);
  const { end } = read;
  const heads = read.heads.map((head) => withPictureScale(head, scale));
  const plan = planCuts({ heads, end }, { budget, ...(calibrations ? { calibrations } : {}) });
  const offered = plan.cuts.filter(({ refused }) => refused === null);
  if (offered.length === 0)
    throw new UnseenError("CUT_UNAVAILABLE", `the model has no cut to offer: ${plan.cuts[0]?.refused ?? plan.end}`, {
      hint: "See `unseen cuts`.",
    });

  const tails = new Map<number, Uint8Array>();
  const headKeys: Record<string, string> = {};
  const blobs = new Map<number, string>();
  for (const cut of new Set(offered.map((planned) => planned.cut))) {
    const { head, tail } = splitModel(model, cut);
    const key = headKeyOf(store.secret, head);
    const name = await uploadBlob(hub, encryptHead(head, key), progress);
    tails.set(cut, tail);
    blobs.set(cut, name);
    headKeys[name] = Buffer.from(key).toString("base64");
  }

  const cuts = offered.map((planned): PublishedCut => {
    const { cut, value, layers, features, parameters, depth, keyBytes, uploadBytes, downloadBytes, seconds } = planned;
    const head = heads[cut - 1]!;
    const { integers, gains, rotations } = compile(head, parameters);
    return {
      cut,
      value,
      layers: [...layers],
      features: [...features],
      parameters: structuredClone(parameters) as PublishedCut["parameters"],
      depth,
      rotationKeys: planned.rotationKeys,
      rotations: planned.rotations,
      keyBytes,
      uploadBytes,
      downloadBytes,
      seconds,
      outline: outlineOf(head),
      normalise: head.normalise && { factor: [...head.normalise.factor], summand: [...head.normalise.summand] },
      gains: [...gains],
      rotationSteps: [...rotations],
      outputSteps: integers && [...integers.outputSteps],
      head: blobs.get(cut)!,
    };
  });
  const leaks = await Promise.all(
    publication.leaks.map(async ({ leak, pictures }) => ({ ...leak, pictures: pictures && (await uploadBlob(hub, pictures)) })),
  );
  const { channels, height, width } = heads[0]!.shape;
  const manifest: ModelManifest = {
    format: "unseen-model/1",
    name: publication.name,
    card: publication.card,
    licence: publication.licence,
    model: createHash("sha256").update(file).digest("hex"),
    creatorKey: Buffer.from(store.key.publicKey).toString("base64"),
    labels: [...publication.labels],
    picture: { shape: [channels, height, width], scale },
    cuts,
    leaks,
  };
  // First here, then there: what the hub offers can be served.
  const own = await store.add(manifest, headKeys, tails);
  await publishVersion(hub, manifest);
  return own;
}
