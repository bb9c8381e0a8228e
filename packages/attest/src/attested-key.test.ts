import assert from "node:assert/strict";
import { createHash, createPrivateKey, createPublicKey, X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { connect, createServer } from "node:tls";
import { enclaveKey, tlsIdentity } from "./attested-key.ts";
import { temporaryDirectory } from "./simulated-evidence.fixture.ts";
import { simulatorSource } from "./simulator/simulator-source.ts";

const directory = temporaryDirectory();
const source = simulatorSource({ directory });

test("a sealing key is the same after a restart, and another one for another purpose or program", async () => {
  const key = await enclaveKey(source, "features");
  assert.equal(key.publicKey.length, 32);
  assert.deepEqual((await enclaveKey(simulatorSource({ directory }), "features")).publicKey, key.publicKey);
  assert.notDeepEqual((await enclaveKey(source, "heads")).publicKey, key.publicKey);
  assert.notDeepEqual(
    (await enclaveKey(simulatorSource({ directory, composeHash: "00".repeat(32) }), "features")).publicKey,
    key.publicKey,
  );
  assert.notDeepEqual((await enclaveKey(simulatorSource({ directory: temporaryDirectory() }), "features")).publicKey, key.publicKey);
});

test("a TLS identity serves, under the key whose hash evidence binds", async (context) => {
  const identity = await tlsIdentity(source, "localhost", "127.0.0.1");
  const certificate = new X509Certificate(identity.certificate);
  assert.equal(certificate.checkHost("localhost"), "localhost");
  assert.equal(certificate.checkIP("127.0.0.1"), "127.0.0.1");
  assert.equal(certificate.ca, false);
  const spki = createPublicKey(createPrivateKey(identity.privateKey)).export({ format: "der", type: "spki" });
  assert.deepEqual(identity.keyHash, new Uint8Array(createHash("sha256").update(spki).digest()));

  const server = createServer({ cert: identity.certificate, key: identity.privateKey }, (socket) => socket.end("hello"));
  context.after(() => server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = connect({
    port: (server.address() as AddressInfo).port,
    host: "127.0.0.1",
    ca: identity.certificate,
    servername: "localhost",
  });
  await once(socket, "secureConnect");
  assert.equal(socket.authorized, true);
  const shown = socket.getPeerX509Certificate()?.publicKey.export({ format: "der", type: "spki" }) ?? Buffer.alloc(0);
  assert.deepEqual(new Uint8Array(createHash("sha256").update(shown).digest()), identity.keyHash);
  socket.destroy();
});

test("the key stays the same after a restart, and needs a name", async () => {
  const [first, second] = await Promise.all([
    tlsIdentity(source, "one.example"),
    tlsIdentity(simulatorSource({ directory }), "two.example"),
  ]);
  assert.deepEqual(first.keyHash, second.keyHash);
  await assert.rejects(tlsIdentity(source), { code: "USAGE" });
});
