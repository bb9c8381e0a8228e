/**
 * First layers that an enclave has the key for: fetched encrypted from the hub, the key from the creator against evidence.
 * @module
 */
import type { Evidence } from "@unseen/attest/evidence.ts";
import { makeSealingKey, open } from "@unseen/attest/hpke.ts";
import { decodeOnnx } from "@unseen/core/checkpoint/onnx.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { readHeads } from "@unseen/fhe/graph/read-heads.ts";
import { withPictureScale, type Head } from "@unseen/fhe/layer.ts";
import { allowedParameters, parametersId } from "@unseen/fhe/parameters.ts";
import { z } from "zod";
import { downloadBlob } from "../api/blobs.ts";
import type { HubClient } from "../api/hub-client.ts";
import { call, readManifest } from "../api/jobs.ts";
import { decryptHead } from "../head-key.ts";
import { purposes, type Job, type PublishedCut } from "../protocol.ts";

/** Heads kept in memory. */
const MAXIMUM_HEADS = 32;
/** Bytes of one head's file (CWE-770). */
const MAXIMUM_HEAD_BYTES = 128 * 1024 * 1024;

const key = z.string().regex(/^[A-Za-z0-9+/]{43}=$/);
const challengeSchema = z.object({ nonce: key });
const releaseSchema = z.object({
  sealed: z
    .string()
    .max(200_000)
    .regex(/^[A-Za-z0-9+/]*={0,2}$/),
});
/** What a release holds: keys by the blob's name. */
const keysSchema = z.record(z.string(), key);

/** Evidence for a creator's nonce that binds a key. */
export type EvidenceFor = (nonce: Uint8Array, hpkePublicKey: Uint8Array) => Promise<Evidence>;

interface OpenedCut {
  readonly head: Head;
  readonly cut: PublishedCut;
}

export class HeadStore {
  readonly #hub: HubClient;
  readonly #evidenceFor: EvidenceFor;
  /** By version, cut and scheme; the oldest first. */
  readonly #opened = new Map<string, Promise<OpenedCut>>();

  constructor(hub: HubClient, evidenceFor: EvidenceFor) {
    this.#hub = hub;
    this.#evidenceFor = evidenceFor;
  }

  /** The layers that a job names. @throws UnseenError CUT_UNAVAILABLE, SEALED_INVALID, and what the creator refuses with */
  get(job: Job, signal: AbortSignal): Promise<OpenedCut> {
    if (signal.aborted) return Promise.reject(signal.reason);
    const id = `${job.version}/${job.cut}/${job.scheme}`;
    const known = this.#opened.get(id);
    // Whoever began it may have been stopped, which says nothing to those who wait with them.
    if (known) return known.catch(() => this.get(job, signal));
    const opened = this.#open(job, signal);
    this.#opened.set(id, opened);
    opened.catch(() => this.#opened.delete(id));
    if (this.#opened.size > MAXIMUM_HEADS) this.#opened.delete(this.#opened.keys().next().value!);
    return opened;
  }

  async #open(job: Job, signal: AbortSignal): Promise<OpenedCut> {
    const { manifest } = await readManifest(this.#hub, job.model, job.version);
    const cut = manifest.cuts.find((offered) => offered.cut === job.cut && offered.parameters.scheme === job.scheme);
    if (!cut) throw unavailable(`the version has no cut ${job.cut} with ${job.scheme}.`);
    // A manifest comes from anyone: parameters decide on security and on memory.
    if (!allowedParameters.some((allowed) => parametersId(allowed) === parametersId(cut.parameters)))
      throw unavailable("the cut asks for parameters that are not offered here.");
    const creatorKey = Buffer.from(manifest.creatorKey, "base64");
    const { nonce } = await call(this.#hub, { kind: "creator", version: job.version }, "challenge", {}, challengeSchema, signal);
    // A key for this one message: the enclave's own is known to whatever runs under the same name on this platform, in any version.
    const ephemeral = await makeSealingKey();
    const evidence = await this.#evidenceFor(Buffer.from(nonce, "base64"), ephemeral.publicKey);
    const { sealed } = await call(
      this.#hub,
      { kind: "creator", version: job.version },
      "release",
      { version: job.version, nonce, evidence },
      releaseSchema,
      signal,
    );
    const message = await open(Buffer.from(sealed, "base64"), ephemeral, { purpose: purposes.headKey, context: job.version }, creatorKey);
    const headKey = keysSchema.parse(JSON.parse(new TextDecoder().decode(message)))[cut.head];
    if (!headKey) throw unavailable("the creator did not give the key of the cut.");
    const encrypted = await downloadBlob(this.#hub, cut.head, { maximum: MAXIMUM_HEAD_BYTES, signal });
    const head = readHeads(decodeOnnx(decryptHead(encrypted, Buffer.from(headKey, "base64")))).heads.at(-1);
    if (!head || head.value !== cut.value) throw unavailable("the published layers do not end at the cut.");
    return { head: withPictureScale(head, manifest.picture.scale), cut };
  }
}

function unavailable(what: string): UnseenError {
  return new UnseenError("CUT_UNAVAILABLE", what, { hint: "The creator must publish the model again with this version of Unseen." });
}
