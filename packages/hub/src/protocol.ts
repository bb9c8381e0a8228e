/**
 * What the hub and its parties say to each other: JSON over HTTP, blobs by their SHA-256.
 *
 * The hub never opens a blob: they are sealed (HPKE) to the enclave, the creator or the user, or are public.
 * @module
 */
import { createHash } from "node:crypto";
import { z } from "zod";

/** Limits on what a party may send (CWE-770). */
export const limits = {
  /** A JSON body. */
  jsonBytes: 2 * 1024 * 1024,
  /** A blob: evaluation keys of the largest parameters, with room. */
  blobBytes: 512 * 1024 * 1024,
  /** One upload request. */
  chunkBytes: 8 * 1024 * 1024,
  /** How long a request for work or for a job's next state may wait, in seconds. */
  waitSeconds: 25,
} as const;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "must be a SHA-256 in lower-case hexadecimal");
const key = z.string().regex(/^[A-Za-z0-9+/]{43}=$/, "must be 32 bytes in base64");
const count = z.number().int().nonnegative();
const text = (maximum: number): z.ZodString => z.string().max(maximum);

export const roles = ["user", "creator", "enclave"] as const;
export type Role = (typeof roles)[number];

/** Name of a model or an account: it occurs in addresses and file names. */
export const nameSchema = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/, "must be lower-case letters, digits and hyphens, at most 64");

export const accountSchema = z.strictObject({ name: nameSchema, role: z.enum(roles) });

/** How much of a picture can be read from the features of a cut; made by `unseen leak`. */
export const leakSchema = z.strictObject({
  /** As `PlannedCut.cut`. */
  cut: count,
  /** The knobs that were measured. */
  obfuscation: z.strictObject({ clip: z.number().nullable(), noise: z.number(), bits: count, channels: z.number() }),
  /** What the inverter was trained and tested on. */
  data: text(500),
  trained: count,
  tested: count,
  /** Mean over the tested pictures; dB, values in 0..1. `baseline`: the mean picture, which needs no features. */
  psnr: z.number(),
  psnrBaseline: z.number(),
  ssim: z.number(),
  ssimBaseline: z.number(),
  /** Share recovered, and the share that guessing the commonest value gets. */
  attributes: z.array(z.strictObject({ name: text(100), recovered: z.number(), baseline: z.number() })).max(20),
  /** Decisions that the obfuscation left as they were. */
  decisionsKept: z.number().nullable(),
  /** Blob of a PNG: pictures above, what was recovered of them below. */
  pictures: sha256.nullable(),
});

export type Leak = z.infer<typeof leakSchema>;

export const parametersSchema = z.discriminatedUnion("scheme", [
  z.strictObject({ scheme: z.literal("ckks"), degree: count, primeBits: z.array(count).min(3).max(12), scaleBits: count }),
  z.strictObject({ scheme: z.literal("bfv"), degree: count, plainBits: count }),
]);

const pair = z.tuple([count, count]);
const step = { value: text(500), title: text(200), input: z.tuple([count, count, count]), output: z.tuple([count, count, count]) };

/** The layers before a cut without their weights: what a user needs to pack a picture and to unpack features. */
export const outlineSchema = z.array(
  z.discriminatedUnion("kind", [
    z.strictObject({
      kind: z.literal("convolution"),
      ...step,
      kernel: pair,
      strides: pair,
      dilations: pair,
      pads: z.tuple([count, count, count, count]),
      groups: count.min(1),
    }),
    z.strictObject({ kind: z.literal("dense"), ...step }),
    z.strictObject({
      kind: z.literal("average-pool"),
      ...step,
      kernel: pair,
      strides: pair,
      pads: z.tuple([count, count, count, count]),
      countIncludePad: z.boolean(),
    }),
    z.strictObject({ kind: z.literal("polynomial"), ...step, coefficients: z.array(z.number()).min(3).max(5) }),
    z.strictObject({ kind: z.literal("scale"), ...step }),
  ]),
);

export type Outline = z.infer<typeof outlineSchema>;

/** One cut that a version offers. */
export const cutSchema = z.strictObject({
  cut: count.min(1),
  value: text(500),
  layers: z.array(text(200)).max(100),
  features: z.tuple([count, count, count]),
  parameters: parametersSchema,
  depth: count,
  rotationKeys: count,
  rotations: count,
  keyBytes: count,
  uploadBytes: count,
  downloadBytes: count,
  /** On the publisher's machine, for orientation. */
  seconds: z.number().nullable(),
  outline: outlineSchema,
  /** What the user does to the picture first, per channel: x * factor + summand. */
  normalise: z.strictObject({ factor: z.array(z.number()), summand: z.array(z.number()) }).nullable(),
  /** CKKS: as `Program.gains`. */
  gains: z.array(z.number()).max(100),
  /** Steps of the rotation keys that the evaluator takes. */
  rotationSteps: z.array(z.number().int()).max(1000),
  /** BFV: what one unit of a result stands for, per channel. */
  outputSteps: z.array(z.number()).max(100_000).nullable(),
  /** The layers as an ONNX file, encrypted (AES-256-GCM) under a key that the creator gives to attested enclaves alone. */
  head: sha256,
});

/** A version of a model: immutable, named by the SHA-256 of its canonical JSON. */
export const manifestSchema = z.strictObject({
  format: z.literal("unseen-model/1"),
  name: nameSchema,
  /** Model card, Markdown. */
  card: text(100_000),
  /** SPDX expression. */
  licence: text(200),
  /** SHA-256 of the ONNX file, which stays with the creator. */
  model: sha256,
  /** HPKE public key of the creator's runtime: features are sealed to it, answers come from it. */
  creatorKey: key,
  /** Names of the classes. */
  labels: z.array(text(200)).max(10_000),
  picture: z.strictObject({
    /** (channels, height, width) */
    shape: z.tuple([count, count, count]),
    /** What a white pixel is to the model, 1 or 255: part of each cut's `normalise`, which takes pixels from 0 to 1. */
    scale: z.number(),
  }),
  cuts: z.array(cutSchema).min(1).max(50),
  leaks: z.array(leakSchema).max(200),
});

export type ModelManifest = z.infer<typeof manifestSchema>;
export type PublishedCut = z.infer<typeof cutSchema>;

/** SHA-256 of JSON whose object members are sorted by name. */
export function versionOf(manifest: ModelManifest): string {
  const canonical = JSON.stringify(manifest, (_key, value: unknown) =>
    value !== null && typeof value === "object" && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).toSorted(([left], [right]) => (left < right ? -1 : 1)))
      : value,
  );
  return createHash("sha256").update(canonical).digest("hex");
}

/** `GET /v1/models`. */
export const modelSchema = z.object({
  name: nameSchema,
  creator: nameSchema,
  /** Newest first. */
  versions: z.array(z.object({ version: sha256, published: z.iso.datetime() })),
});

/**
 * States of a job. The user moves uploading -> queued and evaluated -> featured, the enclave queued -> evaluating -> evaluated,
 * the creator featured -> answering -> answered; a lease that runs out moves evaluating and answering back.
 */
export const states = [
  "uploading",
  "queued",
  "evaluating",
  "evaluated",
  "featured",
  "answering",
  "answered",
  "failed",
  "cancelled",
] as const;
export type State = (typeof states)[number];
export const finalStates: ReadonlySet<State> = new Set(["answered", "failed", "cancelled"]);

/** `POST /v1/jobs`. The same idempotency key gives the same job. */
export const jobRequestSchema = z.strictObject({
  idempotencyKey: z.string().regex(/^[A-Za-z0-9_-]{16,100}$/),
  version: sha256,
  cut: count.min(1),
  scheme: z.enum(["ckks", "bfv"]),
  /** Names what keys and ciphertexts are bound to: 16 bytes that the user draws per session. */
  session: z.string().regex(/^[0-9a-f]{32}$/),
  /** The user's HPKE key of this session: results are sealed to it. */
  userKey: key,
  /** HPKE key of the enclave that the user verified; no other one gets the job. */
  enclaveKey: key,
  /** Sealed evaluation keys; null where the cut needs none. */
  keys: sha256.nullable(),
  /** The sealed ciphertexts. */
  input: sha256,
  /** Seconds that the evaluation may take. */
  budget: z.number().min(0.1).max(600),
});

export type JobRequest = z.infer<typeof jobRequestSchema>;

/** A job as its parties see it. */
export const jobSchema = z.object({
  id: z.string().regex(/^job_[0-9a-f]{32}$/),
  state: z.enum(states),
  /** The user's own name for the job, which sealed messages are bound to. */
  idempotencyKey: z.string(),
  model: nameSchema,
  version: sha256,
  cut: count,
  scheme: z.enum(["ckks", "bfv"]),
  session: z.string(),
  userKey: key,
  enclaveKey: key,
  keys: sha256.nullable(),
  input: sha256,
  /** Sealed to the user, by the enclave. */
  encrypted: sha256.nullable(),
  /** Sealed to the creator, by the user. */
  features: sha256.nullable(),
  /** Sealed to the user, by the creator. */
  answer: sha256.nullable(),
  budget: z.number(),
  /** Times that a worker has begun the present step. */
  attempts: count,
  failure: z.object({ code: z.string(), message: z.string() }).nullable(),
  created: z.iso.datetime(),
  /** Every change, oldest first. */
  transitions: z.array(
    z.object({ state: z.enum(states), at: z.iso.datetime(), by: z.enum([...roles, "hub"]), note: z.string().nullable() }),
  ),
});

export type Job = z.infer<typeof jobSchema>;

/** `POST /v1/jobs/:id/features`. */
export const featuresSchema = z.strictObject({ features: sha256 });

/** `POST /v1/tasks`: a creator or an enclave asks for something to do; 204 = nothing within the wait. */
export const workRequestSchema = z.strictObject({
  /** An enclave's HPKE public keys: jobs sealed to others are not given to it. Creators: empty. */
  keys: z.array(key).max(4),
  /** What kind of evidence an enclave offers; the hub shows "simulator" wherever it names the enclave. */
  attestation: z.enum(["tdx", "simulator"]).nullable().default(null),
  /** Whether calls alone are wanted, because all hands are busy. */
  callsOnly: z.boolean().default(false),
  wait: z.number().min(0).max(limits.waitSeconds),
});

export const workSchema = z.discriminatedUnion("kind", [
  /** A job, claimed: it is this worker's until the lease runs out; `renew` prolongs it. */
  z.object({ kind: z.literal("job"), job: jobSchema, lease: z.string(), leaseSeconds: z.number() }),
  /** A question from another party, to be answered at once. */
  z.object({ kind: z.literal("call"), id: z.string(), method: z.string(), body: z.unknown() }),
]);

export type Work = z.infer<typeof workSchema>;

/** `POST /v1/tasks/:job/renew`. */
export const leaseSchema = z.strictObject({ lease: z.string().max(100) });
/** `POST /v1/tasks/:job/done`; the same lease and blob again is answered as the first time. */
export const doneSchema = z.strictObject({ lease: z.string().max(100), blob: sha256 });
/** `POST /v1/tasks/:job/fail`; with `again`, another attempt is made where one is left. */
export const failSchema = z.strictObject({
  lease: z.string().max(100),
  code: z.string().regex(/^[A-Z_]{3,50}$/),
  message: text(500),
  again: z.boolean(),
});

/** `POST /v1/calls`: asks a worker something through the hub, which does not keep it. */
export const callSchema = z.strictObject({
  to: z.discriminatedUnion("kind", [
    /** Any enclave that asks for work now, or the one that holds a key. */
    z.strictObject({ kind: z.literal("enclave"), key: key.nullable() }),
    /** The creator of a version. */
    z.strictObject({ kind: z.literal("creator"), version: sha256 }),
  ]),
  method: z.enum(["evidence", "challenge", "release"]),
  body: z.unknown(),
});

/** `POST /v1/calls/:id/answer`. */
export const callAnswerSchema = z.strictObject({
  body: z.unknown(),
  error: z.strictObject({ code: z.string().max(50), message: text(500) }).nullable(),
});

/** Every refusal's body. */
export const refusalSchema = z.object({ error: z.object({ code: z.string(), message: z.string(), hint: z.string().nullable() }) });

/** Purposes of sealed messages (`@unseen/attest/hpke.ts`); their context is `bindingOf` the job, of keys the session, of head keys the version. */
export const purposes = {
  /** User to enclave. */
  keys: "unseen/hub/v1/evaluation-keys",
  input: "unseen/hub/v1/input",
  /** Enclave to user, authenticated. */
  encrypted: "unseen/hub/v1/encrypted-features",
  /** User to creator, authenticated. */
  features: "unseen/hub/v1/features",
  /** Creator to user, authenticated. */
  answer: "unseen/hub/v1/answer",
  /** Creator to enclave, authenticated: the key of a version's heads. */
  headKey: "unseen/hub/v1/head-key",
} as const;

/** What a job's sealed messages are bound to; both parts exist before the job does. */
export function bindingOf({ session, idempotencyKey }: { readonly session: string; readonly idempotencyKey: string }): string {
  return `${session}/${idempotencyKey}`;
}
