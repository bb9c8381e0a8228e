/**
 * Seals or opens one age file with a passphrase, in a thread of its own: scrypt computes for a second, and answers that stream
 * meanwhile would stand still.
 * @module
 */
import { parentPort, workerData } from "node:worker_threads";
import { Decrypter, Encrypter } from "age-encryption";

/** What the thread is given; it answers with bytes, or null where the file does not open. */
export type PassphraseWork =
  | { readonly kind: "seal"; readonly passphrase: string; readonly content: Uint8Array }
  | { readonly kind: "open"; readonly passphrase: string; readonly file: Uint8Array };

const work = workerData as PassphraseWork;
if (work.kind === "seal") {
  const encrypter = new Encrypter();
  encrypter.setPassphrase(work.passphrase);
  parentPort?.postMessage(await encrypter.encrypt(work.content));
} else {
  const decrypter = new Decrypter();
  decrypter.addPassphrase(work.passphrase);
  parentPort?.postMessage(await decrypter.decrypt(work.file).catch(() => null));
}
