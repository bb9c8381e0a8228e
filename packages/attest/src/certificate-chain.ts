/**
 * The certificate chains of Intel's provisioning certification (Intel SGX PCK Certificate and CRL Profile Specification): short,
 * of known shape, under a root that the verifier brings.
 * @module
 */
import { X509Certificate } from "node:crypto";
import { refusal } from "./refuse.ts";

/** Who issues: the simulator's names differ, so that nobody takes its certificates for Intel's. */
export type Vendor = "Intel" | "Simulator";

/** What a chain is for, leaf first: the names (after the vendor) that its certificates must have. */
export const chainNames = {
  pck: [["SGX PCK Certificate"], ["SGX PCK Platform CA", "SGX PCK Processor CA"], ["SGX Root CA"]],
  pckCrl: [["SGX PCK Platform CA", "SGX PCK Processor CA"], ["SGX Root CA"]],
  statement: [["SGX TCB Signing"], ["SGX Root CA"]],
} as const satisfies Readonly<Record<string, readonly (readonly string[])[]>>;

const PEM = /-----BEGIN CERTIFICATE-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END CERTIFICATE-----[\r\n\0]*/y;

/**
 * Reads exactly `length` PEM certificates and nothing else, leaf first.
 * @param what names the chain in messages. @throws UnseenError ATTESTATION_INVALID
 */
export function readChain(text: string, what: string, length: number): X509Certificate[] {
  const certificates: X509Certificate[] = [];
  PEM.lastIndex = 0;
  let end = 0;
  // One more than wanted at most: a longer text costs nothing more (CWE-770).
  while (end < text.length && certificates.length < length) {
    const match = PEM.exec(text);
    if (!match) break;
    end = PEM.lastIndex;
    certificates.push(readCertificate((match[1] as string).replaceAll(/[\r\n]/g, ""), what));
  }
  if (end !== text.length || certificates.length !== length)
    throw refusal("ATTESTATION_INVALID", `${what}: expected ${length} certificates (PEM) and nothing else, got something else.`);
  return certificates;
}

function readCertificate(base64: string, what: string): X509Certificate {
  const der = Buffer.from(base64, "base64");
  try {
    const certificate = new X509Certificate(der);
    // Bytes after a certificate, or base64 with spare bits, would be an unsigned place to hide in.
    if (certificate.raw.equals(der) && der.toString("base64") === base64) return certificate;
  } catch (cause) {
    throw refusal("ATTESTATION_INVALID", `${what}: expected an X.509 certificate, got something else.`, cause);
  }
  throw refusal("ATTESTATION_INVALID", `${what}: expected a certificate without trailing bytes, got some.`);
}

/** A certificate's common name, or an empty text. */
export function commonName(certificate: X509Certificate): string {
  return /^CN=(.*)$/m.exec(certificate.subject)?.[1] ?? "";
}

/**
 * Verifies names, signatures and the root of a chain; its dates are `checkDates`' matter.
 * @param root the one root that is trusted. @throws UnseenError ATTESTATION_INVALID
 */
export function checkChain(
  chain: readonly X509Certificate[],
  what: string,
  { vendor, root, purpose }: { vendor: Vendor; root: X509Certificate; purpose: keyof typeof chainNames },
): void {
  const invalid = (message: string, cause?: unknown) => refusal("ATTESTATION_INVALID", `${what}: ${message}`, cause);
  if (chain.at(-1)?.raw.equals(root.raw) !== true) throw invalid("expected the trusted root at the end of the chain, got another one.");
  const names = chainNames[purpose];
  for (const [index, certificate] of chain.entries()) {
    const expected = (names[index] ?? []).map((name: string) => `${vendor} ${name}`);
    // Without names a platform's certificate could sign statements about all platforms.
    if (!expected.includes(commonName(certificate))) throw invalid(`expected a certificate of ${expected.join(" or ")}, got another one.`);
    const isAuthority = purpose === "pckCrl" || index > 0;
    const issuer = chain[index + 1] ?? root;
    let holds = false;
    try {
      holds =
        certificate.ca === isAuthority &&
        certificate.publicKey.asymmetricKeyDetails?.namedCurve === "prime256v1" &&
        certificate.checkIssued(issuer) &&
        certificate.verify(issuer.publicKey);
    } catch (cause) {
      throw invalid("expected certificates with P-256 keys, got others.", cause);
    }
    if (!holds) throw invalid(`expected a certificate that ${commonName(issuer)} signed, got another one.`);
  }
}

/** Checks that all certificates are valid at a time. @throws UnseenError ATTESTATION_EXPIRED */
export function checkDates(chain: readonly X509Certificate[], what: string, now: Date): void {
  for (const certificate of chain)
    if (!(certificate.validFromDate <= now && now <= certificate.validToDate))
      throw refusal(
        "ATTESTATION_EXPIRED",
        `${what}: the certificate of ${commonName(certificate)} is valid from ${certificate.validFromDate.toISOString()} to ${certificate.validToDate.toISOString()}.`,
      );
}
