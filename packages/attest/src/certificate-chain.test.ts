import "reflect-metadata";
import assert from "node:assert/strict";
import { type KeyObject, X509Certificate } from "node:crypto";
import { before, describe, test } from "node:test";
import * as x509 from "@peculiar/x509";
import { checkChain, checkDates, readChain } from "./certificate-chain.ts";
import { readRevocationList } from "./revocation.ts";
import { AT, temporaryDirectory } from "./simulated-evidence.fixture.ts";
import { later, makeAuthority } from "./simulator/authority.ts";
import { makeKey, makeRoot, openState, type SimulatorState } from "./simulator/state.ts";

const invalid = { code: "ATTESTATION_INVALID" };
const ecdsa = { name: "ECDSA", namedCurve: "P-256" };
let state: SimulatorState;
let root: X509Certificate;
let pem: string;
before(async () => {
  state = await openState(temporaryDirectory());
  root = new X509Certificate(state.rootCertificate);
  pem = (await makeAuthority(state, AT)).platformChain;
});

function pemOf(der: Uint8Array): string {
  return `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString("base64")}\n-----END CERTIFICATE-----\n`;
}

describe("a chain", () => {
  test("is read and holds", () => {
    const chain = readChain(pem, "chain", 3);
    checkChain(chain, "chain", { vendor: "Simulator", root, purpose: "pck" });
    checkDates(chain, "chain", AT);
    assert.throws(() => checkDates(chain, "chain", later(AT, -2)), { code: "ATTESTATION_EXPIRED" });
  });

  test("has as many certificates as it must, and nothing beside", () => {
    for (const text of [
      "",
      "certificates",
      `${pem} `,
      ` ${pem}`,
      pem + pem,
      pem.replace("\n-----BEGIN", "\nbeside\n-----BEGIN"),
      pem.slice(0, -5),
    ])
      assert.throws(() => readChain(text, "chain", 3), invalid, text);
    assert.throws(() => readChain(pem, "chain", 2), invalid);
    assert.throws(() => readChain(pem, "chain", 4), invalid);
    assert.equal(readChain(`${pem.replaceAll("\n", "\r\n")}\0`, "chain", 3).length, 3, "as platforms end it");
  });

  test("has one spelling", () => {
    const der = Buffer.from(root.raw);
    assert.equal(readChain(pemOf(der), "chain", 1).length, 1);
    assert.throws(() => readChain(pemOf(Buffer.concat([der, Uint8Array.of(0)])), "chain", 1), invalid);
    const base64 = der.toString("base64");
    const respelled = base64.replace(/[A-Za-z0-9+/](?==)/, (last) => String.fromCharCode(last.charCodeAt(0) + 1));
    const spare = respelled !== base64 && Buffer.from(respelled, "base64").equals(der);
    if (spare) assert.throws(() => readChain(pemOf(der).replace(base64, respelled), "chain", 1), invalid);
  });

  test("is in order, of the right names, for the right purpose, under the one root", async () => {
    const chain = readChain(pem, "chain", 3);
    const [platform, authority] = chain as [X509Certificate, X509Certificate];
    const options = { vendor: "Simulator", root, purpose: "pck" } as const;
    assert.throws(() => checkChain([authority, platform, root], "chain", options), invalid);
    assert.throws(() => checkChain(chain, "chain", { ...options, vendor: "Intel" }), invalid);
    assert.throws(() => checkChain([platform, root], "chain", { ...options, purpose: "statement" }), invalid);
    assert.throws(() => checkChain([], "chain", options), invalid);
    const twin = new X509Certificate(await makeRoot(state.rootKey));
    assert.throws(() => checkChain([platform, authority, twin], "chain", options), invalid, "the same key is not the same certificate");
    const other = new X509Certificate(await makeRoot(makeKey()));
    assert.throws(() => checkChain([platform, authority, other], "chain", { ...options, root: other }), invalid);
  });

  test("ends in a leaf with a P-256 key that is no authority and that its issuer issued", async () => {
    const rootName = new x509.X509Certificate(new Uint8Array(root.raw)).subject;
    const made = async (ca: boolean, issuer = rootName, namedCurve = "P-256"): Promise<X509Certificate> => {
      const { publicKey } = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve }, true, ["sign", "verify"]);
      const certificate = await x509.X509CertificateGenerator.create({
        subject: [{ CN: ["Simulator SGX TCB Signing"] }],
        issuer,
        notBefore: later(AT, -1),
        notAfter: later(AT, 1),
        publicKey,
        signingKey: state.rootKey.toCryptoKey(ecdsa, true, ["sign"]),
        signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
        extensions: [new x509.BasicConstraintsExtension(ca, undefined, true)],
      });
      return new X509Certificate(Buffer.from(certificate.rawData));
    };
    const options = { vendor: "Simulator", root, purpose: "statement" } as const;
    checkChain([await made(false), root], "chain", options);
    for (const other of [await made(true), await made(false, "CN=Somebody"), await made(false, rootName, "P-384")])
      assert.throws(() => checkChain([other, root], "chain", options), invalid);
  });
});

describe("a revocation list", () => {
  async function list(key: KeyObject, issuer: string, extensions: x509.Extension[] = []): Promise<Uint8Array> {
    const made = await x509.X509CrlGenerator.create({
      issuer,
      thisUpdate: later(AT, -1),
      nextUpdate: later(AT, 1),
      entries: [{ serialNumber: "00ff", revocationDate: later(AT, -1) }],
      extensions,
      signingKey: key.toCryptoKey(ecdsa, true, ["sign"]),
      signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    });
    return new Uint8Array(made.rawData);
  }

  function refusesList(der: Uint8Array): void {
    assert.throws(() => readRevocationList(der, root, AT), invalid);
  }

  test("has no bit that may be another one", async () => {
    const der = await list(state.rootKey, new x509.X509Certificate(new Uint8Array(root.raw)).subject);
    for (let bit = 0; bit < der.length * 8; bit += 1) {
      const flipped = der.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      refusesList(flipped);
    }
    for (let length = 0; length < der.length; length += 1) refusesList(der.subarray(0, length));
    refusesList(Buffer.concat([der, Uint8Array.of(0)]));
    refusesList(Buffer.concat([der, Uint8Array.of(5, 0)]));
    // A longer spelling of its length: 0x81 says one byte, 0x82 two.
    assert.equal(der[1], 0x81);
    refusesList(Buffer.concat([Uint8Array.of(0x30, 0x82, 0), der.subarray(2)]));
  });

  test("is read where its issuer signed it", async () => {
    const name = new x509.X509Certificate(new Uint8Array(root.raw)).subject;
    assert.deepEqual(readRevocationList(await list(state.rootKey, name), root, AT).revoked, new Set([255n]));
    refusesList(await list(makeKey(), name));
    refusesList(await list(state.rootKey, "CN=Somebody"));
    refusesList(new Uint8Array(0));
  });

  test("without conditions", async () => {
    const name = new x509.X509Certificate(new Uint8Array(root.raw)).subject;
    // Issuing distribution point (RFC 5280 section 5.2.5): "only certificates of users".
    const condition = (critical: boolean) => new x509.Extension("2.5.29.28", critical, Uint8Array.of(0x30, 3, 0x81, 1, 0xff));
    refusesList(await list(state.rootKey, name, [condition(true)]));
    readRevocationList(await list(state.rootKey, name, [condition(false)]), root, AT);
  });
});
