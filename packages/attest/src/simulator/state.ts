/**
 * What a simulator keeps, so that it is the same after every start: its vendor's keys and the secret that a program's keys are derived from.
 * @module
 */
import "reflect-metadata";
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import { link, mkdir, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import * as x509 from "@peculiar/x509";
import { explainSystemError, UnseenError } from "@unseen/core/errors.ts";
import { z } from "zod";

const FILE = "simulator.json";
/** Long enough for a simulator, and fixed: tests choose their own time. */
const ROOT_DATES = { notBefore: new Date("2020-01-01T00:00:00Z"), notAfter: new Date("2049-12-31T23:59:59Z") };
const base64 = z
  .string()
  .max(4000)
  .regex(/^[A-Za-z0-9+/]+={0,2}$/);
const stateSchema = z.strictObject({
  version: z.literal(1),
  rootKey: base64,
  rootCertificate: base64,
  authorityKey: base64,
  secret: base64.length(44),
});

/** Name of the simulator's root: no one else's, so that everybody recognises it. */
export const ROOT_NAME = "Simulator SGX Root CA";

/** Keys of the simulated vendor and of its platforms. */
export interface SimulatorState {
  /** P-256, private. */
  readonly rootKey: KeyObject;
  /** DER. */
  readonly rootCertificate: Uint8Array;
  /** P-256, private: certifies platforms. */
  readonly authorityKey: KeyObject;
  /** 32 bytes. */
  readonly secret: Uint8Array;
}

/**
 * Opens the state in a directory, or makes it: whole or not at all, readable by its owner alone, the same for all who come at once.
 * @throws UnseenError ATTESTATION_UNAVAILABLE for a damaged file; DISK_FULL, PERMISSION_DENIED
 */
export async function openState(directory: string): Promise<SimulatorState> {
  const path = join(directory, FILE);
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const text = (await readText(path)) ?? (await create(path));
    return parse(text);
  } catch (error) {
    if (UnseenError.isInstance(error)) throw error;
    throw explainSystemError(error, path);
  }
}

async function readText(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

function parse(text: string): SimulatorState {
  try {
    const { rootKey, rootCertificate, authorityKey, secret } = stateSchema.parse(JSON.parse(text));
    return {
      rootKey: readKey(rootKey),
      authorityKey: readKey(authorityKey),
      rootCertificate: new Uint8Array(Buffer.from(rootCertificate, "base64")),
      secret: new Uint8Array(Buffer.from(secret, "base64")),
    };
  } catch (cause) {
    throw new UnseenError("ATTESTATION_UNAVAILABLE", `${FILE}: expected a simulator's state, got something else.`, {
      hint: "Remove the simulator's directory: a new one is made, with another root and other keys.",
      cause,
    });
  }
}

function readKey(base64: string): KeyObject {
  return createPrivateKey({ key: Buffer.from(base64, "base64"), format: "der", type: "pkcs8" });
}

function writeKey(key: KeyObject): string {
  return key.export({ format: "der", type: "pkcs8" }).toString("base64");
}

/** Writes a fresh state; where another process was first, theirs counts. */
async function create(path: string): Promise<string> {
  const rootKey = makeKey();
  const text = JSON.stringify({
    version: 1,
    rootKey: writeKey(rootKey),
    rootCertificate: Buffer.from(await makeRoot(rootKey)).toString("base64"),
    authorityKey: writeKey(makeKey()),
    secret: randomBytes(32).toString("base64"),
  });
  const temporary = `${path}.${randomBytes(6).toString("hex")}`;
  try {
    await using file = await open(temporary, "wx", 0o600);
    await file.writeFile(text);
    await file.sync();
    // link() is the one rename that refuses to replace.
    await link(temporary, path);
    return text;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    return await readFile(path, "utf8");
  } finally {
    await rm(temporary, { force: true });
  }
}

/** A fresh private key (P-256). */
export function makeKey(): KeyObject {
  return generateKeyPairSync("ec", { namedCurve: "prime256v1" }).privateKey;
}

/** A self-signed root certificate (DER) for a P-256 key. */
export async function makeRoot(privateKey: KeyObject, name = ROOT_NAME): Promise<Uint8Array> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const publicKey = createPublicKey(privateKey).toCryptoKey(algorithm, true, ["verify"]);
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    ...ROOT_DATES,
    name: [{ CN: [name] }],
    serialNumber: "01",
    keys: { privateKey: privateKey.toCryptoKey(algorithm, true, ["sign"]), publicKey },
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    extensions: [
      new x509.BasicConstraintsExtension(true, 1, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ],
  });
  return new Uint8Array(root.rawData);
}
