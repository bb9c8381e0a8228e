import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { DstackClient } from "@phala/dstack-sdk";
import { enclaveKey } from "./attested-key.ts";
import { dstackSource } from "./dstack-source.ts";
import { makeEvidence } from "./make-evidence.ts";
import type { Policy } from "./policy.ts";
import { AT, KEYS, NONCE, temporaryDirectory } from "./simulated-evidence.fixture.ts";
import { SIMULATED_COMPOSE_HASH, simulatorPolicy } from "./simulator/simulator-source.ts";
import { serveDstackSimulator, serveSimulatedCollateral } from "./simulator/serve-simulator.ts";
import { verifyEvidence } from "./verify-evidence.ts";

const directory = temporaryDirectory();
const challenge = { nonce: NONCE, keys: KEYS };
const clock = (): Date => AT;

async function agent(context: TestContext): Promise<string> {
  const server = await serveDstackSimulator({ directory, clock, socket: join(temporaryDirectory(), "dstack.sock") });
  context.after(() => server.close());
  return server.endpoint;
}

/** A service that answers every address alike. */
async function service(context: TestContext, status: number, body: string | Buffer, headers: Record<string, string> = {}): Promise<string> {
  return await listen(context, (_, response) => response.writeHead(status, headers).end(body));
}

async function listen(context: TestContext, handle: RequestListener): Promise<string> {
  const server = createServer(handle);
  context.after(() => server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe("dstack's guest agent, through its SDK and a Unix socket", () => {
  test("gives quotes that replay, and describes the program", async (context) => {
    const client = new DstackClient(await agent(context));
    const quote = await client.getQuote(Buffer.alloc(64, 7));
    const raw = Buffer.from(quote.quote, "hex");
    assert.equal(quote.replayRtmrs()[3], raw.subarray(48 + 472, 48 + 520).toString("hex"));
    assert.deepEqual(raw.subarray(48 + 520, 48 + 584), Buffer.alloc(64, 7));
    assert.equal((await client.info()).tcb_info.compose_hash, SIMULATED_COMPOSE_HASH);
  });

  test("gives keys, the same after a restart", async (context) => {
    const key = await enclaveKey(dstackSource({ endpoint: await agent(context) }), "features");
    assert.deepEqual((await enclaveKey(dstackSource({ endpoint: await agent(context) }), "features")).publicKey, key.publicKey);
    assert.notDeepEqual((await enclaveKey(dstackSource({ endpoint: await agent(context) }), "heads")).publicKey, key.publicKey);
  });

  test("gives evidence that is verified with collateral of a service, fetched or stapled", async (context) => {
    const collateral = await serveSimulatedCollateral({ directory, clock, port: 0 });
    context.after(() => collateral.close());
    const endpoint = await agent(context);
    const stapled = await makeEvidence(dstackSource({ endpoint, collateralUrl: collateral.endpoint }), challenge);
    assert.equal(stapled.kind, "tdx");
    assert.notEqual(stapled.collateral, null);
    const policy = await simulatorPolicy(directory);
    assert.equal((await verifyEvidence(stapled, { nonce: NONCE, policy, now: AT })).kind, "simulator");
    const plain = await makeEvidence(dstackSource({ endpoint }), challenge);
    assert.equal(plain.collateral, null);
    await assert.rejects(verifyEvidence(plain, { nonce: NONCE, policy, now: AT }), { code: "ATTESTATION_UNAVAILABLE" });
    const fetching: Policy = { ...policy, collateralUrl: `${collateral.endpoint}/sgx/certification/v4/` };
    assert.equal((await verifyEvidence(plain, { nonce: NONCE, policy: fetching, now: AT })).measurement, "simulator");
    await collateral.close();
    assert.equal((await verifyEvidence(plain, { nonce: NONCE, policy: fetching, now: AT })).measurement, "simulator", "answers are kept");
    await assert.rejects(verifyEvidence(plain, { nonce: NONCE, policy: { ...policy, mode: "production" }, now: AT }), {
      code: "ATTESTATION_SIMULATOR",
    });
  });
});

describe("without an agent: ATTESTATION_UNAVAILABLE", () => {
  const unavailable = { code: "ATTESTATION_UNAVAILABLE", hint: /TDX/ };

  test("no socket", async () => {
    const source = dstackSource({ endpoint: join(directory, "none.sock") });
    await assert.rejects(makeEvidence(source, challenge), unavailable);
    await assert.rejects(source.deriveKey("features"), unavailable);
  });

  test("a file instead of a socket", async () => {
    const endpoint = join(directory, "file.sock");
    writeFileSync(endpoint, "");
    await assert.rejects(makeEvidence(dstackSource({ endpoint }), challenge), unavailable);
  });

  test("an agent that fails, or answers something else", async (context) => {
    for (const body of [
      "{}",
      "[]",
      "null",
      "no JSON",
      '{"error":"no TDX"}',
      '{"quote":7,"event_log":7}',
      '{"quote":"zz","event_log":"[]"}',
    ])
      await assert.rejects(makeEvidence(dstackSource({ endpoint: await service(context, 200, body) }), challenge), unavailable, body);
  });
});

describe("a service of collateral that is none: ATTESTATION_UNAVAILABLE", () => {
  const cases: readonly [string, number, string | Buffer, Record<string, string>][] = [
    ["that fails", 500, "", {}],
    ["that sends something else", 200, "hello", {}],
    ["that sends half a statement", 200, '{"tcbInfo":{}}', {}],
    ["whose headers are no text", 200, "{}", { "tcb-info-issuer-chain": "%zz" }],
  ];
  for (const [name, status, body, headers] of cases)
    test(name, async (context) => {
      const evidence = await makeEvidence(dstackSource({ endpoint: await agent(context) }), challenge);
      const policy = { ...(await simulatorPolicy(directory)), collateralUrl: await service(context, status, body, headers) };
      await assert.rejects(verifyEvidence(evidence, { nonce: NONCE, policy, now: AT }), { code: "ATTESTATION_UNAVAILABLE" });
    });

  test("that sends good answers, but elsewhere or with too much around them", async (context) => {
    const evidence = await makeEvidence(dstackSource({ endpoint: await agent(context) }), challenge);
    const good = await serveSimulatedCollateral({ directory, clock, port: 0 });
    context.after(() => good.close());
    const verify = async (collateralUrl: string) =>
      verifyEvidence(evidence, { nonce: NONCE, now: AT, policy: { ...(await simulatorPolicy(directory)), collateralUrl } });
    const padded = (spaces: number): RequestListener => {
      return (request, response) => {
        void fetch(`${good.endpoint}${request.url}`).then(async (answer) => {
          const isJson = request.url?.startsWith("/tdx") === true;
          const body = Buffer.from(await answer.arrayBuffer());
          const chains = [...answer.headers].filter(([name]) => name.endsWith("chain"));
          response.writeHead(200, Object.fromEntries(chains)).end(isJson ? Buffer.concat([body, Buffer.alloc(spaces, 32)]) : body);
        });
      };
    };
    assert.equal((await verify(await listen(context, padded(1000)))).tcbStatus, "UpToDate");
    const unavailable = { code: "ATTESTATION_UNAVAILABLE" };
    await assert.rejects(verify(await listen(context, padded(600 * 1024))), unavailable);
    const elsewhere: RequestListener = (request, response) => response.writeHead(302, { location: `${good.endpoint}${request.url}` }).end();
    await assert.rejects(verify(await listen(context, elsewhere)), unavailable);
  });
});
