/**
 * Fetches collateral from the vendor or a cache of its statements (PCCS): Intel SGX and TDX Provisioning Certification Service API, version 4.
 *
 * The library's own way has no limits and follows redirects, and its 0.3.9 misreads who issued a certificate.
 * @module
 */
import type { X509Certificate } from "node:crypto";
import dcap from "@phala/dcap-qvl";
import { type Collateral, collateralSchema } from "./collateral.ts";
import { refusal } from "./refuse.ts";

/** The vendor's own service has no list of the root, but publishes it elsewhere. */
const INTEL_SERVICE = "api.trustedservices.intel.com";
const INTEL_ROOT_LIST = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der";

const TIMEOUT_MILLISECONDS = 10_000;
/** Limits (CWE-770): one answer, and answers kept. */
const ANSWER_BYTES = 512 * 1024;
const KEPT = 64;
const KEPT_MILLISECONDS = 60 * 60 * 1000;

const kept = new Map<string, { readonly until: number; readonly collateral: Promise<Collateral> }>();

/**
 * Collateral for a platform, kept for an hour. It is not verified here.
 *
 * @param platform the platform's certificate, under a root that is trusted
 * @throws UnseenError ATTESTATION_UNAVAILABLE where the service does not answer as documented; ATTESTATION_INVALID for another certificate
 */
export async function fetchCollateral(url: string, platform: X509Certificate, now: Date = new Date()): Promise<Collateral> {
  const fmspc = platformFamily(platform);
  const authority = /^CN=.* Platform CA$/m.test(platform.issuer) ? "platform" : "processor";
  const key = `${url} ${fmspc} ${authority}`;
  const known = kept.get(key);
  if (known && now.getTime() < known.until) return known.collateral;
  const collateral = fetchAll(new URL(url), fmspc, authority);
  if (kept.size >= KEPT) kept.delete(kept.keys().next().value as string);
  kept.set(key, { collateral, until: now.getTime() + KEPT_MILLISECONDS });
  // A failure is not kept.
  collateral.catch(() => kept.delete(key));
  return await collateral;
}

/** FMSPC: family, model, stepping and platform type, 6 bytes in hexadecimal. */
function platformFamily(platform: X509Certificate): string {
  try {
    return dcap.utils.getFmspc(dcap.utils.getIntelExtension(Buffer.from(platform.raw))).toString("hex");
  } catch (cause) {
    throw refusal("ATTESTATION_INVALID", "quote: expected a platform's certificate, got one without the vendor's extension.", cause);
  }
}

async function fetchAll(base: URL, fmspc: string, authority: string): Promise<Collateral> {
  const prefix = base.href.replace(/(?:\/(?:sgx|tdx)\/certification\/v4)?\/?$/, "");
  const rootList = base.hostname === INTEL_SERVICE ? INTEL_ROOT_LIST : `${prefix}/sgx/certification/v4/rootcacrl`;
  const [pck, root, tcb, qe] = await Promise.all([
    fetchOne(`${prefix}/sgx/certification/v4/pckcrl?ca=${authority}&encoding=der`, ["sgx-pck-crl-issuer-chain"]),
    fetchOne(rootList, []),
    fetchOne(`${prefix}/tdx/certification/v4/tcb?fmspc=${fmspc.toUpperCase()}`, ["tcb-info-issuer-chain", "sgx-tcb-info-issuer-chain"]),
    fetchOne(`${prefix}/tdx/certification/v4/qe/identity?update=standard`, ["sgx-enclave-identity-issuer-chain"]),
  ]);
  try {
    const tcbInfo = JSON.parse(tcb.body.toString("utf8")) as { tcbInfo: unknown; signature: unknown };
    const qeIdentity = JSON.parse(qe.body.toString("utf8")) as { enclaveIdentity: unknown; signature: unknown };
    return collateralSchema.parse({
      pck_crl_issuer_chain: pck.chain,
      root_ca_crl: listOf(root.body),
      pck_crl: listOf(pck.body),
      tcb_info_issuer_chain: tcb.chain,
      // The service writes no white space, so this is what was signed; otherwise the signature does not hold.
      tcb_info: JSON.stringify(tcbInfo.tcbInfo),
      tcb_info_signature: tcbInfo.signature,
      qe_identity_issuer_chain: qe.chain,
      qe_identity: JSON.stringify(qeIdentity.enclaveIdentity),
      qe_identity_signature: qeIdentity.signature,
    });
  } catch (cause) {
    throw refusal("ATTESTATION_UNAVAILABLE", `collateral: expected the documented answers from ${base.host}, got others.`, cause);
  }
}

/** A revocation list in hexadecimal: services send DER, which starts with 0x30, or hexadecimal text already. */
function listOf(body: Buffer): string {
  return body[0] === 0x30 ? body.toString("hex") : body.toString("latin1").trim().toLowerCase();
}

async function fetchOne(url: string, chainHeaders: readonly string[]): Promise<{ body: Buffer; chain: string }> {
  const { host } = new URL(url);
  try {
    const response = await fetch(url, { redirect: "error", signal: AbortSignal.timeout(TIMEOUT_MILLISECONDS) });
    if (!response.ok || response.body === null) throw new Error(`status ${response.status}`);
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for await (const part of response.body) {
      bytes += part.length;
      if (bytes > ANSWER_BYTES) throw new Error("answer too long");
      parts.push(part);
    }
    const header = chainHeaders.map((name) => response.headers.get(name)).find((value) => value !== null) ?? "";
    return { body: Buffer.concat(parts), chain: decodeURIComponent(header) };
  } catch (cause) {
    throw refusal("ATTESTATION_UNAVAILABLE", `collateral: expected an answer from ${host}, got none that can be used.`, cause);
  }
}
