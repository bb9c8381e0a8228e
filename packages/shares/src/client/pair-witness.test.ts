import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { UnseenError } from "@unseen/core/errors.ts";
import { frameTypes, type ServerRole } from "../protocol.ts";
import type { ShareServer } from "../server/serve.ts";
import type { CallObserver } from "./call-observer.ts";
import { isHealthy } from "./health.ts";
import { startModelServer } from "./model-server.fixture.ts";
import { PairWitness, chiSquareOf } from "./pair-witness.ts";
import { frameBytes, startProxy, type ShareProxy } from "./proxy.fixture.ts";
import { RemoteMultiplier } from "./remote-multiplier.ts";
import { randomModel, randomRows } from "./share-model.fixture.ts";

const model = randomModel("witness", 2, [{ in: 64, out: [16, 8] }]);
let servers: readonly [ShareServer, ShareServer];
let proxies: readonly [ShareProxy, ShareProxy];

before(async () => {
  servers = [await startModelServer(model), await startModelServer(model)];
  proxies = [await startProxy(servers[0].url), await startProxy(servers[1].url)];
  for (const proxy of proxies) proxy.recording = true;
});
after(async () => {
  await Promise.all(proxies.map((proxy) => proxy.close()));
  await Promise.all(servers.map((server) => server.close()));
});

const connect = (): Promise<RemoteMultiplier> =>
  RemoteMultiplier.connect({ ...model, urlA: proxies[0].url, urlB: proxies[1].url, allowSameOperator: true });

/** Keeps what passes, by server and direction. */
class Recorder implements CallObserver {
  readonly passed = {
    A: { sent: [] as Uint8Array[], received: [] as Uint8Array[] },
    B: { sent: [] as Uint8Array[], received: [] as Uint8Array[] },
  };
  begin(): void {}
  frame(role: ServerRole, direction: "sent" | "received", bytes: Uint8Array): void {
    this.passed[role][direction].push(bytes);
  }
}

/** Payload of the call frames that a proxy saw from some place on. */
function callsThrough(proxy: ShareProxy, from = 0): Uint8Array[] {
  return proxy.frames
    .slice(from)
    .filter(({ frame: { type } }) => type === frameTypes.multiply || type === frameTypes.audit)
    .map(({ frame }) => frame.payload);
}

test("an observer gets the very frames that each server got and sent, of its own calls alone", async () => {
  const multiplier = await connect();
  try {
    const rows = randomRows(model, 0, 5, "observed");
    const recorder = new Recorder();
    await multiplier.multiply(0, rows, 5);
    const before = proxies.map(({ frames }) => frames.length) as [number, number];
    await multiplier.multiply(0, rows, 5, undefined, recorder);
    for (const [index, role] of (["A", "B"] as const).entries())
      for (const [direction, to] of [
        ["sent", "server"],
        ["received", "client"],
      ] as const)
        assert.deepEqual(
          recorder.passed[role][direction],
          proxies[index]!.frames.slice(before[index])
            .filter((passed) => passed.to === to)
            .map(({ frame }) => frameBytes(frame)),
          `${role} ${direction}`,
        );
    await multiplier.multiply(0, rows, 5);
    assert.equal(recorder.passed.A.sent.length, 1);
  } finally {
    multiplier.close();
  }
});

test("server A's numbers are evenly spread, whatever the rows; server B gets its seed and 16 bytes a call", async () => {
  const start = proxies[1].frames.length;
  const multiplier = await connect();
  try {
    const witness = new PairWitness();
    const rows = new Int32Array(64 * 100).fill(1); // as uneven as can be
    for (let call = 0; call < 3; call += 1) await multiplier.multiply(0, rows, 100, undefined, witness);
    const [a, b] = witness.sights;
    const numbers = callsThrough(proxies[0])
      .slice(-3)
      .map((payload) => payload.subarray(8));
    assert.equal(a.calls, 3);
    assert.equal(a.received, 3 * (12 + 8 + 4 * rows.length));
    assert.equal(a.sent, 3 * (12 + 100 * 24 * 2 * 4));
    assert.deepEqual(a.sample, numbers[0]!.slice(0, 4096));
    const counted = Array.from({ length: 256 }, () => 0);
    for (const value of Buffer.concat(numbers)) counted[value]! += 1;
    assert.deepEqual(a.histogram, counted);
    // 255 degrees of freedom: mean 255, standard deviation 22.6; eight of them are a defect, not chance.
    assert.ok(Math.abs(a.chiSquare - 255) < 180, `${a.chiSquare}`);

    const hello = proxies[1].frames.slice(start).find(({ frame }) => frame.type === frameTypes.hello)!;
    assert.deepEqual(b.sample, new Uint8Array(Buffer.concat([hello.frame.payload.slice(36), ...callsThrough(proxies[1], start)])));
    assert.equal(b.sample.length, 32 + 3 * 16);
    assert.equal(b.received, 3 * (12 + 16));
    assert.ok(b.histogram.length === 256 && b.histogram.every((count) => count === 0));
    assert.equal(b.chiSquare, 0);
    assert.equal(multiplier.statistics().checked, 3 * 100 * 2 * 2, "rows, layers and limbs of three calls");
  } finally {
    multiplier.close();
  }
});

test("plain numbers would show: the statistic of what is not masked is far from chance", () => {
  const witness = new PairWitness();
  witness.frame("A", "sent", new Uint8Array(20 + 25_600));
  const [a] = witness.sights;
  assert.equal(a.histogram[0], 25_600);
  assert.equal(a.chiSquare, 25_600 * 255);
  assert.equal(chiSquareOf(Array.from({ length: 256 }, () => 7)), 0);
});

test("the statistics name the server that lied", async () => {
  const multiplier = await connect();
  try {
    assert.equal(multiplier.statistics().violation, null);
    proxies[1].meddle = (frame) => {
      if (frame.type === frameTypes.products) frame.payload[3]! ^= 4;
      return frame;
    };
    const witness = new PairWitness();
    await assert.rejects(multiplier.multiply(0, randomRows(model, 0, 1, "lie"), 1, undefined, witness), { code: "VERIFICATION_FAILED" });
    const { violation, checked } = multiplier.statistics();
    assert.ok(UnseenError.isInstance(violation));
    assert.match(violation.message, new RegExp(`^server B at ${proxies[1].url} answered wrongly`));
    assert.equal(checked, 4);
    assert.equal(witness.sights[1].calls, 2, "the audit is a call too");
  } finally {
    proxies[1].meddle = (frame) => frame;
    multiplier.close();
  }
});

test("a server's health, and that of none", async () => {
  assert.equal(await isHealthy(new URL(servers[0].url), 2000), true);
  assert.equal(await isHealthy(new URL(proxies[0].url), 2000), true);
  const gone = await startProxy(servers[0].url);
  await gone.close();
  assert.equal(await isHealthy(new URL(gone.url), 2000), false);
});
