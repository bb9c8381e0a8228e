import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { simulatorPolicy, simulatorSource } from "@unseen/attest/simulator/simulator-source.ts";
import { writeBundle } from "@unseen/client/bundle.ts";
import { ScriptedHost } from "@unseen/client/engines/scripted-host.fixture.ts";
import { modelOn, startHost as startScripted, testBundle, VOCABULARY } from "@unseen/client/gateway/test-model.fixture.ts";
import { Offer } from "@unseen/client/gateway/offer.ts";
import type { Home } from "@unseen/client/home.ts";
import { createKey } from "@unseen/client/keyring.ts";
import { startHost } from "@unseen/host/serve.ts";
import { TINY_FINGERPRINT, TINY_VOCABULARY, writeTinyModel } from "@unseen/host/tiny-model.fixture.ts";
import type { HostRow } from "@unseen/web/protocol/library.ts";
import { TestConsole, temporaryHome } from "./console.fixture.ts";
import { openHosts } from "./host-routes.ts";

const FINGERPRINT = "00112233445566778899aabbccddeeff";
const closing: (() => Promise<unknown>)[] = [];
after(async () => {
  for (const close of closing.toReversed()) await close();
});

interface Settings {
  readonly fingerprint?: string;
  readonly name?: string;
  readonly passphrase?: string;
  readonly vocabularySize?: number;
}

/** A home with a key and the bundle of one model. */
async function homeWith(settings: Settings = {}, home: Home = temporaryHome()): Promise<Home> {
  const { fingerprint = FINGERPRINT, name = "story", passphrase, vocabularySize = VOCABULARY } = settings;
  const key = await createKey(home, `key-${fingerprint.slice(0, 4)}`, { passphrase });
  await writeBundle(home, testBundle({ fingerprint, name, keyId: key.id, vocabularySize, eosIds: [3], bosId: 1 }), {});
  return home;
}

const closed = new Set<ScriptedHost>();

/** Ends a host before the tests are over. */
async function end(host: ScriptedHost): Promise<void> {
  if (closed.has(host)) return;
  closed.add(host);
  await host.close();
}

/** A host that says which model it serves, and always answers with the cipher id 7. */
async function hostOf(fingerprint: string | null = FINGERPRINT, status: () => number = () => 200): Promise<ScriptedHost> {
  const unseen = fingerprint === null ? null : { fingerprint, vocabularySize: VOCABULARY };
  const host = await ScriptedHost.start({
    models: [{ id: "served", object: "model", owned_by: "unseen", max_model_len: 4096, unseen }],
    modelsStatus: status,
    answer: () => [{ ids: [7], finish: "stop" }],
  });
  closing.push(() => end(host));
  return host;
}

function open(home: Home, offer?: Offer): TestConsole {
  const console = new TestConsole(home, openHosts, offer);
  closing.push(() => console.close());
  return console;
}

const list = async (console: TestConsole): Promise<readonly HostRow[]> =>
  (await console.ask<{ hosts: HostRow[] }>("GET", "/console/hosts")).body.hosts;

const add = (console: TestConsole, body: unknown) => console.ask<HostRow>("POST", "/console/hosts", body);

const remove = (console: TestConsole, url: string) => console.ask<object>("DELETE", `/console/hosts?url=${encodeURIComponent(url)}`);

/** Asks every host of the only offered model by its turn. */
async function generate(console: TestConsole): Promise<number> {
  const [model] = console.offer.models;
  assert.ok(model && "blind" in model);
  const request = {
    prompt: [1],
    maximumTokens: 1,
    temperature: 0,
    topP: 1,
    presencePenalty: 0,
    frequencyPenalty: 0,
    stopTokenIds: [],
    cacheSalt: "s",
  };
  const chunks = await Array.fromAsync(model.blind.generate(request, { signal: AbortSignal.timeout(5000) }));
  assert.ok(chunks.at(-1)?.finishReason);
  return chunks.flatMap(({ ids }) => ids)[0]!;
}

test("a host is added, answers, is kept for its owner alone, comes back at the next start, and goes", async () => {
  const home = await homeWith();
  const host = await hostOf();
  const console = open(home);
  assert.deepEqual(await list(console), []);
  const { status, body } = await add(console, { url: `${host.url}/v1/`, apiKey: "secret-key" });
  assert.equal(status, 200, JSON.stringify(body));
  const { milliseconds, ...row } = body;
  assert.ok(Number.isInteger(milliseconds));
  assert.deepEqual(row, {
    url: host.url,
    state: "up",
    engine: "unseen",
    models: ["story"],
    attestation: null,
    failure: null,
    added: true,
    job: null,
  });
  const id = await generate(console);
  assert.equal(host.received.at(-1)!.headers.authorization, "Bearer secret-key");

  const file = join(home.root, "hosts.json");
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.deepEqual(JSON.parse(readFileSync(file, "utf8")), { version: 1, hosts: [{ url: host.url, apiKey: "secret-key" }] });
  assert.ok(!JSON.stringify([body, await list(console), console.notes]).includes("secret-key"));
  await console.close();

  const again = open(home);
  assert.deepEqual(
    (await list(again)).map(({ url, state, models }) => ({ url, state, models })),
    [{ url: host.url, state: "up", models: ["story"] }],
  );
  assert.equal(await generate(again), id);
  assert.equal((await remove(again, host.url)).status, 204);
  assert.deepEqual(await list(again), []);
  assert.equal(again.offer.models.length, 0);
  assert.deepEqual(JSON.parse(readFileSync(file, "utf8")), { version: 1, hosts: [] });
  assert.equal((await remove(again, host.url)).body.error?.code, "REQUEST_INVALID");
});

test("hosts of one model share one offered model, with those of the command line, and stand in for each other", async () => {
  const [first, second] = [await startScripted("from the first"), await startScripted("from the second")];
  const { url } = first;
  closing.push(() => second.close());
  const offer = new Offer([modelOn([first])]);
  const home = await homeWith({ fingerprint: offer.models[0]!.bundle.fingerprint, name: "test-model" });
  const console = open(home, offer);
  const [given] = await list(console);
  assert.deepEqual([given!.added, given!.models], [false, ["test-model"]]);
  const { body } = await add(console, { url: second.url });
  assert.deepEqual(body.models, ["test-model"]);
  assert.deepEqual(
    offer.models.map(({ id }) => id),
    ["test-model"],
  );
  assert.deepEqual(
    offer.models[0]!.engines.map((engine) => engine.url),
    [url, second.url],
  );
  assert.equal((await add(console, { url: second.url })).status, 200, "again, it takes its own place");
  assert.equal(offer.models[0]!.engines.length, 2);

  const before = second.completions.length;
  await first.close();
  await generate(console);
  assert.equal(second.completions.length, before + 1);
  assert.deepEqual(
    (await list(console)).map(({ state }) => state),
    ["down", "up"],
  );
  assert.equal((await remove(console, second.url)).status, 204);
  assert.deepEqual(
    offer.models[0]!.engines.map((engine) => engine.url),
    [url],
  );
  assert.equal((await remove(console, url)).body.error?.code, "REQUEST_INVALID", "what the command line gave stays");
});

test("a host that is down stays listed, and takes part when it is back", async () => {
  const home = await homeWith();
  let status = 200;
  const host = await hostOf(FINGERPRINT, () => status);
  const console = open(home);
  await add(console, { url: host.url });
  await console.close();

  status = 503;
  const again = open(home);
  const [loading] = await list(again);
  assert.deepEqual([loading!.state, loading!.failure?.code, loading!.milliseconds], ["loading", "HOST_LOADING", null]);
  assert.equal(again.offer.models.length, 0);
  status = 200;
  const rows = await Promise.all([list(again), list(again), list(again)]);
  for (const [row] of rows) assert.deepEqual([row!.state, row!.models, row!.failure], ["up", ["story"], null]);
  assert.equal(again.offer.models.length, 1);
  assert.equal(again.offer.models[0]!.engines.length, 1);
  await end(host);
  const [down] = await list(again);
  assert.deepEqual([down!.state, down!.failure?.code], ["down", "HOST_UNREACHABLE"]);
});

test("a host that says nothing costs three seconds, not more", async () => {
  const { createServer } = await import("node:net");
  const silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  closing.push(async () => silent.close());
  const home = await homeWith();
  const url = `http://127.0.0.1:${(silent.address() as { port: number }).port}`;
  writeFileSync(join(home.root, "hosts.json"), JSON.stringify({ version: 1, hosts: [{ url }] }));
  const started = performance.now();
  const [row] = await list(open(home));
  assert.deepEqual([row!.state, row!.failure?.code], ["down", "HOST_TIMEOUT"]);
  assert.ok(performance.now() - started < 6000);
});

describe("what is refused, in one line", () => {
  test("addresses that are none, hold a password or more than an address; and other bodies", async () => {
    const console = open(await homeWith());
    for (const url of [
      "",
      "host:8801",
      "ftp://h",
      "http://user:pw@h",
      "http://h#x",
      "http://h/?key=pw",
      "file:///etc/passwd",
      `http://${"h".repeat(3000)}`,
      7,
    ])
      for (const { status, body } of [await add(console, { url }), ...(typeof url === "string" ? [await remove(console, url)] : [])]) {
        assert.deepEqual([status, body.error?.code], [400, "REQUEST_INVALID"], String(url));
        assert.ok(!body.error!.message.includes("pw"));
      }
    for (const body of [
      "{",
      [],
      { url: "http://h", apiKey: "a\r\nx: y" },
      { url: "http://h", policy: "x".repeat(70_000) },
      { url: "http://h", extra: 1 },
    ])
      assert.equal((await add(console, body)).body.error?.code, "REQUEST_INVALID");
    assert.equal((await add(console, { url: "http://h", policy: "x".repeat(600_000) })).status, 413);
    assert.equal((await add(console, { url: "https://h", policy: "{}" })).body.error?.code, "USAGE");
  });

  test("a model without a bundle, a stock engine without a name, nobody there", async () => {
    const console = open(await homeWith());
    const [stranger, unnamed] = [await hostOf("f".repeat(32)), await hostOf(null)];
    assert.deepEqual(
      [(await add(console, { url: stranger.url })).status, (await add(console, { url: stranger.url })).body.error?.code],
      [404, "BUNDLE_NOT_FOUND"],
    );
    assert.equal((await add(console, { url: unnamed.url })).body.error?.code, "BUNDLE_NOT_FOUND");
    assert.equal((await add(console, { url: unnamed.url, model: "nothing" })).body.error?.code, "BUNDLE_NOT_FOUND");
    assert.equal((await add(console, { url: stranger.url, model: "story" })).body.error?.code, "BUNDLE_MISMATCH");
    assert.equal((await add(console, { url: "http://127.0.0.1:9" })).body.error?.code, "HOST_UNREACHABLE");
    assert.deepEqual(await list(console), [], "nothing of it is kept");
    assert.deepEqual((await add(console, { url: unnamed.url, model: "story" })).body.models, ["story"]);
  });

  test("a key's passphrase is taken from the page, never kept, and never asked for elsewhere", async () => {
    const home = await homeWith({ passphrase: "correct horse" });
    const host = await hostOf();
    const console = open(home);
    assert.equal((await add(console, { url: host.url })).body.error?.code, "KEY_INVALID");
    const wrong = await add(console, { url: host.url, passphrase: "wrong" });
    assert.deepEqual([wrong.status, wrong.body.error?.code], [403, "KEY_INVALID"]);
    assert.deepEqual((await add(console, { url: host.url, passphrase: "correct horse" })).body.models, ["story"]);
    assert.ok(!readFileSync(join(home.root, "hosts.json"), "utf8").includes("horse"));
    await console.close();
    const [row] = await list(open(home));
    assert.deepEqual([row!.state, row!.models, row!.failure?.code], ["up", [], "KEY_INVALID"]);
  });

  test("more hosts than may be, and a file that is damaged", async () => {
    const home = await homeWith();
    const host = await hostOf();
    const hosts = Array.from({ length: 32 }, (_, index) => ({ url: `http://127.0.0.1:9/${index}` }));
    const file = join(home.root, "hosts.json");
    writeFileSync(file, JSON.stringify({ version: 1, hosts }));
    const console = open(home);
    assert.equal((await list(console)).length, 32);
    assert.deepEqual([(await add(console, { url: host.url })).body.error?.code], ["QUOTA_EXCEEDED"]);
    for (const damaged of ['{"version":1,"hosts":[{"url":"http://h","apiKey":"shown?"', '{"version":2,"hosts":[]}', ""]) {
      writeFileSync(file, damaged);
      const opened = open(home);
      assert.deepEqual(await list(opened), []);
      assert.match(opened.notes.join("\n"), /hosts\.json is damaged/);
      assert.ok(!opened.notes.join("\n").includes("shown?"));
      const { status, body } = await add(opened, { url: host.url });
      assert.deepEqual([status, body.error?.code], [409, "CONFLICT"]);
      assert.equal(readFileSync(file, "utf8"), damaged, "it is not overwritten");
    }
  });
});

test("two models of one name are told apart by their fingerprints", async () => {
  const other = "ffeeddccbbaa99887766554433221100";
  const home = await homeWith();
  await homeWith({ fingerprint: other }, home);
  const console = open(home);
  const [first, second] = [await hostOf(), await hostOf(other)];
  await add(console, { url: first.url });
  assert.deepEqual((await add(console, { url: second.url })).body.models, ["story@ffeeddcc"]);
});

test("evidence is demanded where a policy was given, and what it showed is listed", async () => {
  const home = await homeWith({ fingerprint: TINY_FINGERPRINT, vocabularySize: TINY_VOCABULARY });
  const simulator = join(home.root, "simulator");
  const source = await simulatorSource({ directory: simulator });
  const policy = await simulatorPolicy(simulator);
  const model = join(home.root, "tiny.gguf");
  writeTinyModel(model);
  const host = await startHost({ model, port: 0, attest: source });
  closing.push(() => host.close(0));
  const console = open(home);
  const { status, body } = await add(console, { url: host.url, policy: JSON.stringify(policy) });
  assert.equal(status, 200, JSON.stringify(body));
  const { verifiedAt, ...attestation } = body.attestation!;
  assert.ok(Math.abs(Date.parse(verifiedAt!) - Date.now()) < 60_000);
  assert.deepEqual(attestation, { kind: "simulator", simulated: true, measurement: policy.measurements[0]!.name, failure: null });
  assert.match(console.notes.join("\n"), /simulat/i);

  const measurements = policy.measurements.map((one) => ({ ...one, mrtd: "0".repeat(96) }));
  const refused = await add(console, { url: host.url, policy: JSON.stringify({ ...policy, measurements }) });
  assert.deepEqual([refused.status, refused.body.error?.code], [502, "ATTESTATION_MEASUREMENT"]);
  assert.equal((await add(console, { url: host.url.replace("https", "http"), policy: JSON.stringify(policy) })).body.error?.code, "USAGE");
  const [row] = await list(console);
  assert.deepEqual([row!.state, row!.attestation?.failure], ["up", null], "the host that was added before stays");
});
