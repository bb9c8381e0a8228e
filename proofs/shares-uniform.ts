/**
 * What each server receives, byte by byte: uniform, and alike for different texts; the second server gets seeds alone.
 * @module
 */
import { deflateRawSync } from "node:zlib";
import { startProxy, type ShareProxy } from "@unseen/shares/client/proxy.fixture.ts";
import { ShareDecoder } from "@unseen/shares/model/decoder.ts";
import { frameTypes } from "@unseen/shares/protocol.ts";
import { pseudoRandomIds } from "unseen/measure.ts";
import { connectTo, decoders, serveBoth, splitModel } from "./shares-setup.ts";
import type { Finding } from "./proof.ts";

const BYTES = 10_000_000;
const POSITIONS = 400;

export async function* uniformFindings(note: (line: string) => void): AsyncGenerator<Finding> {
  const { name, path } = decoders()[0]!;
  const shared = await splitModel(name, path, 8);
  const decoder = await ShareDecoder.open(shared.client);
  const pair = await serveBoth(shared);
  const proxies = [await startProxy(pair.urls[0]), await startProxy(pair.urls[1])] as const;
  const vocabulary = shared.layout.groups.at(-1)!.layers[0]!.out;
  try {
    const views: Buffer[] = [];
    let [seedBytes, largestToB, sameShape] = [0, 0, true];
    const shapes: string[] = [];
    // One text is random, the other the same token again and again: as different as two texts can be.
    for (const text of [pseudoRandomIds(vocabulary, POSITIONS, 3), Array.from({ length: POSITIONS }, () => 7)]) {
      note(`text ${views.length + 1}`);
      const received: Buffer[] = [];
      const shape: string[] = [];
      for (let length = 0; length < BYTES;) {
        for (const proxy of proxies) start(proxy);
        const remote = await connectTo(shared, [proxies[0].url, proxies[1].url]);
        await decoder.step(decoder.start(), text, remote);
        remote.close();
        const toA = proxies[0].frames
          .filter(({ to, frame }) => to === "server" && frame.type === frameTypes.multiply)
          .map(({ frame }) => frame.payload);
        for (const payload of toA) {
          received.push(Buffer.from(payload.subarray(8)));
          length += payload.length - 8;
        }
        shape.push(...toA.map(({ length: bytes }) => String(bytes)));
        const toB = proxies[1].frames.filter(({ to }) => to === "server").map(({ frame }) => frame);
        seedBytes += toB.filter(({ type }) => type === frameTypes.hello).length * 32;
        largestToB = Math.max(largestToB, ...toB.filter(({ type }) => type === frameTypes.multiply).map(({ payload }) => payload.length));
      }
      shapes.push(shape.join(","));
      views.push(Buffer.concat(received).subarray(0, BYTES));
    }
    sameShape = shapes[0] === shapes[1];
    for (const [index, view] of views.entries()) {
      const { chi, serial, compressed } = statistics(view);
      yield {
        claim: `Server A, ${BYTES / 1e6} MB of shares of ${index === 0 ? "a random text" : "one token again and again"}: chi-square per byte (255 degrees), serial correlation, compression`,
        figure: `${chi.toFixed(0)}, ${serial.toExponential(1)}, ${compressed.toFixed(4)}`,
        bar: "150 to 380; below 1.5e-3; above 0.9999",
        // Beyond these a uniform source falls once in a million runs.
        holds: chi > 150 && chi < 380 && Math.abs(serial) < 1.5e-3 && compressed > 0.9999,
      };
    }
    const distance = twoSample(views[0]!, views[1]!);
    yield {
      claim: "The two texts' shares have one distribution: chi-square of two samples over bytes (255 degrees), and the same shapes",
      figure: `${distance.toFixed(0)}; shapes ${sameShape ? "equal" : "different"}`,
      bar: "150 to 380; equal",
      holds: distance > 150 && distance < 380 && sameShape,
    };
    yield {
      claim: "Server B receives a seed for each session, and of each call 16 bytes: group, rows and a counter",
      figure: `${seedBytes} bytes of seeds, largest call ${largestToB} bytes`,
      bar: "16 bytes a call",
      holds: largestToB === 16 && seedBytes > 0,
    };
    yield control();
  } finally {
    await Promise.all(proxies.map((proxy) => proxy.close()));
    await pair.stop();
  }
}

function start(proxy: ShareProxy): void {
  proxy.frames.splice(0);
  proxy.recording = true;
}

/** The same tests of rows that are not masked must fail. */
function control(): Finding {
  const rows = Int32Array.from({ length: BYTES / 4 }, (_, index) => Math.round(12_000 * Math.sin(index * 1.7)));
  const { chi, compressed } = statistics(Buffer.from(rows.buffer));
  return {
    claim: "Control: the same tests of activations that are not masked",
    figure: `chi-square ${chi.toFixed(0)}, compression ${compressed.toFixed(4)}`,
    bar: "fail",
    holds: chi > 380 && compressed < 0.9999,
  };
}

function statistics(bytes: Buffer): { chi: number; serial: number; compressed: number } {
  const counts = countBytes(bytes);
  const expected = bytes.length / 256;
  const chi = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  const mean = bytes.reduce((sum, byte) => sum + byte, 0) / bytes.length;
  let [products, squares] = [0, 0];
  for (let at = 0; at + 1 < bytes.length; at += 1) {
    products += (bytes[at]! - mean) * (bytes[at + 1]! - mean);
    squares += (bytes[at]! - mean) ** 2;
  }
  return { chi, serial: products / squares, compressed: deflateRawSync(bytes).length / bytes.length };
}

function twoSample(left: Buffer, right: Buffer): number {
  const [a, b] = [countBytes(left), countBytes(right)];
  return a.reduce((sum, count, value) => sum + (count - b[value]!) ** 2 / (count + b[value]!), 0);
}

function countBytes(bytes: Buffer): number[] {
  const counts = Array.from({ length: 256 }, () => 0);
  for (const byte of bytes) counts[byte]! += 1;
  return counts;
}
