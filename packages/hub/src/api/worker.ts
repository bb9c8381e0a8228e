/**
 * What an enclave and a creator have in common: they ask the hub for work, so nobody needs to reach them. They hold a job by a lease,
 * which they renew; if they die, the lease runs out and the job goes to whoever asks next.
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import { UnseenError } from "@unseen/core/errors.ts";
import type { Job } from "../protocol.ts";
import { uploadBlob } from "./blobs.ts";
import type { HubClient } from "./hub-client.ts";
import { answerCall, askForWork, failWork, finishWork, renewLease } from "./jobs.ts";

/** What a party does. */
export interface Party {
  /** What log lines call it. */
  readonly title: string;
  /** HPKE public keys (base64) of an enclave; none for a creator. */
  readonly keys: readonly string[];
  readonly attestation: "tdx" | "simulator" | null;
  /** Does the party's step of a job; the sealed result. A code in `retried` is worth another attempt, others are final. */
  perform(job: Job, signal: AbortSignal): Promise<Uint8Array>;
  /** Answers another party's question. */
  answer(method: string, body: unknown): Promise<object>;
  /** Codes after which another attempt may succeed. */
  readonly retried: ReadonlySet<string>;
}

export interface WorkerOptions {
  readonly hub: HubClient;
  /** Jobs at once. */
  readonly hands: number;
  readonly log: (line: string) => void;
}

/** A running worker. */
export interface Worker {
  /** Asks for no more work and gives up what it does; its jobs go to another. */
  close(): Promise<void>;
}

/** After a hub that stays away, before the next question. */
const PAUSE = 2_000; // ms

/** Starts asking. Everything that goes wrong is said to the hub or logged; the worker goes on. */
export function startWorker(party: Party, { hub, hands, log }: WorkerOptions): Worker {
  const closing = new AbortController();
  const { signal } = closing;

  const loop = async (callsOnly: boolean): Promise<void> => {
    while (!signal.aborted) {
      try {
        const work = await askForWork(hub, { keys: party.keys, attestation: party.attestation, callsOnly }, signal);
        if (work?.kind === "call") await reply(work.id, work.method, work.body);
        if (work?.kind === "job") await performJob(work.job, work.lease, work.leaseSeconds);
      } catch (error) {
        if (signal.aborted) return;
        log(`${party.title}: ${describe(error).message}`);
        await sleep(PAUSE, undefined, { signal }).catch(() => {});
      }
    }
  };

  const reply = async (id: string, method: string, body: unknown): Promise<void> => {
    const answer = await party.answer(method, body).then(
      (given) => ({ body: given, error: null }),
      (error: unknown) => ({ body: null, error: describe(error) }),
    );
    await answerCall(hub, id, answer, signal);
  };

  const performJob = async (job: Job, lease: string, leaseSeconds: number): Promise<void> => {
    const given = new AbortController();
    const ended = new AbortController();
    const renewal = setInterval(
      () => {
        renewLease(hub, job.id, lease, AbortSignal.any([signal, ended.signal])).catch((error: unknown) => {
          // The job was cancelled, or is someone else's by now.
          if (UnseenError.isInstance(error) && (error.code === "CONFLICT" || error.code === "JOB_NOT_FOUND")) given.abort(error);
        });
      },
      (leaseSeconds * 1000) / 3,
    );
    try {
      const until = AbortSignal.any([signal, given.signal]);
      const sealed = await party.perform(job, until);
      until.throwIfAborted();
      await finishWork(hub, job.id, { lease, blob: await uploadBlob(hub, sealed, undefined, until) }, until);
      log(`${party.title}: ${job.id} done.`);
    } catch (error) {
      if (signal.aborted || given.signal.aborted) return;
      const { code, message } = describe(error);
      log(`${party.title}: ${job.id} failed: ${code}, ${message}`);
      await failWork(hub, job.id, { lease, code, message, again: party.retried.has(code) }, signal);
    } finally {
      clearInterval(renewal);
      ended.abort();
    }
  };

  const loops = [loop(true), ...Array.from({ length: hands }, () => loop(false))];
  return {
    async close() {
      closing.abort();
      await Promise.allSettled(loops);
    },
  };
}

/** What others may hear of a failure: our own words, never those of an engine, which may quote its input. */
function describe(error: unknown): { code: string; message: string } {
  if (UnseenError.isInstance(error)) return { code: error.code, message: error.line.slice(0, 500) };
  return { code: "INTERNAL", message: "a defect, or a machine that is out of memory or disk." };
}
