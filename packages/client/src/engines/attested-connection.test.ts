import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test, type TestContext } from "node:test";
import type { TlsIdentity } from "@unseen/attest/attested-key.ts";
import type { QuoteSource } from "@unseen/attest/evidence.ts";
import type { Policy } from "@unseen/attest/policy.ts";
import { simulatorPolicy, simulatorSource } from "@unseen/attest/simulator/simulator-source.ts";
import { startHost, type Host } from "@unseen/host/serve.ts";
import { TINY_CONTEXT, TINY_FINGERPRINT, TINY_VOCABULARY, writeTinyModel } from "@unseen/host/tiny-model.fixture.ts";
import { TokenCipher } from "../token-cipher.ts";
import { testBundle } from "../gateway/test-model.fixture.ts";
import { createGateway } from "../gateway/gateway.ts";
import { HostAttestation } from "./attested-connection.ts";
import { counted, evidenceOf, freshIdentity, relayTo, startTap, type TlsTap } from "./attested-host.fixture.ts";
import type { GenerateRequest } from "./engine.ts";
import { VllmEngine } from "./vllm.ts";

const HOUR = 3_600_000;
const request: GenerateRequest = {
  prompt: [7, 41, 93],
  maximumTokens: 5,
  temperature: 0,
  topP: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  stopTokenIds: [],
  ignoreEnd: true,
  cacheSalt: "salt",
};
const API_KEY = "sk-Quillfeather";

const directory = mkdtempSync(join(tmpdir(), "unseen-attested-"));
let source: ReturnType<typeof counted>;
let policy: Policy;
let host: Host;

before(async () => {
  const simulator = join(directory, "simulator");
  source = counted(await simulatorSource({ directory: simulator }));
  policy = await simulatorPolicy(simulator);
  const model = join(directory, "tiny.gguf");
  writeTinyModel(model);
  host = await startHost({ model, port: 0, apiKey: API_KEY, attest: source });
});
after(async () => {
  await host.close(0);
  rmSync(directory, { recursive: true });
});

interface Client {
  readonly engine: VllmEngine;
  readonly attestation: HostAttestation;
  readonly lines: string[];
}

function clientOf(url: string, demanded: Policy = policy, now: () => number = Date.now): Client {
  const lines: string[] = [];
  const attestation = new HostAttestation(url, demanded, { log: (line) => lines.push(line), now });
  return { engine: new VllmEngine({ url, apiKey: API_KEY, attestation }), attestation, lines };
}

async function generate({ engine }: Client): Promise<number[]> {
  const chunks = await Array.fromAsync(engine.generate(request, AbortSignal.timeout(20_000)));
  return chunks.flatMap(({ ids }) => [...ids]);
}

async function tap(
  context: TestContext,
  identity: TlsIdentity,
  answer: (message: IncomingMessage, response: ServerResponse) => void,
  port?: number,
): Promise<TlsTap> {
  const opened = await startTap(identity, answer, port);
  context.after(() => opened.close().catch(() => {}));
  return opened;
}

/** Both ways to a host fail with `code`, and nothing but questions for evidence has been written. */
async function refuses(client: Client, between: TlsTap, code: string): Promise<void> {
  for (const way of [() => client.engine.probe(), () => generate(client)]) {
    await assert.rejects(way(), (error: { code: string; line: string }) => {
      assert.equal(error.code, code, error.line);
      assert.match(error.line, /^the host at https:.* is refused and was sent nothing: [^\n]+$/);
      return true;
    });
  }
  assert.ok(between.sent.length >= 2, "each way tried a connection of its own");
  for (const text of between.sent) {
    assert.match(text, /^GET \/v1\/attestation\?nonce=[\w-]{43} HTTP\/1\.1\r\n(?:(?:connection|host): [^\r\n]*\r\n)+\r\n$/i);
  }
  assert.equal(client.attestation.proof, null);
  assert.ok(client.lines.some((line) => line.includes(`REFUSED ${code}`)));
}

describe("an attested host", () => {
  test("is asked for evidence once, and then computes what it computes", async () => {
    const before_ = source.quotes;
    const client = clientOf(host.url);
    const [facts, ...answers] = await Promise.all([client.engine.probe(), generate(client), generate(client), generate(client)]);
    assert.equal(facts.models[0]?.fingerprint, TINY_FINGERPRINT);
    const plain = await startHost({ model: join(directory, "tiny.gguf"), port: 0 });
    try {
      const expected = await Array.fromAsync(new VllmEngine({ url: plain.url }).generate(request, AbortSignal.timeout(20_000)));
      for (const ids of answers)
        assert.deepEqual(
          ids,
          expected.flatMap((chunk) => chunk.ids),
        );
    } finally {
      await plain.close(0);
    }
    assert.equal(source.quotes - before_, 1, "connections that show one key wait for one verdict");
    assert.equal(client.attestation.proof?.kind, "simulator");
    assert.match(client.lines.join("\n"), /UpToDate\n[\s\S]*SIMULATOR/);
  });

  test("is asked again after an hour, also where its connection was kept", async () => {
    let clock = Date.now();
    const client = clientOf(host.url, policy, () => clock);
    const start = source.quotes;
    await client.engine.probe();
    await client.engine.probe();
    assert.equal(source.quotes - start, 1);
    clock += HOUR - 1000;
    await client.engine.probe();
    assert.equal(source.quotes - start, 1);
    clock += 2000;
    // The kept connection may serve one more request; it is not kept after it.
    await client.engine.probe();
    await client.engine.probe();
    assert.equal(source.quotes - start, 2);
    assert.equal(client.attestation.proof?.verifiedAt, clock);
  });

  test("a tap with the enclave's own key sees prompts: what is not seen elsewhere would be seen", async (context) => {
    const identity = await freshIdentity(source);
    const own = evidenceOf(source, identity);
    const onward = relayTo(host.url);
    const between = await tap(context, identity, (message, response) =>
      (message.url?.startsWith("/v1/attestation") ? own : onward)(message, response),
    );
    assert.equal((await generate(clientOf(between.url))).length, request.maximumTokens);
    const everything = between.sent.join("");
    assert.match(everything, /^GET \/v1\/attestation/);
    assert.ok(everything.includes('"prompt":[7,41,93]') && everything.includes(API_KEY));
  });
});

describe("nothing is sent", () => {
  test("to a man in the middle who relays the genuine evidence", async (context) => {
    const between = await tap(context, await freshIdentity(source), relayTo(host.url));
    await refuses(clientOf(between.url), between, "ATTESTATION_NONCE");
  });

  test("to a host that replays evidence for an earlier nonce", async (context) => {
    const identity = await freshIdentity(source);
    const between = await tap(context, identity, (message, response) => {
      message.url = `/v1/attestation?nonce=${Buffer.alloc(32, 1).toString("base64url")}`;
      evidenceOf(source, identity)(message, response);
    });
    await refuses(clientOf(between.url), between, "ATTESTATION_NONCE");
  });

  test("to a host that runs another program", async (context) => {
    const between = await tap(context, ...(await genuine()));
    const measurements = policy.measurements.map((measurement) => ({ ...measurement, composeHash: "0".repeat(64) }));
    await refuses(clientOf(between.url, { ...policy, measurements }), between, "ATTESTATION_MEASUREMENT");
  });

  test("to a simulator, where the policy is for production", async (context) => {
    const between = await tap(context, ...(await genuine()));
    const { simulatorRoot: _, ...rest } = policy;
    await refuses(clientOf(between.url, { ...rest, mode: "production" }), between, "ATTESTATION_SIMULATOR");
  });

  test("to a host without evidence, with nonsense for evidence, or one that closes after it", async (context) => {
    const identity = await freshIdentity(source);
    const answers: [string, (response: ServerResponse, message: IncomingMessage) => void][] = [
      ["ATTESTATION_UNAVAILABLE", (response) => response.writeHead(404).end("{}")],
      ["ATTESTATION_INVALID", (response) => response.end('{"version":1}')],
      [
        "ATTESTATION_UNAVAILABLE",
        (response, message) => {
          response.setHeader("connection", "close");
          evidenceOf(source, identity)(message, response);
        },
      ],
    ];
    for (const [code, answer] of answers) {
      const between = await tap(context, identity, (message, response) => answer(response, message));
      const client = clientOf(between.url);
      await assert.rejects(generate(client), (error: { code?: string }) => error.code === code || assert.fail(JSON.stringify(error)));
      assert.doesNotMatch(between.sent.join(""), /prompt|Quillfeather|completions/);
    }
  });

  test("to another machine that takes the host's address over", async (context) => {
    const first = await tap(context, ...(await genuine()));
    const client = clientOf(first.url);
    await assert.rejects(client.engine.probe(), { code: "HOST_LOADING" }); // admitted: it got its request
    await first.close();
    const second = await tap(context, await freshIdentity(source), (_, response) => response.writeHead(404).end("{}"), first.port);
    await assert.rejects(generate(client), { code: "ATTESTATION_UNAVAILABLE" });
    assert.match(second.sent.join(""), /^GET \/v1\/attestation/);
    assert.doesNotMatch(second.sent.join(""), /prompt|Quillfeather|completions/);
  });

  test("over http, and the message says why", () => {
    for (const url of ["http://127.0.0.1:8801", "nonsense"])
      assert.throws(() => new HostAttestation(url, policy), { code: "USAGE", message: /https:.*attestation/ });
  });

  test("to a host that hangs up in mid-handshake", async (context) => {
    const server = createServer((socket) => socket.once("data", () => socket.destroy()));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    context.after(() => server.close());
    const { port } = server.address() as { port: number };
    await assert.rejects(clientOf(`https://127.0.0.1:${port}`).engine.probe(), { code: "HOST_UNREACHABLE" });
  });
});

test("an enclave that starts anew with another key is verified anew, and serves", async (context) => {
  const first = await tap(context, ...(await genuine()));
  const client = clientOf(first.url);
  await assert.rejects(client.engine.probe(), { code: "HOST_LOADING" });
  await first.close();
  const start = source.quotes;
  const second = await tap(context, ...(await genuine()), first.port);
  await assert.rejects(client.engine.probe(), { code: "HOST_LOADING" });
  assert.equal(source.quotes - start, 1);
  assert.match(second.sent.join(""), /^GET \/v1\/attestation[\s\S]*GET \/v1\/models/);
});

test("the gateway shows what its host has shown, and says simulator in every response", async () => {
  const { engine } = clientOf(host.url);
  const identity = { fingerprint: TINY_FINGERPRINT, vocabularySize: TINY_VOCABULARY, contextLength: TINY_CONTEXT, bosId: 1, eosIds: [3] };
  const cipher = new TokenCipher(Uint32Array.from({ length: TINY_VOCABULARY }, (_, id) => TINY_VOCABULARY - 1 - id));
  const model = { id: "tiny", bundle: testBundle(identity), tokenizer: null, cipher, engines: [engine] };
  const application = createGateway({ models: [model], hostNames: null });
  const answer = await application.request("/v1/completions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "tiny", prompt: [1, 2, 3], max_tokens: 4, return_token_ids: true }),
  });
  assert.equal(answer.status, 200, await answer.clone().text());
  for (const path of ["/health", "/v1/models", "/v1/models/none", "/nowhere"])
    assert.equal((await application.request(path)).headers.get("unseen-attestation"), "simulator", path);
  const { data } = (await (await application.request("/v1/models")).json()) as { data: { unseen: { attestation: object[] } }[] };
  const [shown] = data[0]!.unseen.attestation as { host: string; kind: string; tcbStatus: string; verifiedAt: string }[];
  assert.equal(shown?.host, host.url);
  assert.equal(shown?.kind, "simulator");
  assert.equal(shown?.tcbStatus, "UpToDate");
  assert.ok(Date.parse(shown?.verifiedAt ?? "") > 0);
});

/** An enclave's TLS key with evidence for it. */
async function genuine(): Promise<[TlsIdentity, ReturnType<typeof evidenceOf>]> {
  const identity = await freshIdentity(source as QuoteSource);
  return [identity, evidenceOf(source, identity)];
}
