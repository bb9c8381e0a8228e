/**
 * A TDX quote (Intel TDX DCAP Quoting Library API, version 4 and 5), taken apart without slack.
 *
 * The library reads it too, but leniently: what it skips, such as lengths that do not add up, is refused here, so that nothing
 * unsigned can hide in a quote. Nothing in it is true before its signatures are verified.
 * @module
 */
import type { X509Certificate } from "node:crypto";
import dcap, { type AuthDataV4, type TDReport10 } from "@phala/dcap-qvl";
import { readChain } from "./certificate-chain.ts";
import { refusal } from "./refuse.ts";

const HEADER_BYTES = 48;
const QE_REPORT_BYTES = 384;
const SIGNATURE_BYTES = 64;
const KEY_BYTES = 64;
/** Type and length of certification data. */
const CERTIFICATION_HEADER_BYTES = 6;
/** The library hashes exactly as many. */
const QE_AUTHENTICATION_BYTES = 32;
const QE_REPORT_CERTIFICATION = 6;
const PCK_CHAIN_CERTIFICATION = 5;
const TEE_TDX = 0x81;
const ECDSA_P256 = 2;

/** What a quote says, before anything of it is verified. */
export interface TdxQuote {
  readonly raw: Buffer;
  /** The report of the trust domain; registers of 48 bytes, `reportData` of 64. */
  readonly report: TDReport10;
  /** 16 bytes: who made the quoting enclave. */
  readonly vendor: Uint8Array;
  /** Platform certificate, its authority, the root. */
  readonly chain: readonly X509Certificate[];
}

/** Takes a quote apart. @throws UnseenError ATTESTATION_INVALID */
export function parseQuote(raw: Buffer): TdxQuote {
  const quote = lenient(raw);
  const { header, report } = quote;
  const base = report.asTd10();
  if (header.teeType !== TEE_TDX || (header.version !== 4 && header.version !== 5) || base === null)
    throw refusal("ATTESTATION_INVALID", `quote: expected TDX version 4 or 5, got version ${header.version} of type ${header.teeType}.`);
  if (header.attestationKeyType !== ECDSA_P256)
    throw refusal("ATTESTATION_INVALID", `quote: expected a P-256 attestation key, got key type ${header.attestationKeyType}.`);
  const outer = (quote.authData.data as AuthDataV4).certificationData;
  const { certificationData: inner, qeAuthData } = quote.authData.intoV3();
  if (outer.certType !== QE_REPORT_CERTIFICATION || inner.certType !== PCK_CHAIN_CERTIFICATION)
    throw refusal("ATTESTATION_INVALID", `quote: expected a certificate chain inside, got certification data of type ${inner.certType}.`);
  const signed = quote.signedLength();
  const reportBytes = report.type === "td15" ? 648 : 584;
  const body = QE_REPORT_BYTES + SIGNATURE_BYTES + 2 + qeAuthData.length + CERTIFICATION_HEADER_BYTES + inner.body.length;
  const authentication = SIGNATURE_BYTES + KEY_BYTES + CERTIFICATION_HEADER_BYTES + body;
  const exact =
    qeAuthData.length === QE_AUTHENTICATION_BYTES &&
    outer.body.length === body &&
    raw.readUInt32LE(signed) === authentication &&
    // Version 5 says twice how long its report is.
    (header.version === 4 || raw.readUInt32LE(HEADER_BYTES + 2) === reportBytes) &&
    // Kernels pad quotes with zeros.
    raw.subarray(signed + 4 + authentication).every((byte) => byte === 0);
  if (!exact) throw refusal("ATTESTATION_INVALID", "quote: expected lengths that add up, got others.");
  return { raw, report: base, vendor: header.qeVendorId, chain: readChain(Buffer.from(inner.body).toString("latin1"), "quote", 3) };
}

function lenient(raw: Buffer): ReturnType<typeof dcap.Quote.parse> {
  try {
    return dcap.Quote.parse(raw);
  } catch (cause) {
    throw refusal("ATTESTATION_INVALID", `quote: expected a TDX quote, got ${raw.length} bytes that are none.`, cause);
  }
}
