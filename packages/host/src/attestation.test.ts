import assert from "node:assert/strict";
import { randomBytes, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { request, type RequestOptions } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { TLSSocket } from "node:tls";
import type { QuoteSource } from "@unseen/attest/evidence.ts";
import type { Policy } from "@unseen/attest/policy.ts";
import { SIMULATOR_WARNING } from "@unseen/attest/shout.ts";
import { simulatorPolicy, simulatorSource } from "@unseen/attest/simulator/simulator-source.ts";
import { verifyEvidence } from "@unseen/attest/verify-evidence.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { prepareAttestation } from "./attestation.ts";
import { startHost, type Host } from "./serve.ts";
import { writeTinyModel } from "./tiny-model.fixture.ts";

const directory = mkdtempSync(join(tmpdir(), "unseen-attest-host-"));
const model = join(directory, "tiny.gguf");
const lines: string[] = [];
let source: QuoteSource;
let policy: Policy;
let host: Host;

before(async () => {
  source = await simulatorSource({ directory: join(directory, "simulator") });
  policy = await simulatorPolicy(join(directory, "simulator"));
  writeTinyModel(model);
  host = await startHost({ model, port: 0, apiKey: "k", attest: source, log: (line) => lines.push(line) });
});
after(async () => {
  await host.close(0);
  rmSync(directory, { recursive: true });
});

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: unknown;
  readonly certificate: X509Certificate;
}

async function ask(path: string, options: RequestOptions = {}, url = host.url): Promise<Answer> {
  const query = request(new URL(path, url), { agent: false, rejectUnauthorized: false, ...options });
  query.end(options.method === "POST" ? "{}" : undefined);
  const [message] = (await once(query, "response")) as [IncomingMessage];
  const certificate = (message.socket as TLSSocket).getPeerX509Certificate()!;
  const body: unknown = JSON.parse(Buffer.concat(await Array.fromAsync(message as AsyncIterable<Buffer>)).toString("utf8"));
  return { status: message.statusCode ?? 0, headers: message.headers, body, certificate };
}

async function keyHashOf({ publicKey }: X509Certificate): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array(publicKey.export({ type: "spki", format: "der" }))));
}

describe("a host with --attest", () => {
  test("gives evidence for its nonce and for the key of its connection, without an API key", async () => {
    assert.match(host.url, /^https:/);
    const nonce = randomBytes(32);
    const { status, headers, body, certificate } = await ask(`/v1/attestation?nonce=${nonce.toString("base64url")}`);
    assert.equal(status, 200, JSON.stringify(body));
    assert.equal(headers["cache-control"], "no-store");
    const tlsKeyHash = await keyHashOf(certificate);
    const verified = await verifyEvidence(body, { nonce, policy, tlsKeyHash });
    assert.equal(verified.kind, "simulator");
    await assert.rejects(verifyEvidence(body, { nonce: randomBytes(32), policy, tlsKeyHash }), { code: "ATTESTATION_NONCE" });
    await assert.rejects(verifyEvidence(body, { nonce, policy, tlsKeyHash: tlsKeyHash.toReversed() }), { code: "ATTESTATION_NONCE" });
  });

  test("asks for its API key everywhere else", async () => {
    assert.equal((await ask("/v1/models")).status, 401);
    assert.equal((await ask("/v1/models", { headers: { authorization: "Bearer k" } })).status, 200);
  });

  test("says simulator at the start, in /health and in every response, errors included", async () => {
    assert.ok(lines.includes(SIMULATOR_WARNING));
    assert.deepEqual((await ask("/health")).body, { status: "ok", attestation: "simulator", warning: SIMULATOR_WARNING });
    const answers = [
      ask("/health"),
      ask("/v1/models"),
      ask("/nowhere", { headers: { authorization: "Bearer k" } }),
      ask("/v1/attestation"),
      ask("/v1/completions", { method: "POST", headers: { authorization: "Bearer k", "content-type": "application/json" } }),
    ];
    for (const { headers } of await Promise.all(answers)) assert.equal(headers["unseen-attestation"], "simulator");
  });

  test("refuses a nonce of another form", async () => {
    for (const nonce of ["", "short", "A".repeat(44), "+".repeat(43)]) {
      const { status, body } = await ask(`/v1/attestation?nonce=${encodeURIComponent(nonce)}`);
      assert.equal(status, 400);
      assert.equal((body as { error: { param: string } }).error.param, "nonce");
    }
  });

  test("has another key after each start", async () => {
    const [one, other] = await Promise.all([prepareAttestation(source, "127.0.0.1"), prepareAttestation(source, "127.0.0.1")]);
    assert.notDeepEqual(one.tls.keyHash, other.tls.keyHash);
    const [here, there] = await Promise.all([one.evidence(randomBytes(32)), other.evidence(randomBytes(32))]);
    assert.notEqual(here.hpkePublicKey, there.hpkePublicKey);
  });

  test("gives one address so much evidence and then 429", async () => {
    const own = await startHost({ model, port: 0, attest: source });
    try {
      const nonce = randomBytes(32).toString("base64url");
      const statuses: number[] = [];
      // More than the first 32 and what comes in while they are answered, at one a second.
      while (statuses.at(-1) !== 429 && statuses.length < 200)
        statuses.push((await ask(`/v1/attestation?nonce=${nonce}`, {}, own.url)).status);
      assert.equal(statuses.at(-1), 429);
      assert.ok(statuses.length > 32 && statuses.slice(0, -1).every((status) => status === 200), `${statuses}`);
      assert.equal((await ask("/health", {}, own.url)).status, 200);
    } finally {
      await own.close(0);
    }
  });
});

test("without hardware a host does not start, and leaves nothing behind", async () => {
  const refuse = async (): Promise<never> => {
    throw new UnseenError("ATTESTATION_UNAVAILABLE", "no socket.");
  };
  const listening: string[] = [];
  const none: QuoteSource = { kind: "tdx", quote: refuse, deriveKey: refuse };
  const started = startHost({ model, port: 0, attest: none, onListening: (url) => listening.push(url) });
  await assert.rejects(started, { code: "ATTESTATION_UNAVAILABLE" });
  assert.deepEqual(listening, []);
});

test("hardware that fails later is 503, and many who wait for it are 429", async () => {
  let held: PromiseWithResolvers<void> | null = null;
  const slow: QuoteSource = {
    ...source,
    kind: "tdx",
    async quote(data) {
      await held?.promise;
      if (held) throw new UnseenError("ATTESTATION_UNAVAILABLE", "the guest agent is gone.");
      return source.quote(data);
    },
  };
  const attestation = await prepareAttestation(slow, "127.0.0.1");
  held = Promise.withResolvers<void>();
  const asked = Array.from({ length: 70 }, () => attestation.evidence(randomBytes(32)));
  const settled = Promise.allSettled(asked);
  held.resolve();
  const codes = (await settled).map((result) => (result.status === "rejected" ? (result.reason as UnseenError).code : "given"));
  assert.equal(codes.filter((code) => code === "OVERLOADED").length, 6);
  assert.equal(codes.filter((code) => code === "ATTESTATION_UNAVAILABLE").length, 64);
  held = null;
  assert.equal((await attestation.evidence(randomBytes(32))).kind, "tdx");
});

test("a host without --attest has no such path", async () => {
  const plain = await startHost({ model, port: 0 });
  try {
    assert.match(plain.url, /^http:/);
    const response = await fetch(`${plain.url}/v1/attestation?nonce=${randomBytes(32).toString("base64url")}`);
    assert.equal(response.status, 404);
    assert.equal(response.headers.get("unseen-attestation"), null);
    assert.deepEqual(await (await fetch(`${plain.url}/health`)).json(), { status: "ok" });
  } finally {
    await plain.close(0);
  }
});
