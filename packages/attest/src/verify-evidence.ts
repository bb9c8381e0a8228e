/**
 * Verifies evidence: that trusted hardware, at a level the policy allows, runs a program the policy names, which holds the keys.
 *
 * Signatures of quote and statements and the matching of levels are dcap-qvl's work. Checked here, because version 0.3.9 does not: signatures
 * and dates of revocation lists, names in the chains, the TDX module, and everything about the program.
 * A quote shows what hardware signed. It does not show where the hardware stands: who can touch its memory bus can extract
 * attestation keys (TEE.fail, 2025).
 * @module
 */
import { timingSafeEqual, type X509Certificate } from "node:crypto";
import dcap from "@phala/dcap-qvl";
import { type RevocationList, checkRevocation, readRevocationList } from "./revocation.ts";
import { type Vendor, checkChain, checkDates, commonName, readChain } from "./certificate-chain.ts";
import { type Collateral, checkStatementDates, decodeCollateral, readStatements } from "./collateral.ts";
import { fetchCollateral } from "./collateral-service.ts";
import { composeHashOf } from "./event-log.ts";
import { type Evidence, evidenceSchema, reportData } from "./evidence.ts";
import { checkNonce } from "./make-evidence.ts";
import { trustedRoot } from "./pinned-root.ts";
import type { Measurement, Policy } from "./policy.ts";
import { refusal } from "./refuse.ts";
import { SIMULATOR_WARNING } from "./shout.ts";
import { checkModule } from "./tdx-module.ts";
import { type TdxQuote, parseQuote } from "./tdx-quote.ts";

/** Intel's quoting enclaves (Intel TDX DCAP Quoting Library API, "QE vendor ID"). */
const INTEL_VENDOR = Buffer.from("939a7233f79c4ca9940a0db3957f0607", "hex");
const KEY_BYTES = 32;

/** What verified evidence shows. */
export interface Verified {
  /** By the root that vouches for it, not by what the evidence calls itself. */
  readonly kind: Evidence["kind"];
  /** 32 bytes: what is sealed to it, only the enclave opens. */
  readonly hpkePublicKey: Uint8Array;
  /** SHA-256 of the TLS key (SubjectPublicKeyInfo), 32 bytes, or null. */
  readonly tlsKeyHash: Uint8Array | null;
  /** Name of the measurement in the policy that matched. */
  readonly measurement: string;
  readonly tcbStatus: string;
  /** Such as INTEL-SA-00837. */
  readonly advisories: readonly string[];
  /** What whoever relies on it should be shown, a sentence each. */
  readonly warnings: readonly string[];
}

/** What evidence is held against. */
export interface VerifyOptions {
  /** The challenge: 32 bytes. */
  readonly nonce: Uint8Array;
  readonly policy: Policy;
  /** Default: the clock. */
  readonly now?: Date;
  /** SHA-256 of the key of the TLS connection; where it is given the evidence must bind this one. */
  readonly tlsKeyHash?: Uint8Array;
}

/**
 * Verifies evidence, which may be anything.
 *
 * @throws UnseenError ATTESTATION_INVALID, _NONCE, _MEASUREMENT, _DEBUG, _REVOKED, _EXPIRED, _TCB, _SIMULATOR; _UNAVAILABLE where there
 * is no collateral; REQUEST_INVALID for a nonce that is none; USAGE for a simulator policy without its root
 */
export async function verifyEvidence(evidence: unknown, { nonce, policy, now = new Date(), tlsKeyHash }: VerifyOptions): Promise<Verified> {
  checkNonce(nonce);
  const root = trustedRoot(policy);
  const parsed = parseEvidence(evidence);
  if (policy.mode === "production" && parsed.kind === "simulator") throw simulated();
  const quote = parseQuote(decode(parsed.quote, "quote"));
  const vendor: Vendor = policy.mode === "production" ? "Intel" : "Simulator";
  // It may call itself hardware.
  if (vendor === "Intel" && commonName(quote.chain.at(-1) as X509Certificate).startsWith("Simulator ")) throw simulated();
  checkChain(quote.chain, "quote", { vendor, root, purpose: "pck" });
  const collateral = await collateralFor(quote, parsed, policy, now);
  checkCertificates(quote, collateral, { vendor, root, now });
  const statements = readStatements(collateral);
  checkStatementDates(statements, now);
  if (!INTEL_VENDOR.equals(quote.vendor))
    throw refusal("ATTESTATION_INVALID", "quote: expected Intel's quoting enclave, got another vendor's.");
  // The lowest eight attributes are for debugging and the like; the library would refuse them too, without saying so by a code.
  if (quote.report.tdAttributes[0] !== 0)
    throw refusal("ATTESTATION_DEBUG", "quote: expected a trust domain without debug attributes, got one with.");
  const { status, advisories } = checkSignatures(quote, collateral, root, now);
  checkModule(quote.report, statements.tcbInfo);
  checkLevel(status, advisories, policy);
  const keys = checkKeys(parsed, quote, nonce, tlsKeyHash);
  const measurement = checkProgram(parsed, quote, policy);
  return {
    kind: policy.mode === "production" ? "tdx" : "simulator",
    ...keys,
    measurement: measurement.name,
    tcbStatus: status,
    advisories,
    warnings: warningsOf(policy, measurement, status, advisories),
  };
}

function parseEvidence(evidence: unknown): Evidence {
  const result = evidenceSchema.safeParse(evidence);
  if (result.success) return result.data;
  const field = result.error.issues[0]?.path.join(".") ?? "";
  throw refusal("ATTESTATION_INVALID", `evidence: expected version 1 of its form, got another one${field && ` at ${field}`}.`);
}

function simulated(): Error {
  return refusal("ATTESTATION_SIMULATOR", "evidence: expected a quote by real hardware, got a simulator's.");
}

/** Bytes of base64 that has no second spelling. */
function decode(base64: string, what: string): Buffer {
  const bytes = Buffer.from(base64, "base64");
  if (bytes.toString("base64") !== base64) throw refusal("ATTESTATION_INVALID", `${what}: expected base64, got something else.`);
  return bytes;
}

async function collateralFor(quote: TdxQuote, { collateral }: Evidence, { collateralUrl }: Policy, now: Date): Promise<Collateral> {
  if (collateral !== null) return decodeCollateral(collateral);
  if (collateralUrl !== null) return fetchCollateral(collateralUrl, quote.chain[0] as X509Certificate, now);
  throw refusal("ATTESTATION_UNAVAILABLE", "collateral: expected it stapled to the evidence or its address in the policy, got neither.");
}

/** Names, signatures, dates and revocation of every certificate that has a part in this. */
function checkCertificates(
  { chain }: TdxQuote,
  collateral: Collateral,
  { vendor, root, now }: { vendor: Vendor; root: X509Certificate; now: Date },
): void {
  const chains = [
    { what: "quote", purpose: "pck", chain },
    { what: "PCK revocation list", purpose: "pckCrl", chain: readChain(collateral.pck_crl_issuer_chain, "PCK revocation list", 2) },
    { what: "TCB info", purpose: "statement", chain: readChain(collateral.tcb_info_issuer_chain, "TCB info", 2) },
    { what: "QE identity", purpose: "statement", chain: readChain(collateral.qe_identity_issuer_chain, "QE identity", 2) },
  ] as const;
  for (const { chain, what, purpose } of chains) checkChain(chain, what, { vendor, root, purpose });
  for (const { chain, what } of chains) checkDates(chain, what, now);
  const lists: RevocationList[] = [
    readRevocationList(Buffer.from(collateral.root_ca_crl, "hex"), root, now),
    readRevocationList(Buffer.from(collateral.pck_crl, "hex"), chains[1].chain[0] as X509Certificate, now),
  ];
  for (const { chain, what } of chains) checkRevocation(chain, what, lists);
}

/** Signatures of quote and statements, the quoting enclave, and the level of the platform. */
function checkSignatures(
  { raw }: TdxQuote,
  collateral: Collateral,
  root: X509Certificate,
  now: Date,
): { status: string; advisories: readonly string[] } {
  try {
    const verifier = dcap.QuoteVerifier.newWithRootCa(Buffer.from(root.raw));
    const { status, advisory_ids: advisories } = verifier.verify(raw, collateral, Math.floor(now.getTime() / 1000));
    return { status, advisories };
  } catch (cause) {
    // The one thing that only the library's words tell apart: everything holds, but the level is none that it accepts.
    const isLevel = cause instanceof Error && /^(?:TCB status is invalid|No matching TCB level|QE ISVSVN \d+ is below)/.test(cause.message);
    if (isLevel) throw refusal("ATTESTATION_TCB", "quote: expected firmware at a level that the vendor supports, got one below.", cause);
    throw refusal("ATTESTATION_INVALID", "quote: expected signatures by a certified platform and its vendor, got others.", cause);
  }
}

function checkLevel(status: string, advisories: readonly string[], { tcbStatuses, advisories: accepted }: Policy): void {
  if (status === "UpToDate") return;
  if (!tcbStatuses.some((allowed) => allowed === status))
    throw refusal("ATTESTATION_TCB", `firmware: expected ${["UpToDate", ...tcbStatuses].join(" or ")}, got ${status.slice(0, 50)}.`);
  const open = advisories.filter((advisory) => !accepted.includes(advisory));
  if (open.length > 0)
    throw refusal("ATTESTATION_TCB", `firmware: expected advisories that the policy accepts, got ${open.join(", ").slice(0, 200)} too.`);
}

function checkKeys(
  evidence: Evidence,
  { report }: TdxQuote,
  nonce: Uint8Array,
  required: Uint8Array | undefined,
): Pick<Verified, "hpkePublicKey" | "tlsKeyHash"> {
  const hpkePublicKey = new Uint8Array(decode(evidence.hpkePublicKey, "hpkePublicKey"));
  const tlsKeyHash = evidence.tlsKeyHash === null ? null : new Uint8Array(decode(evidence.tlsKeyHash, "tlsKeyHash"));
  if (hpkePublicKey.length !== KEY_BYTES || (tlsKeyHash !== null && tlsKeyHash.length !== KEY_BYTES))
    throw refusal("ATTESTATION_INVALID", `keys: expected ${KEY_BYTES} bytes each, got other lengths.`);
  if (!timingSafeEqual(report.reportData, reportData(nonce, { hpkePublicKey, tlsKeyHash })))
    throw refusal("ATTESTATION_NONCE", "quote: expected one for this challenge and these keys, got another one.");
  if (required && !(tlsKeyHash && required.length === KEY_BYTES && timingSafeEqual(tlsKeyHash, required)))
    throw refusal("ATTESTATION_NONCE", "quote: expected one that binds the key of this TLS connection, got another one.");
  return { hpkePublicKey, tlsKeyHash };
}

function checkProgram(evidence: Evidence, { report }: TdxQuote, { measurements }: Policy): Measurement {
  const found = {
    mrtd: hexadecimal(report.mrTd),
    rtmr0: hexadecimal(report.rtMr0),
    rtmr1: hexadecimal(report.rtMr1),
    rtmr2: hexadecimal(report.rtMr2),
    composeHash: composeHashOf(evidence.eventLog, report.rtMr3),
  };
  const differing = (measurement: Measurement): string[] =>
    Object.entries(found).flatMap(([register, value]) => {
      const expected = measurement[register as keyof typeof found];
      return expected === undefined || expected === value ? [] : [register];
    });
  const match = measurements.find((measurement) => differing(measurement).length === 0);
  if (match) return match;
  const closest = measurements.map((measurement) => ({ name: measurement.name, registers: differing(measurement) }));
  const { name, registers } = closest.reduce((best, other) => (other.registers.length < best.registers.length ? other : best));
  throw refusal(
    "ATTESTATION_MEASUREMENT",
    `program: expected one of the policy's, got one that differs from "${name}" in ${registers.join(", ")}.`,
  );
}

function warningsOf(policy: Policy, measurement: Measurement, status: string, advisories: readonly string[]): string[] {
  const unpinned = (["mrtd", "rtmr0", "rtmr1", "rtmr2"] as const).filter((register) => measurement[register] === undefined);
  return [
    ...(policy.mode === "simulator" ? [SIMULATOR_WARNING] : []),
    ...(unpinned.length > 0
      ? [`The policy does not say what ${unpinned.join(", ")} must be: another system below could claim to run this program.`]
      : []),
    ...(status === "UpToDate" ? [] : [`The firmware is ${status}.`]),
    ...(advisories.length > 0 ? [`Advisories apply to the firmware: ${advisories.join(", ")}.`] : []),
  ];
}

function hexadecimal(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
