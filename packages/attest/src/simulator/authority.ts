/**
 * The simulated vendor: certificates of platforms and statements, and lists of what is revoked.
 * @module
 */
import "reflect-metadata";
import { createPublicKey, type KeyObject } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { enumerated, identifier, integer, octets, sequence } from "./der.ts";
import { makeKey, type SimulatorState } from "./state.ts";

/** Intel's extension of platform certificates (Intel SGX PCK Certificate and CRL Profile Specification). */
const SGX_EXTENSION = "1.2.840.113741.1.13.1";
const DAY_MILLISECONDS = 24 * 60 * 60 * 1000;
const ecdsa = { name: "ECDSA", namedCurve: "P-256" } as const;
const signingAlgorithm = { name: "ECDSA", hash: "SHA-256" } as const;

/** The levels that simulated platforms report: all components at 5. */
export const PLATFORM = {
  fmspc: "00806f050000",
  pceId: "0000",
  pceSvn: 11,
  componentSvns: Array.from({ length: 16 }, () => 5),
} as const;

/** Who a certificate is for. */
export type Role = "root" | "authority" | "platform" | "signing";

/** What differs from a platform in good order: for tests of those who must refuse it. */
export interface CertificateFaults {
  /** Whose serial numbers the lists name. */
  readonly revoked?: readonly Role[];
  /** Validity of a certificate. */
  readonly certificateDates?: (role: Role) => { readonly notBefore?: Date; readonly notAfter?: Date };
  /** Validity of the lists of the root and of the authority. */
  readonly listDates?: (issuer: "root" | "authority") => { readonly thisUpdate?: Date; readonly nextUpdate?: Date };
  /** Signs the list of the authority with another key than its own. */
  readonly forgedList?: boolean;
}

/** Certificates (PEM chains, leaf first), lists (DER) and the keys to sign with. */
export interface Authority {
  readonly platformChain: string;
  readonly platformKey: KeyObject;
  readonly authorityChain: string;
  readonly authorityList: Uint8Array;
  readonly rootList: Uint8Array;
  readonly signingChain: string;
  readonly signingKey: KeyObject;
}

const serials: Readonly<Record<Role, string>> = { root: "01", authority: "0a", platform: "0b", signing: "0c" };

/**
 * Makes a platform's certificates under the simulator's root, valid around a time.
 */
export async function makeAuthority(state: SimulatorState, at: Date, faults: CertificateFaults = {}): Promise<Authority> {
  const root = new x509.X509Certificate(new Uint8Array(state.rootCertificate));
  const vendor = root.subject.replace(/^CN=/, "").split(" ", 1)[0] ?? "";
  const around = { notBefore: later(at, -1), notAfter: later(at, 365) };

  const issue = async (
    role: Exclude<Role, "root">,
    subject: string,
    issuer: { name: string; key: KeyObject },
    extensions: readonly x509.Extension[],
    key = makeKey(),
  ): Promise<{ certificate: x509.X509Certificate; key: KeyObject }> => {
    const isAuthority = role === "authority";
    const usage = isAuthority ? x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign : x509.KeyUsageFlags.digitalSignature;
    const certificate = await x509.X509CertificateGenerator.create({
      ...around,
      ...faults.certificateDates?.(role),
      subject: [{ CN: [subject] }],
      issuer: issuer.name,
      serialNumber: serials[role],
      publicKey: createPublicKey(key).toCryptoKey(ecdsa, true, ["verify"]),
      signingKey: issuer.key.toCryptoKey(ecdsa, true, ["sign"]),
      signingAlgorithm,
      extensions: [
        new x509.BasicConstraintsExtension(isAuthority, isAuthority ? 0 : undefined, true),
        new x509.KeyUsagesExtension(usage, true),
        ...extensions,
      ],
    });
    return { certificate, key };
  };

  const list = async (issuer: "root" | "authority", name: string, key: KeyObject, covered: readonly Role[]): Promise<Uint8Array> => {
    const revoked = covered.filter((role) => faults.revoked?.includes(role));
    const made = await x509.X509CrlGenerator.create({
      issuer: name,
      thisUpdate: later(at, -1),
      nextUpdate: later(at, 30),
      ...faults.listDates?.(issuer),
      entries: revoked.map((role) => ({ serialNumber: serials[role], revocationDate: later(at, -1) })),
      signingKey: key.toCryptoKey(ecdsa, true, ["sign"]),
      signingAlgorithm,
    });
    return new Uint8Array(made.rawData);
  };

  const byRoot = { name: root.subject, key: state.rootKey };
  const authority = await issue("authority", `${vendor} SGX PCK Platform CA`, byRoot, [], state.authorityKey);
  const byAuthority = { name: authority.certificate.subject, key: authority.key };
  const platform = await issue("platform", `${vendor} SGX PCK Certificate`, byAuthority, [platformExtension()]);
  const signing = await issue("signing", `${vendor} SGX TCB Signing`, byRoot, []);
  const pem = (...certificates: x509.X509Certificate[]): string =>
    certificates.map((certificate) => `${certificate.toString("pem")}\n`).join("");
  return {
    platformChain: pem(platform.certificate, authority.certificate, root),
    platformKey: platform.key,
    authorityChain: pem(authority.certificate, root),
    authorityList: await list("authority", byAuthority.name, faults.forgedList ? platform.key : authority.key, ["platform"]),
    rootList: await list("root", root.subject, state.rootKey, ["root", "authority", "signing"]),
    signingChain: pem(signing.certificate, root),
    signingKey: signing.key,
  };
}

/** A time some days later. */
export function later(at: Date, days: number): Date {
  return new Date(at.getTime() + days * DAY_MILLISECONDS);
}

/** What the platform is and at which level: identifiers below the extension's own. */
function platformExtension(): x509.Extension {
  const field = (suffix: string, value: Uint8Array): Buffer => sequence(identifier(`${SGX_EXTENSION}.${suffix}`), value);
  const { componentSvns, pceSvn, pceId, fmspc } = PLATFORM;
  const level = sequence(
    ...componentSvns.map((svn, index) => field(`2.${index + 1}`, integer(svn))),
    field("2.17", integer(pceSvn)),
    field("2.18", octets(Uint8Array.from(componentSvns))),
  );
  const content = sequence(
    field("1", octets(new Uint8Array(16))), // PPID
    field("2", level),
    field("3", octets(Buffer.from(pceId, "hex"))),
    field("4", octets(Buffer.from(fmspc, "hex"))),
    field("5", enumerated(0)), // SGX type: standard
  );
  return new x509.Extension(SGX_EXTENSION, false, new Uint8Array(content));
}
