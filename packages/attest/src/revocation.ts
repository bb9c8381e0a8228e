/**
 * Certificate revocation lists (RFC 5280 section 5), failing closed: a list that cannot be read or verified revokes everything.
 *
 * The library that verifies quotes does neither check their signatures nor their dates, and ignores lists that it cannot read.
 * @module
 */
import "reflect-metadata";
import type { X509Certificate } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { commonName } from "./certificate-chain.ts";
import { refusal } from "./refuse.ts";

/** A list whose signature and dates hold. */
export interface RevocationList {
  readonly issuer: X509Certificate;
  /** Serial numbers. */
  readonly revoked: ReadonlySet<bigint>;
}

/**
 * Reads and verifies a list.
 * @param der the list. @param issuer who must have signed it
 * @throws UnseenError ATTESTATION_INVALID, ATTESTATION_EXPIRED
 */
export async function readRevocationList(der: Uint8Array, issuer: X509Certificate, now: Date): Promise<RevocationList> {
  const what = `revocation list of ${commonName(issuer)}`;
  const { verified, conditions, thisUpdate, nextUpdate, revoked } = await parse(der, issuer, what);
  if (!verified) throw refusal("ATTESTATION_INVALID", `${what}: expected a list that this authority signed, got another one.`);
  // A critical extension could say that the list covers only some certificates.
  if (conditions) throw refusal("ATTESTATION_INVALID", `${what}: expected a complete list, got one with conditions.`);
  if (nextUpdate === undefined || !(thisUpdate <= now && now <= nextUpdate))
    throw refusal(
      "ATTESTATION_EXPIRED",
      `${what}: it is valid from ${thisUpdate.toISOString()} to ${nextUpdate?.toISOString() ?? "an unknown time"}.`,
    );
  return { issuer, revoked };
}

async function parse(der: Uint8Array, issuer: X509Certificate, what: string) {
  try {
    const list = new x509.X509Crl(new Uint8Array(der));
    const authority = new x509.X509Certificate(new Uint8Array(issuer.raw));
    return {
      verified: list.issuer === authority.subject && (await list.verify({ publicKey: authority.publicKey })),
      conditions: list.extensions.some(({ critical }) => critical),
      thisUpdate: list.thisUpdate,
      nextUpdate: list.nextUpdate,
      revoked: new Set(list.entries.map(({ serialNumber }) => BigInt(`0x${serialNumber}`))),
    };
  } catch (cause) {
    throw refusal("ATTESTATION_INVALID", `${what}: expected a list (DER) of that authority, got something else.`, cause);
  }
}

/**
 * Checks every certificate of a chain against its issuer's list.
 * @param lists one for each issuer in the chain
 * @throws UnseenError ATTESTATION_REVOKED; ATTESTATION_INVALID where an issuer's list is missing
 */
export function checkRevocation(chain: readonly X509Certificate[], what: string, lists: readonly RevocationList[]): void {
  for (const [index, certificate] of chain.entries()) {
    const issuer = chain[index + 1] ?? certificate;
    // By name and key, for an authority may have been certified anew since.
    const list = lists.find((candidate) => candidate.issuer.subject === issuer.subject && candidate.issuer.publicKey.equals(issuer.publicKey));
    if (!list) throw refusal("ATTESTATION_INVALID", `${what}: expected a revocation list of ${commonName(issuer)}, got none.`);
    if (list.revoked.has(BigInt(`0x${certificate.serialNumber}`)))
      throw refusal("ATTESTATION_REVOKED", `${what}: the certificate of ${commonName(certificate)} is revoked.`);
  }
}
