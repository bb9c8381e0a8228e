/**
 * Keys of an enclave: the same after every start, known to this program alone.
 * @module
 */
import "reflect-metadata";
import { createECDH, createHash, createPrivateKey, createPublicKey } from "node:crypto";
import { isIP } from "node:net";
import * as x509 from "@peculiar/x509";
import { UnseenError } from "@unseen/core/errors.ts";
import type { QuoteSource } from "./evidence.ts";
import { makeSealingKey, type SealingKey } from "./hpke.ts";

const TLS_PURPOSE = "unseen/tls/v1";
const YEAR_MILLISECONDS = 365 * 24 * 60 * 60 * 1000;
const ecdsa = { name: "ECDSA", namedCurve: "P-256" } as const;

/** The enclave's HPKE key for a purpose. @throws UnseenError ATTESTATION_UNAVAILABLE */
export async function enclaveKey(source: QuoteSource, purpose: string): Promise<SealingKey> {
  return makeSealingKey(await source.deriveKey(purpose));
}

/** What a TLS server needs, and what evidence binds of it. */
export interface TlsIdentity {
  /** PEM. */
  readonly certificate: string;
  /** PEM (PKCS#8); it does not leave the enclave. */
  readonly privateKey: string;
  /** SHA-256 of the SubjectPublicKeyInfo (DER), 32 bytes. */
  readonly keyHash: Uint8Array;
}

/**
 * A self-signed TLS certificate (P-256) made in the enclave: what vouches for it is evidence that binds `keyHash`, no authority.
 *
 * @param hostnames names or addresses under which the enclave is reached; at least one
 * @throws UnseenError ATTESTATION_UNAVAILABLE; USAGE without a name
 */
export async function tlsIdentity(source: QuoteSource, ...hostnames: readonly string[]): Promise<TlsIdentity> {
  const [first] = hostnames;
  if (first === undefined)
    throw new UnseenError("USAGE", "hostname: expected at least one, got none.", {
      hint: "Give the name under which clients reach this server.",
    });
  const privateKey = privateKeyOf(await source.deriveKey(TLS_PURPOSE));
  const publicKey = createPublicKey(privateKey);
  const now = Date.now();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [first] }],
    notBefore: new Date(now - 60 * 60 * 1000),
    notAfter: new Date(now + YEAR_MILLISECONDS),
    keys: { privateKey: privateKey.toCryptoKey(ecdsa, true, ["sign"]), publicKey: publicKey.toCryptoKey(ecdsa, true, ["verify"]) },
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(hostnames.map((value) => ({ type: isIP(value) ? "ip" : "dns", value }))),
    ],
  });
  return {
    certificate: certificate.toString("pem"),
    privateKey: privateKey.export({ format: "pem", type: "pkcs8" }) as string,
    keyHash: new Uint8Array(
      createHash("sha256")
        .update(publicKey.export({ format: "der", type: "spki" }))
        .digest(),
    ),
  };
}

/** A P-256 key from 32 secret bytes. */
function privateKeyOf(seed: Uint8Array): ReturnType<typeof createPrivateKey> {
  for (let counter = 0; ; counter += 1) {
    const scalar = createHash("sha256").update(TLS_PURPOSE).update(Uint8Array.of(counter)).update(seed).digest();
    const pair = createECDH("prime256v1");
    try {
      pair.setPrivateKey(scalar);
    } catch {
      continue; // 1 of 2^32 is no number below the group's order
    }
    const point = pair.getPublicKey(); // 0x04, x, y
    const [x, y] = [point.subarray(1, 33), point.subarray(33)];
    const encode = (bytes: Buffer): string => bytes.toString("base64url");
    return createPrivateKey({ format: "jwk", key: { kty: "EC", crv: "P-256", d: encode(scalar), x: encode(x), y: encode(y) } });
  }
}
