import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { tlsIdentity } from "@unseen/attest/attested-key.ts";
import type { QuoteSource } from "@unseen/attest/evidence.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { decodeFrame } from "../frames.ts";
import { frameTypes, type FrameType } from "../protocol.ts";
import { maskRows } from "../ring/shares.ts";
import type { ShareServer } from "../server/serve.ts";
import { flipBits } from "./bit-flips.fixture.ts";
import { startModelServer } from "./model-server.fixture.ts";
import { startProxy, type Meddle, type ShareProxy } from "./proxy.fixture.ts";
import { RemoteMultiplier, type RemoteMultiplierOptions } from "./remote-multiplier.ts";
import { expectedProducts, randomModel, randomRows } from "./share-model.fixture.ts";

const one = randomModel("one limb", 1, [
  { in: 24, out: [16, 8, 8] },
  { in: 9, out: [33] },
]);
const two = randomModel("two limbs", 2, [{ in: 10, out: [7, 5] }]);

let servers: readonly [ShareServer, ShareServer];
let proxies: readonly [ShareProxy, ShareProxy];
const open: RemoteMultiplier[] = [];

before(async () => {
  servers = [await startModelServer(one), await startModelServer(one)];
  proxies = [await startProxy(servers[0].url), await startProxy(servers[1].url)];
});
after(async () => {
  for (const multiplier of open) multiplier.close();
  await Promise.all(proxies.map((proxy) => proxy.close()));
  await Promise.all(servers.map((server) => server.close()));
});

async function connect(options: Partial<RemoteMultiplierOptions> = {}): Promise<RemoteMultiplier> {
  const multiplier = await RemoteMultiplier.connect({
    ...one,
    urlA: proxies[0].url,
    urlB: proxies[1].url,
    allowSameOperator: true,
    firstDelay: 5,
    deadline: 20_000,
    ...options,
  });
  open.push(multiplier);
  return multiplier;
}

/** Lowers the number of rows that a server takes. */
function fewerRows(rows: number): Meddle {
  return (frame) => {
    if (frame.type === frameTypes.ready) new DataView(frame.payload.buffer).setUint32(4, rows, true);
    return frame;
  };
}

/** Runs an action while both proxies meddle or record, and restores them. */
async function through(settings: { meddle?: [Meddle | null, Meddle | null] }, action: () => Promise<void>): Promise<void> {
  proxies.forEach((proxy, i) => {
    proxy.frames.length = 0;
    proxy.recording = true;
    proxy.meddle = settings.meddle?.[i] ?? ((frame) => frame);
  });
  try {
    await action();
  } finally {
    for (const proxy of proxies) {
      proxy.recording = false;
      proxy.meddle = (frame) => frame;
    }
  }
}

describe("exactness", () => {
  test("products are those of whole numbers, for one row, a full call, and several calls", async () => {
    let few: RemoteMultiplier | undefined;
    await through({ meddle: [fewerRows(4), fewerRows(7)] }, async () => {
      few = await connect();
    });
    const multiplier = few!;
    for (const [group, count] of [
      [0, 1],
      [1, 4],
      [0, 5],
      [1, 63],
    ] as const) {
      const rows = randomRows(one, group, count, `rows ${count}`);
      assert.deepEqual(await multiplier.multiply(group, rows, count), expectedProducts(one, group, rows, count));
    }
    assert.deepEqual(
      (await multiplier.multiply(0, new Int32Array(), 0)).map((layer) => layer.length),
      [0, 0, 0],
    );
    const { calls, roundTrips, servers: traffic, secondsWaiting } = multiplier.statistics();
    assert.equal(calls, 1 + 1 + 2 + 16, "the smaller server takes 4 rows a call");
    assert.equal(roundTrips, 5);
    assert.ok(secondsWaiting > 0);
    const rowsSent = [0, 1, 0, 1].map((group) => 4 * one.layout.groups[group]!.in);
    const shares = rowsSent[0]! + 4 * rowsSent[1]! + 5 * rowsSent[2]! + 63 * rowsSent[3]!;
    assert.deepEqual(
      traffic.map(({ sent }) => sent),
      [12 + 68 + 20 * calls + shares, 12 + 68 + 28 * calls],
    );
    assert.equal(traffic[0]!.received, traffic[1]!.received);
  });

  test("many products at once, beyond what a server holds, and two limbs", async () => {
    const multiplier = await connect();
    await Promise.all(
      Array.from({ length: 30 }, async (_, i) => {
        const rows = randomRows(one, i % 2, 6, `at once ${i}`);
        assert.deepEqual(await multiplier.multiply(i % 2, rows, 6), expectedProducts(one, i % 2, rows, 6));
      }),
    );
    const server = await startModelServer(two);
    try {
      const wide = await connect({ ...two, urlA: server.url, urlB: server.url });
      const rows = randomRows(two, 0, 3, "limbs");
      assert.deepEqual(await wide.multiply(0, rows, 3), expectedProducts(two, 0, rows, 3));
      wide.close();
    } finally {
      await server.close();
    }
  });

  test("rows beyond the limit or of another shape never leave", async () => {
    const multiplier = await connect();
    const sent = multiplier.statistics().servers[0]!.sent;
    const rows = new Int32Array(24);
    rows[3] = one.limits[0]! + 1;
    await assert.rejects(multiplier.multiply(0, rows, 1), (error: UnseenError) => {
      assert.equal(error.code, "INTERNAL");
      assert.ok(!error.message.includes(String(rows[3])), "no content in the message");
      return true;
    });
    rows[3] = -(2 ** 31);
    await assert.rejects(multiplier.multiply(0, rows, 1), { code: "INTERNAL" });
    await assert.rejects(multiplier.multiply(0, new Int32Array(23), 1), { code: "INTERNAL" });
    await assert.rejects(multiplier.multiply(2, new Int32Array(24), 1), { code: "INTERNAL" });
    assert.equal(multiplier.statistics().servers[0]!.sent, sent);
  });
});

describe("what the servers see", () => {
  test("A sees uniform numbers whatever the rows are; B sees a seed and counters; no counter comes twice", async () => {
    await through({}, async () => {
      const multiplier = await connect();
      const zeros = new Int32Array(24 * 400);
      await multiplier.multiply(0, zeros, 400);
      await multiplier.multiply(0, zeros.subarray(0, 24), 1);
      const received = proxies.map(({ frames }) => frames.filter(({ to }) => to === "server").map(({ frame }) => frame));
      const [toA, toB] = received.map((frames, i) => frames.map((frame) => decodeFrame(frame, i === 0 ? "A" : "B")));
      const shares = toA!.flatMap((frame) => (frame.type === "multiply" && "shares" in frame.input ? [...frame.input.shares] : []));
      assert.equal(shares.length, 24 * 401);
      // Each bit is one half, within six deviations, and each byte is spread evenly: chi-squared with 255 degrees of freedom.
      for (let bit = 0; bit < 32; bit += 1) {
        const ones = shares.reduce((sum, share) => sum + ((share >>> bit) & 1), 0);
        assert.ok(Math.abs(ones - shares.length / 2) < 3 * Math.sqrt(shares.length), `bit ${bit}: ${ones} of ${shares.length}`);
      }
      for (const shift of [0, 8, 16, 24]) {
        const counts = new Float64Array(256);
        for (const share of shares) counts[(share >>> shift) & 255]! += 1;
        const expected = shares.length / 256;
        const chi = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
        assert.ok(chi < 255 + 6 * Math.sqrt(510), `chi-squared ${chi}`);
      }
      assert.ok(new Set(shares).size > shares.length - 20, "the pad of one row is not that of another");

      const [hello, ...calls] = toB!;
      assert.ok(hello?.type === "hello" && hello.role === "B" && new Set(hello.seed).size > 8);
      assert.ok(toA![0]?.type === "hello" && toA![0].seed.every((byte) => byte === 0), "A gets no seed");
      const counters = calls.map((frame) => (frame.type === "multiply" && "counter" in frame.input ? frame.input.counter : -1n));
      assert.deepEqual(
        counters,
        counters.map((_, i) => BigInt(i)),
      );
      assert.ok(
        received[1]!.slice(1).every(({ payload }) => payload.length === 16),
        "nothing of a row's size goes to B",
      );
      const pad = maskRows(hello.seed, 0n, 96);
      assert.deepEqual(shares.slice(0, 96), Array.from(pad.map((number) => -number)), "the pad is B's share, and of nobody else");
    });
  });

  test("a new session has a new seed", async () => {
    await through({}, async () => {
      const multiplier = await connect();
      const rows = new Int32Array(9);
      await multiplier.multiply(1, rows, 1);
      proxies[1].meddle = () => {
        proxies[1].cut();
        return null;
      };
      await assert.rejects(multiplier.multiply(1, rows, 1), { code: "HOST_UNREACHABLE" });
      proxies[1].meddle = (frame) => frame;
      await multiplier.multiply(1, rows, 1);
      const hellos = proxies[1].frames.filter(({ frame }) => frame.type === frameTypes.hello).map(({ frame }) => frame.payload);
      assert.equal(hellos.length, 2);
      assert.notDeepEqual(hellos[0], hellos[1]);
      const seeds = hellos.map((payload) => payload.subarray(36));
      const calls = proxies[0].frames.filter(({ frame }) => frame.type === frameTypes.multiply);
      const pads = [maskRows(seeds[0]!, 0n, 9), maskRows(seeds[0]!, 1n, 9), maskRows(seeds[1]!, 0n, 9)];
      assert.deepEqual(
        calls.map(({ frame }) => new Uint32Array(frame.payload.slice(8).buffer)),
        pads.map((pad) => pad.map((number) => -number)),
      );
    });
  });
});

describe("servers that lie", () => {
  test("every flipped bit is caught, and the right server named", async () => {
    const result = await flipBits(one, servers[0].url, servers[1].url, 250, new Uint8Array(32).fill(4));
    assert.deepEqual(result, { trials: 250, caught: 250, named: 250 });
  });

  const flip: Meddle = (frame) => {
    if (frame.type === frameTypes.products) frame.payload[5]! ^= 4;
    return frame;
  };
  const rows = randomRows(one, 0, 2, "lies");
  const name = (i: 0 | 1): RegExp => new RegExp(`^server ${"AB"[i]} at ${proxies[i].url} answered wrongly`);

  for (const liar of [0, 1] as const) {
    const only = (meddle: Meddle): [Meddle | null, Meddle | null] => (liar === 0 ? [meddle, null] : [null, meddle]);

    test(`server ${"AB"[liar]} is named too if it lies in the audit, or refuses it, and is not asked again`, async () => {
      const lies: Meddle[] = [
        (frame, to) => {
          if (frame.type === frameTypes.exact) frame.payload[9]! ^= 4;
          return flip(frame, to);
        },
        // The same residue modulo 2^61 - 1, and modulo 2^32 what it claimed before.
        (frame) => {
          const view = new DataView(frame.payload.buffer);
          if (frame.type === frameTypes.products) view.setUint32(0, view.getUint32(0, true) - 1, true);
          if (frame.type === frameTypes.exact) view.setBigInt64(0, view.getBigInt64(0, true) + 2n ** 61n - 1n, true);
          return frame;
        },
        (frame, to) =>
          frame.type === frameTypes.exact ? { ...frame, type: frameTypes.failure, payload: Uint8Array.of(7, 0) } : flip(frame, to),
      ];
      for (const meddle of lies)
        await through({ meddle: only(meddle) }, async () => {
          const multiplier = await connect();
          await assert.rejects(multiplier.multiply(0, rows, 2), { code: "VERIFICATION_FAILED", message: name(liar) });
          for (const { frames } of proxies) {
            const of = (type: FrameType): Uint8Array[] =>
              frames.filter(({ frame }) => frame.type === type).map(({ frame }) => frame.payload);
            assert.equal(of(frameTypes.audit).length, 1);
            assert.deepEqual(of(frameTypes.audit), of(frameTypes.multiply), "an audit shows a server nothing new");
          }
          const sent = multiplier.statistics().servers.map((server) => server.sent);
          await assert.rejects(multiplier.multiply(0, rows, 2), { code: "VERIFICATION_FAILED", message: name(liar) });
          assert.deepEqual(
            multiplier.statistics().servers.map((server) => server.sent),
            sent,
          );
        });
    });
  }

  test("two liars are both named", async () => {
    await through(
      { meddle: [flip, (frame, to) => (frame.type === frameTypes.products ? ((frame.payload[0]! ^= 1), frame) : flip(frame, to))] },
      async () => {
        const multiplier = await connect();
        await assert.rejects(multiplier.multiply(0, rows, 2), { code: "VERIFICATION_FAILED", message: /server A .* and server B .* both/ });
      },
    );
  });
});

describe("servers that fail", () => {
  const rows = randomRows(one, 1, 1, "failures");

  test("a lost server is named, and the next call reaches it again", async () => {
    const proxy = await startProxy(servers[0].url);
    const lines: string[] = [];
    const multiplier = await connect({ urlA: proxy.url, log: (line) => lines.push(line) });
    await multiplier.multiply(1, rows, 1);
    proxy.meddle = (_frame, to) => {
      if (to === "server") proxy.cut();
      return null;
    };
    await assert.rejects(multiplier.multiply(1, rows, 1), {
      code: "HOST_UNREACHABLE",
      message: new RegExp(`^server A at ${proxy.url}`),
    });
    await proxy.close();
    await assert.rejects(multiplier.multiply(1, rows, 1), { code: "HOST_UNREACHABLE", message: /ECONNREFUSED/ });
    assert.equal(lines.length, 4, "five attempts");
    const again = await startProxy(servers[0].url, Number(new URL(proxy.url).port));
    try {
      assert.deepEqual(await multiplier.multiply(1, rows, 1), expectedProducts(one, 1, rows, 1));
    } finally {
      multiplier.close();
      await again.close();
    }
    await assert.rejects(multiplier.multiply(1, rows, 1), { code: "HOST_UNREACHABLE", message: /closed/ });
  });

  test("a server that nobody reached, or that does not answer in time", async () => {
    const gone = await startProxy(servers[0].url);
    await gone.close();
    await assert.rejects(connect({ urlB: gone.url }), { code: "HOST_UNREACHABLE", message: new RegExp(`server B at ${gone.url}`) });
    await through({ meddle: [(frame) => (frame.type === frameTypes.products ? null : frame), null] }, async () => {
      const multiplier = await connect({ deadline: 1000 });
      await assert.rejects(multiplier.multiply(1, rows, 1), { code: "HOST_TIMEOUT", message: /^server A .* within 1 seconds/ });
    });
    await through({ meddle: [null, () => null] }, async () => {
      await assert.rejects(connect({ deadline: 1000 }), { code: "HOST_TIMEOUT", message: /^server B / });
    });
  });

  test("a caller that gives up gets its own reason, and the connection goes on", async () => {
    const multiplier = await connect();
    const controller = new AbortController();
    await through({}, async () => {
      proxies[0].meddle = (frame, to) => {
        if (to === "server") controller.abort(new Error("enough"));
        return frame;
      };
      await assert.rejects(multiplier.multiply(1, rows, 1, controller.signal), /enough/);
    });
    assert.deepEqual(await multiplier.multiply(1, rows, 1), expectedProducts(one, 1, rows, 1));
    await assert.rejects(multiplier.multiply(1, rows, 1, AbortSignal.abort(new Error("before"))), /before/);
  });

  test("another model, another version, and answers that are none", async () => {
    await assert.rejects(connect(two), (error: UnseenError) => {
      assert.equal(error.code, "HOST_REFUSED");
      assert.match(error.line, /^server [AB] at .* refused \(model\): [\x20-\x7e]*$/);
      return true;
    });
    const answers: [number, (payload: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>, RegExp][] = [
      [frameTypes.ready, (payload) => Uint8Array.of(2, ...payload.subarray(1)), /version 2/],
      [frameTypes.ready, (payload) => payload.subarray(0, 4).slice(), /does not have the form/],
      [frameTypes.ready, () => Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0), /answers no call/],
      [frameTypes.products, (payload) => payload.slice(4), /answers no call/],
      [frameTypes.products, (payload) => Uint8Array.of(...payload, 0, 0, 0, 0, ...new Uint8Array(1200)), /at most/],
    ];
    for (const [type, change, message] of answers)
      await through(
        { meddle: [(frame) => (frame.type === type ? { ...frame, payload: change(frame.payload) } : frame), null] },
        async () => {
          await assert.rejects(
            connect().then((multiplier) => multiplier.multiply(1, rows, 1)),
            (error: UnseenError) =>
              error.code === "HOST_PROTOCOL" && error.message.startsWith("server A at ") && message.test(error.message),
          );
        },
      );
    await through({ meddle: [(frame) => (frame.type === frameTypes.products ? { ...frame, call: 77 } : frame), null] }, async () => {
      const multiplier = await connect();
      await assert.rejects(multiplier.multiply(1, rows, 1), { code: "HOST_PROTOCOL" });
    });
  });

  test("a certificate that nobody vouches for is refused, one that is trusted is taken", async () => {
    const source: QuoteSource = {
      kind: "simulator",
      quote: () => assert.fail("no quote is needed"),
      deriveKey: async () => new Uint8Array(32).fill(9),
    };
    const { certificate: cert, privateKey: key } = await tlsIdentity(source, "127.0.0.1");
    const server = await startModelServer(one, { cert, key });
    try {
      await assert.rejects(connect({ urlA: server.url }), { code: "HOST_UNREACHABLE", message: /SELF_SIGNED/ });
      const multiplier = await connect({ urlA: server.url, urlB: server.url, ca: cert });
      assert.deepEqual(await multiplier.multiply(1, rows, 1), expectedProducts(one, 1, rows, 1));
      multiplier.close();
    } finally {
      await server.close();
    }
  });

  test("what is no share server, and one that is full", async () => {
    const other = createServer((_request, response) => response.writeHead(404).end("{}"));
    other.listen(0, "127.0.0.1");
    await once(other, "listening");
    const url = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
    await assert.rejects(connect({ urlB: url }), { code: "HOST_REFUSED", message: /^server B .* status 404/ });
    other.close();
    const failure = Buffer.concat([Buffer.of(6, 0), Buffer.from("full\n\u001b[31m\u202e")]);
    await through(
      {
        meddle: [
          (frame) => (frame.type === frameTypes.ready ? { ...frame, type: frameTypes.failure, payload: Uint8Array.from(failure) } : frame),
          null,
        ],
      },
      async () => {
        await assert.rejects(connect(), (error: UnseenError) => {
          assert.equal(error.code, "HOST_LOADING");
          assert.match(error.line, /^server A at \S+ refused \(overloaded\): full\?\?\[31m\? Try again/);
          return true;
        });
      },
    );
  });

  test("checks and limits that are not of the layout", async () => {
    await assert.rejects(connect({ checks: new Map() }), { code: "BUNDLE_INVALID" });
    await assert.rejects(connect({ checks: two.checks }), { code: "BUNDLE_INVALID" });
    await assert.rejects(connect({ limits: [5] }), { code: "BUNDLE_INVALID" });
    await assert.rejects(connect({ limits: [5, 0] }), { code: "BUNDLE_INVALID" });
  });
});

test("two servers on one machine, and what is no URL of a server, are refused before anything is sent", async () => {
  await assert.rejects(connect({ allowSameOperator: false }), { code: "USAGE", message: /one machine/ });
  for (const url of ["ftp://a.example", "a.example", "https://user@a.example", ""])
    await assert.rejects(connect({ urlA: url }), { code: "USAGE" });
});
