/**
 * age files under a passphrase.
 * @module
 */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { PassphraseWork } from "./passphrase-worker.ts";

/** Seals a content; takes a second of another core. */
export async function sealWithPassphrase(content: Uint8Array, passphrase: string): Promise<Uint8Array> {
  return (await work({ kind: "seal", content, passphrase }))!;
}

/** Opens a file; takes a second of another core. @returns null where the passphrase is wrong or the file damaged. */
export function openWithPassphrase(file: Uint8Array, passphrase: string): Promise<Uint8Array | null> {
  return work({ kind: "open", file, passphrase });
}

async function work(workerData: PassphraseWork): Promise<Uint8Array | null> {
  const worker = new Worker(new URL("./passphrase-worker.ts", import.meta.url), { workerData });
  // A thread that fails emits an error, which this throws.
  const [answer] = (await once(worker, "message")) as [Uint8Array | null];
  await worker.terminate();
  return answer;
}
