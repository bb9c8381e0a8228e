/**
 * Certificate revocation lists (RFC 5280 section 5), failing closed: a list that cannot be read or verified revokes everything.
 *
 * The library that verifies quotes does neither check their signatures nor their dates, and ignores lists that it cannot read.
 * @module
 */
import "reflect-metadata";
import { verify, type X509Certificate } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { commonName } from "./certificate-chain.ts";
import { refusal } from "./refuse.ts";

const SEQUENCE = 0x30;
const BIT_STRING = 0x03;
/** Algorithm identifier of ecdsa-with-SHA256 (RFC 5758 section 3.2), with which every list here is signed. */
const ECDSA_WITH_SHA256 = Buffer.from("300a06082a8648ce3d040302", "hex");

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
export function readRevocationList(der: Uint8Array, issuer: X509Certificate, now: Date): RevocationList {
  const what = `revocation list of ${commonName(issuer)}`;
  const { issuedBy, verified, conditions, thisUpdate, nextUpdate, revoked } = parse(Buffer.from(der), issuer, what);
  if (!issuedBy || !verified) throw refusal("ATTESTATION_INVALID", `${what}: expected a list that this authority signed, got another one.`);
  // A critical extension could say that the list covers only some certificates.
  if (conditions) throw refusal("ATTESTATION_INVALID", `${what}: expected a complete list, got one with conditions.`);
  if (nextUpdate === undefined || !(thisUpdate <= now && now <= nextUpdate))
    throw refusal(
      "ATTESTATION_EXPIRED",
      `${what}: it is valid from ${thisUpdate.toISOString()} to ${nextUpdate?.toISOString() ?? "an unknown time"}.`,
    );
  return { issuer, revoked };
}

function parse(der: Buffer, issuer: X509Certificate, what: string) {
  try {
    // The library reads BER, where one list has many spellings; so its envelope is taken apart here.
    const [envelope, ...rest] = elements(der);
    const [signed, algorithm, signature, ...more] = elements(envelope?.content ?? der);
    const exact =
      rest.length === 0 && more.length === 0 && envelope?.tag === SEQUENCE && algorithm?.bytes.equals(ECDSA_WITH_SHA256) === true;
    if (!exact || !signed || signature?.tag !== BIT_STRING || signature.content[0] !== 0) throw new RangeError("no signed list in DER");
    const list = new x509.X509Crl(new Uint8Array(der));
    return {
      issuedBy: list.issuer === new x509.X509Certificate(new Uint8Array(issuer.raw)).subject,
      verified: verify("sha256", signed.bytes, issuer.publicKey, signature.content.subarray(1)),
      conditions: list.extensions.some(({ critical }) => critical),
      thisUpdate: list.thisUpdate,
      nextUpdate: list.nextUpdate,
      revoked: new Set(list.entries.map(({ serialNumber }) => BigInt(`0x${serialNumber}`))),
    };
  } catch (cause) {
    throw refusal("ATTESTATION_INVALID", `${what}: expected a list (DER) of that authority, got something else.`, cause);
  }
}

interface Element {
  readonly tag: number;
  /** Tag, length and content. */
  readonly bytes: Buffer;
  readonly content: Buffer;
}

/** The elements in a row of DER, each length in its one spelling (ITU-T X.690 section 10.1). */
function elements(der: Buffer): Element[] {
  const found: Element[] = [];
  for (let start = 0; start < der.length;) {
    const first = der.readUInt8(start + 1);
    const size = first < 0x80 ? 0 : first - 0x80;
    if (size > 4) throw new RangeError("a length of more than 32 bits");
    const length = size === 0 ? first : der.readUIntBE(start + 2, size);
    const minimal = size === 0 || length >= (size === 1 ? 0x80 : 2 ** (8 * (size - 1)));
    const content = start + 2 + size;
    const end = content + length;
    if (!minimal || end > der.length) throw new RangeError("another length than there is");
    found.push({ tag: der.readUInt8(start), bytes: der.subarray(start, end), content: der.subarray(content, end) });
    start = end;
  }
  return found;
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
    const list = lists.find(
      (candidate) => candidate.issuer.subject === issuer.subject && candidate.issuer.publicKey.equals(issuer.publicKey),
    );
    if (!list) throw refusal("ATTESTATION_INVALID", `${what}: expected a revocation list of ${commonName(issuer)}, got none.`);
    if (list.revoked.has(BigInt(`0x${certificate.serialNumber}`)))
      throw refusal("ATTESTATION_REVOKED", `${what}: the certificate of ${commonName(certificate)} is revoked.`);
  }
}
