/**
 * The enclave: evaluates a model's first layers on ciphertext. It holds the user's evaluation keys, never a key that decrypts.
 * @module
 */
import { enclaveKey } from "@unseen/attest/attested-key.ts";
import type { QuoteSource } from "@unseen/attest/evidence.ts";
import { open, seal } from "@unseen/attest/hpke.ts";
import { makeEvidence } from "@unseen/attest/make-evidence.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import type { EvaluationKeys, Evaluator } from "@unseen/fhe/evaluator/evaluator.ts";
import { z } from "zod";
import { downloadBlob } from "../api/blobs.ts";
import type { HubClient } from "../api/hub-client.ts";
import { startWorker, type Worker } from "../api/worker.ts";
import { joinFrames, splitFrames } from "../frames.ts";
import { bindingOf, purposes, type Job } from "../protocol.ts";
import { HeadStore } from "./head-store.ts";

export interface EnclaveOptions {
  readonly hub: HubClient;
  readonly source: QuoteSource;
  readonly evaluator: Evaluator;
  /** Jobs at once. */
  readonly hands: number;
  /** Seconds that an evaluation may take, whatever the user asks for. */
  readonly budget: number;
  readonly log: (line: string) => void;
}

export interface Enclave extends Worker {
  /** 32 bytes, base64: what keys and ciphertexts are sealed to. */
  readonly publicKey: string;
}

const questionSchema = z.object({ nonce: z.string().regex(/^[A-Za-z0-9+/]{43}=$/) });

/** Starts an enclave. Throws `ATTESTATION_UNAVAILABLE` where there is no trusted hardware. */
export async function startEnclave({ hub, source, evaluator, hands, budget, log }: EnclaveOptions): Promise<Enclave> {
  const key = await enclaveKey(source, "unseen/hub/v1/enclave");
  const publicKey = Buffer.from(key.publicKey).toString("base64");
  const evidenceFor = (nonce: Uint8Array, hpkePublicKey: Uint8Array) =>
    makeEvidence(source, { nonce, keys: { hpkePublicKey, tlsKeyHash: null } });
  const heads = new HeadStore(hub, evidenceFor);

  const openKeys = async (job: Job, signal: AbortSignal): Promise<EvaluationKeys> => {
    if (job.keys === null) return { relinearisation: null, rotation: null };
    const sealed = await downloadBlob(hub, job.keys, { signal });
    const [relinearisation, rotation] = splitFrames(await open(sealed, key, { purpose: purposes.keys, context: job.session }), 2) as [
      Uint8Array,
      Uint8Array,
    ];
    return { relinearisation: relinearisation.length > 0 ? relinearisation : null, rotation: rotation.length > 0 ? rotation : null };
  };

  const perform = async (job: Job, signal: AbortSignal): Promise<Uint8Array> => {
    if (job.enclaveKey !== publicKey)
      throw new UnseenError("SEALED_INVALID", "the job is sealed to another enclave.", { hint: "Start it again." });
    const { head, cut } = await heads.get(job, signal);
    const keys = await openKeys(job, signal);
    const context = bindingOf(job);
    const sealedInput = await downloadBlob(hub, job.input, { signal });
    const inputs = splitFrames(await open(sealedInput, key, { purpose: purposes.input, context }));
    const { outputs, seconds } = await evaluator.evaluate({
      head,
      headId: `${cut.head}/${job.scheme}`,
      parameters: cut.parameters,
      tenant: job.userKey,
      keysId: job.keys ?? "none",
      keys,
      inputs,
      budget: Math.min(job.budget, budget) * 1000,
    });
    signal.throwIfAborted();
    const report = Buffer.from(JSON.stringify({ seconds, attestation: source.kind }));
    return seal(joinFrames([report, ...outputs]), Buffer.from(job.userKey, "base64"), { purpose: purposes.encrypted, context }, key);
  };

  const answer = async (method: string, body: unknown): Promise<object> => {
    const question = questionSchema.safeParse(body);
    if (method !== "evidence" || !question.success)
      throw new UnseenError("REQUEST_UNSUPPORTED", 'an enclave answers "evidence" with a nonce of 32 bytes in base64.', {
        hint: "Both sides must run the same version of Unseen.",
      });
    return evidenceFor(Buffer.from(question.data.nonce, "base64"), key.publicKey);
  };

  const worker = startWorker(
    {
      title: "enclave",
      keys: [publicKey],
      attestation: source.kind,
      perform,
      answer,
      retried: new Set([
        "EVALUATION_FAILED",
        "OVERLOADED",
        "HUB_UNREACHABLE",
        "HUB_REFUSED",
        "ATTESTATION_UNAVAILABLE",
        "HOST_TIMEOUT",
        "HOST_UNREACHABLE",
      ]),
    },
    { hub, hands, log },
  );
  return {
    publicKey,
    async close() {
      await worker.close();
      await evaluator.close();
    },
  };
}
