/**
 * A simulated platform: quotes (TDX version 4) and collateral of the form that real ones have, under a root that anybody can make.
 * @module
 */
import { createHash, createPublicKey, type KeyObject, randomBytes, sign } from "node:crypto";
import type { Collateral } from "../collateral.ts";
import { type MeasuredEvent, RUNTIME_EVENT, eventDigest, replay } from "../event-log.ts";
import { type Authority, type CertificateFaults, PLATFORM, later, makeAuthority } from "./authority.ts";
import { makeKey, type SimulatorState } from "./state.ts";

const HEADER_BYTES = 48;
const REPORT_BYTES = 584;
const QE_REPORT_BYTES = 384;
const INTEL_VENDOR = Buffer.from("939a7233f79c4ca9940a0db3957f0607", "hex");
const QE_SIGNER = createHash("sha256").update("simulated quoting enclave").digest();
const QE_PRODUCT = 2;
const QE_SVN = 4;
/** SEPT_VE_DISABLE, bit 28, as every trust domain must have. */
const TD_ATTRIBUTES = Buffer.from("0000001000000000", "hex");

/** Where a report has its fields: offset and length in bytes. */
export const reportFields = {
  teeTcbSvn: [0, 16],
  mrSignerSeam: [64, 48],
  seamAttributes: [112, 8],
  tdAttributes: [120, 8],
  mrtd: [136, 48],
  rtmr0: [328, 48],
  rtmr1: [376, 48],
  rtmr2: [424, 48],
  rtmr3: [472, 48],
  reportData: [520, 64],
} as const satisfies Readonly<Record<string, readonly [number, number]>>;

/** What simulated firmware and systems measure as, in hexadecimal. */
export const SIMULATED_REGISTERS = Object.fromEntries(
  (["mrtd", "rtmr0", "rtmr1", "rtmr2"] as const).map((name) => [name, createHash("sha384").update(`simulated ${name}`).digest("hex")]),
) as Readonly<Record<"mrtd" | "rtmr0" | "rtmr1" | "rtmr2", string>>;

/** What differs from a platform in good order: for tests of those who must refuse it. Everything is signed after the change. */
export interface PlatformFaults extends CertificateFaults {
  /** Changes the report (584 bytes) in place. */
  readonly report?: (report: Buffer) => void;
  /** Changes the header (48 bytes) in place. */
  readonly header?: (header: Buffer) => void;
  /** Changes a statement in place, as a JSON value. */
  readonly tcbInfo?: (statement: Record<string, unknown>) => void;
  readonly qeIdentity?: (statement: Record<string, unknown>) => void;
  /** Events after dstack's own. */
  readonly events?: readonly { readonly event: string; readonly payload: string }[];
}

/** A platform that runs one program. */
export interface SimulatedPlatform {
  readonly eventLog: string;
  readonly collateral: Collateral;
  /** @param data 64 bytes. */
  quote(data: Uint8Array): Uint8Array;
}

/**
 * Starts a platform on which the program of a compose file runs.
 *
 * @param composeHash SHA-256 in hexadecimal
 * @param at the time by which everything is dated
 */
export async function makePlatform(
  state: SimulatorState,
  { composeHash, at, faults = {} }: { composeHash: string; at: Date; faults?: PlatformFaults },
): Promise<SimulatedPlatform> {
  const authority = await makeAuthority(state, at, faults);
  const events = measuredEvents(composeHash, faults);
  const rtmr3 = replay(events.map(eventDigest));
  const attestationKey = makeKey();
  const certification = certify(attestationKey, authority);
  return {
    eventLog: JSON.stringify(events),
    collateral: makeCollateral(authority, at, faults),
    quote: (data) => {
      const report = Buffer.alloc(REPORT_BYTES);
      const put = (name: keyof typeof reportFields, value: Uint8Array): void => report.set(value, reportFields[name][0]);
      put(
        "teeTcbSvn",
        Uint8Array.from({ length: 16 }, (_, index) => (index === 1 ? 1 : 5)),
      ); // of the TDX module: level 5, version 1
      put("tdAttributes", TD_ATTRIBUTES);
      for (const [name, value] of Object.entries(SIMULATED_REGISTERS))
        put(name as keyof typeof SIMULATED_REGISTERS, Buffer.from(value, "hex"));
      put("rtmr3", rtmr3);
      put("reportData", data);
      faults.report?.(report);
      const signed = Buffer.concat([header(faults), report]);
      return new Uint8Array(Buffer.concat([signed, lengthPrefixed(Buffer.concat([signature(signed, attestationKey), certification]))]));
    },
  };
}

function header(faults: PlatformFaults): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.writeUInt16LE(4, 0); // version
  bytes.writeUInt16LE(2, 2); // attestation key: P-256
  bytes.writeUInt32LE(0x81, 4); // TDX
  bytes.set(INTEL_VENDOR, 12);
  faults.header?.(bytes);
  return bytes;
}

/** The attestation key, and the quoting enclave's report that vouches for it, signed by the platform. */
function certify(attestationKey: KeyObject, { platformKey, platformChain }: Authority): Buffer {
  const { x, y } = createPublicKey(attestationKey).export({ format: "jwk" });
  const key = Buffer.concat([Buffer.from(x as string, "base64url"), Buffer.from(y as string, "base64url")]);
  const authentication = randomBytes(32);
  const report = Buffer.alloc(QE_REPORT_BYTES);
  report.set(QE_SIGNER, 128);
  report.writeUInt16LE(QE_PRODUCT, 256);
  report.writeUInt16LE(QE_SVN, 258);
  report.set(createHash("sha256").update(key).update(authentication).digest(), 320);
  const chain = Buffer.from(platformChain, "latin1");
  const body = Buffer.concat([
    report,
    signature(report, platformKey),
    Uint8Array.of(32, 0),
    authentication,
    Uint8Array.of(5, 0),
    lengthPrefixed(chain),
  ]);
  return Buffer.concat([key, Uint8Array.of(6, 0), lengthPrefixed(body)]);
}

function makeCollateral(authority: Authority, at: Date, faults: PlatformFaults): Collateral {
  const dates = { issueDate: isoSeconds(later(at, -1)), nextUpdate: isoSeconds(later(at, 30)) };
  const module = { mrsigner: "00".repeat(48), attributes: "00".repeat(8), attributesMask: "FF".repeat(8) };
  const level = (svn: number, status: string) => ({ tcb: { isvsvn: svn }, tcbDate: dates.issueDate, tcbStatus: status });
  const tcbInfo: Record<string, unknown> = {
    ...dates,
    id: "TDX",
    version: 3,
    fmspc: PLATFORM.fmspc.toUpperCase(),
    pceId: PLATFORM.pceId,
    tcbType: 0,
    tcbEvaluationDataNumber: 1,
    tdxModule: module,
    tdxModuleIdentities: [{ ...module, id: "TDX_01", tcbLevels: [level(5, "UpToDate"), level(2, "OutOfDate")] }],
    tcbLevels: [
      {
        tcb: {
          sgxtcbcomponents: PLATFORM.componentSvns.map((svn) => ({ svn })),
          pcesvn: PLATFORM.pceSvn,
          tdxtcbcomponents: PLATFORM.componentSvns.map((svn, index) => ({ svn: index === 1 ? 0 : svn })),
        },
        tcbDate: dates.issueDate,
        tcbStatus: "UpToDate",
      },
    ],
  };
  const qeIdentity: Record<string, unknown> = {
    ...dates,
    id: "TD_QE",
    version: 2,
    tcbEvaluationDataNumber: 1,
    miscselect: "00".repeat(4),
    miscselectMask: "FF".repeat(4),
    attributes: "00".repeat(16),
    attributesMask: "FF".repeat(16),
    mrsigner: QE_SIGNER.toString("hex").toUpperCase(),
    isvprodid: QE_PRODUCT,
    tcbLevels: [level(QE_SVN, "UpToDate")],
  };
  faults.tcbInfo?.(tcbInfo);
  faults.qeIdentity?.(qeIdentity);
  const statement = (value: object): { text: string; signature: string } => {
    const text = JSON.stringify(value);
    return { text, signature: signature(Buffer.from(text), authority.signingKey).toString("hex") };
  };
  const [tcb, qe] = [statement(tcbInfo), statement(qeIdentity)];
  return {
    pck_crl_issuer_chain: authority.authorityChain,
    root_ca_crl: Buffer.from(authority.rootList).toString("hex"),
    pck_crl: Buffer.from(authority.authorityList).toString("hex"),
    tcb_info_issuer_chain: authority.signingChain,
    tcb_info: tcb.text,
    tcb_info_signature: tcb.signature,
    qe_identity_issuer_chain: authority.signingChain,
    qe_identity: qe.text,
    qe_identity_signature: qe.signature,
  };
}

/** The events that dstack measures before it starts an application. */
function measuredEvents(composeHash: string, faults: PlatformFaults): MeasuredEvent[] {
  const hexadecimal = (text: string): string => Buffer.from(text).toString("hex");
  const events = [
    { event: "app-id", payload: composeHash.slice(0, 40) },
    { event: "compose-hash", payload: composeHash },
    { event: "instance-id", payload: "" },
    { event: "key-provider", payload: hexadecimal('{"name":"simulator","id":""}') },
    { event: "system-ready", payload: "" },
    ...(faults.events ?? []),
  ];
  return events.map(({ event, payload }) => {
    const measured = { event_type: RUNTIME_EVENT, event, event_payload: payload };
    return { imr: 3, ...measured, digest: eventDigest(measured).toString("hex") };
  });
}

/** ECDSA over SHA-256: r and s, 32 bytes each. */
function signature(bytes: Uint8Array, key: KeyObject): Buffer {
  return sign("sha256", bytes, { key, dsaEncoding: "ieee-p1363" });
}

/** Bytes after their number (32 bits, little endian). */
function lengthPrefixed(bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** As the vendor writes times. */
function isoSeconds(date: Date): string {
  return date.toISOString().replace(/\.\d{3}Z$/, "Z");
}
