/**
 * A creator's runtime: gives the key of the first layers to attested enclaves, and runs the later layers on the features that users send.
 * @module
 */
import { randomBytes } from "node:crypto";
import { open, seal } from "@unseen/attest/hpke.ts";
import { releaseKey } from "@unseen/attest/key-release.ts";
import type { Policy } from "@unseen/attest/policy.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { restore } from "@unseen/fhe/obfuscation.ts";
import { z } from "zod";
import { downloadBlob } from "../api/blobs.ts";
import type { HubClient } from "../api/hub-client.ts";
import { startWorker, type Worker } from "../api/worker.ts";
import { decodeFeatures, type Answer } from "../features-message.ts";
import { bindingOf, purposes, type Job } from "../protocol.ts";
import type { CreatorStore } from "./creator-store.ts";
import { TailRunner } from "./tail-runner.ts";

export interface CreatorOptions {
  readonly hub: HubClient;
  readonly store: CreatorStore;
  /** Which enclaves may have the first layers. */
  readonly policy: Policy;
  readonly log: (line: string) => void;
}

/** Challenges that wait for their evidence, and how long (CWE-770). */
const MAXIMUM_CHALLENGES = 1000;
const CHALLENGE_LIFETIME = 60_000; // ms
/** Bytes of sealed features (CWE-770): 16 million values. */
const MAXIMUM_FEATURES_BYTES = 32 * 1024 * 1024;

const releaseSchema = z.object({ version: z.string(), nonce: z.string().max(64), evidence: z.unknown() });

/** Starts a creator's runtime. */
export function startCreator({ hub, store, policy, log }: CreatorOptions): Worker {
  const tails = new TailRunner();
  const challenges = new Map<string, number>(); // nonce -> when it ends

  const perform = async (job: Job, signal: AbortSignal): Promise<Uint8Array> => {
    const version = await store.get(job.version);
    const cut = version.manifest.cuts.find((offered) => offered.cut === job.cut);
    if (!cut || job.features === null)
      throw new UnseenError("CUT_UNAVAILABLE", `the version has no cut ${job.cut}.`, { hint: "Choose one that the hub lists." });
    const context = bindingOf(job);
    const user = Buffer.from(job.userKey, "base64");
    const sealed = await downloadBlob(hub, job.features, { maximum: MAXIMUM_FEATURES_BYTES, signal });
    const message = await open(sealed, store.key, { purpose: purposes.features, context }, user);
    const [channels, height, width] = cut.features;
    const outputs = await tails.run(version.tail(job.cut), restore(decodeFeatures(message, { channels, height, width })));
    const answer: Answer = { outputs };
    return seal(Buffer.from(JSON.stringify(answer)), user, { purpose: purposes.answer, context }, store.key);
  };

  const challenge = (): { nonce: string } => {
    const now = performance.now();
    for (const [nonce, end] of challenges) if (end < now) challenges.delete(nonce);
    if (challenges.size >= MAXIMUM_CHALLENGES)
      throw new UnseenError("OVERLOADED", "too many enclaves ask for the model at once.", { hint: "Try again in a minute." });
    const nonce = randomBytes(32).toString("base64");
    challenges.set(nonce, now + CHALLENGE_LIFETIME);
    return { nonce };
  };

  const release = async (body: unknown): Promise<{ sealed: string }> => {
    const question = releaseSchema.safeParse(body);
    const end = question.success ? challenges.get(question.data.nonce) : undefined;
    if (!question.success || end === undefined || end < performance.now())
      throw new UnseenError("ATTESTATION_NONCE", "the evidence does not answer a challenge of this creator.", {
        hint: "Ask for a challenge first.",
      });
    challenges.delete(question.data.nonce);
    const { headKeys, version } = await store.get(question.data.version);
    const { sealed } = await releaseKey(question.data.evidence, {
      nonce: Buffer.from(question.data.nonce, "base64"),
      policy,
      secret: Buffer.from(JSON.stringify(headKeys)),
      purpose: { purpose: purposes.headKey, context: version },
      sender: store.key,
    });
    log(`creator: an attested enclave got the first layers of version ${version.slice(0, 12)}.`);
    return { sealed: Buffer.from(sealed).toString("base64") };
  };

  const worker = startWorker(
    {
      title: "creator",
      keys: [],
      attestation: null,
      perform,
      async answer(method, body) {
        if (method === "challenge") return challenge();
        if (method === "release") return release(body);
        throw new UnseenError("REQUEST_UNSUPPORTED", 'a creator answers "challenge" and "release".', {
          hint: "Both sides must run the same version of Unseen.",
        });
      },
      retried: new Set(["ENGINE_CRASHED", "HUB_UNREACHABLE", "HUB_REFUSED"]),
    },
    { hub, hands: 1, log },
  );
  return {
    async close() {
      await worker.close();
      tails.close();
    },
  };
}
