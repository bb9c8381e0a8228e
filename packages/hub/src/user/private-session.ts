/**
 * What the owner of the pictures runs: makes a key, encrypts, decrypts, obfuscates. The key lives as long as the session and is never stored.
 * @module
 */
import { largest } from "@unseen/client/encoders/scores.ts";
import { randomBytes } from "node:crypto";
import { makeSealingKey, open, seal, type SealingKey } from "@unseen/attest/hpke.ts";
import type { Policy } from "@unseen/attest/policy.ts";
import type { Verified } from "@unseen/attest/verify-evidence.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { Session } from "@unseen/fhe/client/session.ts";
import { compile } from "@unseen/fhe/compile/compile.ts";
import type { Head } from "@unseen/fhe/layer.ts";
import { checkObfuscation, obfuscate, type ObfuscatedFeatures, type Obfuscation } from "@unseen/fhe/obfuscation.ts";
import type { Program } from "@unseen/fhe/program.ts";
import { downloadBlob, uploadBlob } from "../api/blobs.ts";
import type { HubClient } from "../api/hub-client.ts";
import { awaitJob, createJob, readManifest, sendFeatures, submitJob } from "../api/jobs.ts";
import { answerSchema, encodeFeatures, readJson, type Answer } from "../features-message.ts";
import { joinFrames, splitFrames } from "../frames.ts";
import { headOfOutline } from "../outline.ts";
import { bindingOf, finalStates, purposes, type Job, type ModelManifest, type PublishedCut, type State } from "../protocol.ts";
import { findEnclave } from "./find-enclave.ts";
import { checkCreator } from "./known-creators.ts";
import { pictureValues } from "./picture.ts";
import { secureUniform } from "./secure-uniform.ts";

export interface PrivateSessionOptions {
  readonly hub: HubClient;
  readonly model: string;
  /** Null = the newest. */
  readonly version: string | null;
  /** Null = the last that the model offers. */
  readonly cut: number | null;
  /** Null = BFV where the cut has it, else CKKS. */
  readonly scheme: "ckks" | "bfv" | null;
  /** Which enclaves may have the ciphertext. */
  readonly policy: Policy;
  readonly obfuscation: Obfuscation;
  /** Seconds that the evaluation may take. */
  readonly budget: number;
  /** File of the creators' keys that were seen before. */
  readonly knownCreators: string;
  /** Called whenever a stage moves on; `total` 0 = unknown. */
  readonly progress?: (stage: string, done: number, total: number) => void;
  /** Called as each stage ends. */
  readonly onStage?: (stage: Stage) => void;
  /** Called once the enclave's evidence has been verified, before anything of the user's leaves. */
  readonly onEnclave?: (enclave: Verified) => void;
  /** Called as soon as another party has got something of a picture. */
  readonly onSeen?: (sight: Sight) => void;
  readonly signal?: AbortSignal;
}

/** What one other party has got of a picture. */
export type Sight = { readonly [Party in keyof Seen]: { readonly party: Party; readonly seen: Seen[Party] } }[keyof Seen];

/** One part of the way, for tables. */
export interface Stage {
  readonly name: string;
  readonly seconds: number;
  /** Bytes that this stage moves over the network. */
  readonly bytes: number;
}

/** What came back for one picture. */
export interface PrivateResult {
  readonly job: string;
  /** The model's outputs. */
  readonly outputs: Answer["outputs"];
  /** Index of the largest value of the first output. */
  readonly decision: number;
  /** Its name, where the model has names. */
  readonly label: string;
  readonly stages: readonly Stage[];
  /** (channels, height, width) as decrypted, before the obfuscation; stays with the user. */
  readonly features: Float64Array;
  /** What each of the others got. */
  readonly seen: Seen;
}

export interface Seen {
  /** The hub: sealed bytes. */
  readonly hub: Uint8Array;
  /** The enclave: ciphertexts. */
  readonly enclave: readonly Uint8Array[];
  /** The creator: features after the obfuscation. */
  readonly creator: ObfuscatedFeatures;
}

/** A key pair, an attested enclave and uploaded evaluation keys: pictures can go. */
export class PrivateSession {
  readonly manifest: ModelManifest;
  readonly version: string;
  readonly cut: PublishedCut;
  readonly enclave: Verified;
  /** Whether the creator's key was seen here for the first time. */
  readonly isNewCreator: boolean;
  /** Of opening the session. */
  readonly stages: readonly Stage[];
  readonly #options: PrivateSessionOptions;
  readonly #id: string;
  readonly #sealing: SealingKey;
  readonly #session: Session;
  readonly #head: Head;
  readonly #program: Program;
  readonly #keys: string | null;

  private constructor(parts: {
    options: PrivateSessionOptions;
    manifest: ModelManifest;
    version: string;
    cut: PublishedCut;
    enclave: Verified;
    isNewCreator: boolean;
    stages: readonly Stage[];
    id: string;
    sealing: SealingKey;
    session: Session;
    head: Head;
    program: Program;
    keys: string | null;
  }) {
    this.manifest = parts.manifest;
    this.version = parts.version;
    this.cut = parts.cut;
    this.enclave = parts.enclave;
    this.isNewCreator = parts.isNewCreator;
    this.stages = parts.stages;
    this.#options = parts.options;
    this.#id = parts.id;
    this.#sealing = parts.sealing;
    this.#session = parts.session;
    this.#head = parts.head;
    this.#program = parts.program;
    this.#keys = parts.keys;
  }

  /**
   * Verifies the enclave, makes the keys and uploads those that compute.
   * @throws UnseenError ATTESTATION_* before anything of the user's has left; CREATOR_CHANGED, CUT_UNAVAILABLE, HUB_*
   */
  static async open(options: PrivateSessionOptions): Promise<PrivateSession> {
    checkObfuscation(options.obfuscation);
    const { hub, signal } = options;
    const clock = new StageClock(options);
    const { manifest, version } = await readManifest(hub, options.model, options.version);
    const { isNew } = await checkCreator(options.knownCreators, { hub: hub.url, model: manifest.name, key: manifest.creatorKey });
    const cut = chooseCut(manifest, options);
    const head = headOfOutline(cut, manifest.picture.shape);
    const program = compile(head, cut.parameters, cut.parameters.scheme === "ckks" ? { gains: cut.gains } : {});

    const enclave = await clock.time("verify the enclave", () => findEnclave(hub, options.policy, signal));
    options.onEnclave?.(enclave);
    const sealing = await makeSealingKey();
    const id = randomBytes(16).toString("hex");
    const { session, relinearisation, rotation } = await clock.time("make keys", async () => {
      const made = await Session.create(cut.parameters, { rotations: cut.rotationSteps, relinearises: program.relinearises });
      return { session: made, ...made.keys() };
    });
    let keys: string | null = null;
    if (relinearisation || rotation) {
      const message = joinFrames([relinearisation ?? new Uint8Array(0), rotation ?? new Uint8Array(0)]);
      const sealed = await seal(message, enclave.hpkePublicKey, { purpose: purposes.keys, context: id });
      keys = await clock.time("upload keys", (progress) => uploadBlob(hub, sealed, progress, signal), sealed.length);
    }
    const { stages } = clock;
    return new PrivateSession({
      options,
      manifest,
      version,
      cut,
      enclave,
      isNewCreator: isNew,
      stages,
      id,
      sealing,
      session,
      head,
      program,
      keys,
    });
  }

  /**
   * One picture, from its bytes (channels, height, width) to the model's answer.
   * @throws UnseenError JOB_FAILED with the reason that the enclave or the creator gave; HUB_*, SEALED_INVALID, CIPHERTEXT_INVALID
   */
  async run(picture: Uint8Array): Promise<PrivateResult> {
    const { hub, signal, budget, obfuscation, onSeen } = this.#options;
    const clock = new StageClock(this.#options);
    const idempotencyKey = randomBytes(24).toString("base64url");
    const context = bindingOf({ session: this.#id, idempotencyKey });
    const enclaveKey = this.enclave.hpkePublicKey;

    const ciphertexts = await clock.time("encrypt", () => this.#encrypt(picture));
    const input = await seal(joinFrames(ciphertexts), enclaveKey, { purpose: purposes.input, context });
    const inputName = await clock.time("upload picture", (progress) => uploadBlob(hub, input, progress, signal), input.length);
    const request = {
      idempotencyKey,
      version: this.version,
      cut: this.cut.cut,
      scheme: this.cut.parameters.scheme,
      session: this.#id,
      userKey: Buffer.from(this.#sealing.publicKey).toString("base64"),
      enclaveKey: Buffer.from(enclaveKey).toString("base64"),
      keys: this.#keys,
      input: inputName,
      budget,
    };
    const { id } = await createJob(hub, request, signal);
    onSeen?.({ party: "hub", seen: input });
    onSeen?.({ party: "enclave", seen: ciphertexts });
    const evaluated = await clock.time("evaluate on ciphertext", async () => this.#reach(await submitJob(hub, id, signal), "evaluated"));
    const sealedFeatures = await clock.time(
      "download features",
      (progress) => downloadBlob(hub, evaluated.encrypted!, { progress, signal }),
      ({ length }) => length,
    );
    const features = await clock.time("decrypt", async () => {
      const [report, ...outputs] = splitFrames(
        await open(sealedFeatures, this.#sealing, { purpose: purposes.encrypted, context }, enclaveKey),
      );
      if (!report) throw new UnseenError("SEALED_INVALID", "the enclave's answer is empty.", { hint: "Run the picture again." });
      return this.#decrypt(outputs);
    });
    const obfuscated = obfuscate(features, this.#head.output, obfuscation, secureUniform());
    const creatorKey = Buffer.from(this.manifest.creatorKey, "base64");
    const message = await seal(encodeFeatures(obfuscated), creatorKey, { purpose: purposes.features, context }, this.#sealing);
    const featuresName = await clock.time("send features", (progress) => uploadBlob(hub, message, progress, signal), message.length);
    onSeen?.({ party: "creator", seen: obfuscated });
    const answered = await clock.time("the creator's layers", async () =>
      this.#reach(await sendFeatures(hub, id, featuresName, signal), "answered"),
    );
    const sealedAnswer = await clock.time(
      "download answer",
      (progress) => downloadBlob(hub, answered.answer!, { progress, signal }),
      ({ length }) => length,
    );
    const answer = answerSchema.safeParse(
      readJson(await open(sealedAnswer, this.#sealing, { purpose: purposes.answer, context }, creatorKey)),
    );
    if (!answer.success)
      throw new UnseenError("SEALED_INVALID", "the creator's answer does not follow the protocol.", { hint: "Ask the creator to update." });
    const { outputs } = answer.data;
    const decision = largest(outputs[0]!.values);
    return {
      job: id,
      outputs,
      decision,
      label: this.manifest.labels[decision] ?? `class ${decision}`,
      stages: clock.stages,
      features,
      seen: { hub: input, enclave: ciphertexts, creator: obfuscated },
    };
  }

  /** Forgets the key. */
  close(): void {
    this.#session.close();
  }

  async #encrypt(picture: Uint8Array): Promise<Uint8Array[]> {
    return this.#program.pack(pictureValues(picture)).map((slots) => this.#session.encrypt(slots));
  }

  #decrypt(outputs: readonly Uint8Array[]): Float64Array {
    if (outputs.length !== this.#program.outputs.length)
      throw new UnseenError(
        "CIPHERTEXT_INVALID",
        `expected ${this.#program.outputs.length} ciphertexts of features, got ${outputs.length}.`,
        { hint: "Run the picture again." },
      );
    const forms = this.#session.resultsOf(this.#program);
    const values = this.#program.unpack(outputs.map((ciphertext, index) => this.#session.decrypt(ciphertext, forms[index]!)));
    const { integers, output } = this.#program;
    const published = this.cut.outputSteps;
    if (!integers || !published) return values;
    // The outline's weights are not the creator's, so its unit per channel is not either.
    const plane = output.height * output.width;
    return values.map((value, index) => {
      const channel = Math.floor(index / plane);
      return Math.round(value / integers.outputSteps[channel]!) * published[channel]!;
    });
  }

  /** Waits until a job is at a state, or failed. */
  async #reach(job: Job, wanted: State): Promise<Job> {
    for (;;) {
      if (job.state === wanted) return job;
      if (finalStates.has(job.state)) {
        const { code, message } = job.failure ?? { code: "JOB_FAILED", message: `it is ${job.state}.` };
        throw new UnseenError("JOB_FAILED", `job ${job.id} ended without a result: ${code}: ${message}`, {
          hint: "Run the picture again; if it happens again, tell the hub's operator the job's name.",
        });
      }
      job = await awaitJob(this.#options.hub, job.id, job.state, this.#options.signal);
    }
  }
}

function chooseCut(manifest: ModelManifest, { cut, scheme }: PrivateSessionOptions): PublishedCut {
  const wanted = cut ?? Math.max(...manifest.cuts.map((offered) => offered.cut));
  const offered = manifest.cuts.filter(
    (candidate) => candidate.cut === wanted && (scheme === null || candidate.parameters.scheme === scheme),
  );
  const best = offered.find(({ parameters }) => parameters.scheme === "bfv") ?? offered[0];
  if (best) return best;
  const list = manifest.cuts.map((candidate) => `${candidate.cut} (${candidate.parameters.scheme})`).join(", ");
  throw new UnseenError("CUT_UNAVAILABLE", `the model offers no cut ${wanted}${scheme ? ` with ${scheme}` : ""}; it offers ${list}.`, {
    hint: "Choose one with --cut and --scheme.",
  });
}

/** Times stages and tells how far they are. */
class StageClock {
  readonly #stages: Stage[] = [];
  readonly #progress: NonNullable<PrivateSessionOptions["progress"]>;
  readonly #onStage: PrivateSessionOptions["onStage"];

  constructor({ progress, onStage }: Pick<PrivateSessionOptions, "progress" | "onStage">) {
    this.#progress = progress ?? (() => {});
    this.#onStage = onStage;
  }

  get stages(): readonly Stage[] {
    return this.#stages;
  }

  async time<Result>(
    name: string,
    work: (progress: (done: number, total: number) => void) => Promise<Result>,
    bytes: number | ((result: Result) => number) = 0,
  ): Promise<Result> {
    const started = performance.now();
    this.#progress(name, 0, 0);
    const result = await work((done, total) => this.#progress(name, done, total));
    this.#progress(name, 1, 1);
    const stage = { name, seconds: (performance.now() - started) / 1000, bytes: typeof bytes === "number" ? bytes : bytes(result) };
    this.#stages.push(stage);
    this.#onStage?.(stage);
    return result;
  }
}
