/**
 * Chat through an attested host, as users do it: `unseen serve --attest`, and `--require-attestation` on the other side.
 * @module
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Policy } from "@unseen/attest/policy.ts";
import { SIMULATOR_WARNING } from "@unseen/attest/shout.ts";
import { simulatorPolicy } from "@unseen/attest/simulator/simulator-source.ts";
import { ask, onlyObject, post, runCommand, startServer, STORY_LLAMA, temporaryDirectory, type RunningServer } from "./command-line.ts";
import { startRecordingProxy } from "./recording-proxy.ts";

const home = temporaryDirectory("attested");
const surroundings = { home };
const at = (name: string): string => join(home, name);
let host: RunningServer;
let policy: string;

before(async () => {
  await ask(["encrypt", STORY_LLAMA, "--out", at("story"), "--name", "story", "--strength", "permute", "--no-measure"], surroundings);
  host = await startServer(["serve", at("story"), "--port", "0", "--attest", "simulator"], surroundings);
  policy = at("policy.json");
  writeFileSync(policy, JSON.stringify(await simulatorPolicy(at("simulator"))));
});
after(() => host?.stop());

/** The simulator's policy with something else in it. */
function otherPolicy(name: string, change: (policy: Policy) => object): string {
  writeFileSync(at(name), JSON.stringify(change(JSON.parse(readFileSync(policy, "utf8")) as Policy)));
  return at(name);
}

async function refused(url: string, policyFile: string, code: string, what: RegExp): Promise<string> {
  const {
    code: exit,
    stdout,
    stderr,
  } = await runCommand(["chat", "--host", url, "--require-attestation", policyFile, "--message", "Hello", "--json"], surroundings);
  assert.equal(exit, 1, stderr);
  const { error } = onlyObject<{ error: { code: string; message: string; hint: string } }>(stdout);
  assert.equal(error.code, code, stderr);
  assert.match(error.message, what);
  assert.ok(error.hint);
  return stderr;
}

describe("a simulated enclave", () => {
  test("is chatted with through the gateway, and everybody says that it is one", async () => {
    assert.match(host.url, /^https:/);
    assert.ok(host.stderr().startsWith(SIMULATOR_WARNING), host.stderr());
    const gateway = await startServer(["gateway", "--port", "0", "--host", host.url, "--require-attestation", policy], surroundings);
    try {
      const { status, body } = await post<{ choices: { message: { content: string } }[] }>(`${gateway.url}/v1/chat/completions`, {
        messages: [{ role: "user", content: "Tell me a story about a dog." }],
        max_tokens: 8,
        temperature: 0,
      });
      assert.equal(status, 200);
      assert.ok((body.choices[0]?.message.content.length ?? 0) > 5);
      assert.ok(gateway.stderr().startsWith(SIMULATOR_WARNING), gateway.stderr());
      const models = await fetch(`${gateway.url}/v1/models`);
      assert.equal(models.headers.get("unseen-attestation"), "simulator");
      const { data } = (await models.json()) as { data: { unseen: { attestation: { host: string; kind: string }[] } }[] };
      assert.deepEqual(
        data[0]?.unseen.attestation.map((row) => ({ host: row.host, kind: row.kind })),
        [{ host: host.url, kind: "simulator" }],
      );
    } finally {
      await gateway.stop();
    }
  });

  test("is refused under a production policy, and where another program is expected", async () => {
    const production = otherPolicy("production.json", (given) => ({ ...given, mode: "production", simulatorRoot: undefined }));
    const stderr = await refused(host.url, production, "ATTESTATION_SIMULATOR", /is refused and was sent nothing/);
    assert.match(stderr, /REFUSED ATTESTATION_SIMULATOR/);
    const other = otherPolicy("other.json", (given) => ({
      ...given,
      measurements: given.measurements.map((measurement) => ({ ...measurement, composeHash: "0".repeat(64) })),
    }));
    await refused(host.url, other, "ATTESTATION_MEASUREMENT", /is refused and was sent nothing/);
  });
});

test("a host without TLS is refused before anything is sent, and a policy that is none is named", async (context) => {
  const proxy = await startRecordingProxy(host.url);
  context.after(() => proxy.close());
  await refused(proxy.url, policy, "USAGE", /must begin with https:\/\/ where attestation is required/);
  await refused(host.url, at("nowhere.json"), "USAGE", /nowhere\.json/);
  assert.equal(proxy.sent().length, 0);
});

test("without trusted hardware `serve --attest` does not serve", async () => {
  const { code, stdout } = await runCommand(["serve", at("story"), "--port", "0", "--attest", "--json"], {
    home,
    environment: { DSTACK_SIMULATOR_ENDPOINT: at("no.sock") },
  });
  assert.equal(code, 1);
  assert.equal(onlyObject<{ error: { code: string } }>(stdout).error.code, "ATTESTATION_UNAVAILABLE");
});
