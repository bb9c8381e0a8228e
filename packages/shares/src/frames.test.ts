import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { FrameReader, decodeFrame, encodeFrame, type Frame } from "./frames.ts";
import { HEADER_BYTES, failureCodes, frameTypes, protocolLimits, type ServerRole } from "./protocol.ts";
import { maskRows } from "./ring/shares.ts";

const malformed = { code: "HOST_PROTOCOL", failure: "malformed" };

interface Vectors {
  readonly frames: readonly { name: string; role: ServerRole; frame: Record<string, unknown>; bytes: string }[];
  readonly masks: readonly { seed: string; counter: string; from: number; numbers: number[] }[];
}
const vectors = JSON.parse(readFileSync(new URL("../vectors/frames.json", import.meta.url), "utf8")) as Vectors;
const hexadecimal = (text: unknown): Uint8Array => new Uint8Array(Buffer.from(text as string, "hex"));

/** A frame of the vectors, its numbers as the codec has them. */
function frameOf(plain: Record<string, unknown>): Frame {
  const input = plain["input"] as { shares?: number[]; counter?: string } | undefined;
  return {
    ...plain,
    ...(plain["type"] === "hello" ? { digest: hexadecimal(plain["digest"]), seed: hexadecimal(plain["seed"]) } : {}),
    ...(plain["type"] === "products" ? { numbers: Uint32Array.from(plain["numbers"] as number[]) } : {}),
    ...(plain["type"] === "exact" ? { numbers: BigInt64Array.from((plain["numbers"] as string[]).map(BigInt)) } : {}),
    ...(input ? { input: input.shares ? { shares: Uint32Array.from(input.shares) } : { counter: BigInt(input.counter!) } } : {}),
  } as unknown as Frame;
}

function readAll(reader: FrameReader, role: ServerRole): Frame[] {
  const frames: Frame[] = [];
  for (let raw = reader.read(); raw; raw = reader.read()) frames.push(decodeFrame(raw, role));
  return frames;
}

function decode(bytes: Uint8Array, role: ServerRole): Frame {
  const reader = new FrameReader();
  reader.push(bytes);
  const frames = readAll(reader, role);
  assert.equal(frames.length, 1);
  return frames[0]!;
}

const word = fc.nat(2 ** 32 - 1);
const input = fc.oneof(
  fc.uint32Array({ maxLength: 20 }).map((shares) => ({ shares: Uint32Array.from(shares) })),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((counter) => ({ counter })),
);
const anyFrame: fc.Arbitrary<Frame> = fc.oneof(
  fc.record({ type: fc.constant("ready" as const), version: fc.constant(1), rows: word }),
  fc.record({ type: fc.constantFrom("multiply" as const, "audit" as const), call: word, group: word, rows: word, input }),
  fc.record({
    type: fc.constant("products" as const),
    call: word,
    numbers: fc.uint32Array({ maxLength: 20 }).map((n) => Uint32Array.from(n)),
  }),
  fc.record({
    type: fc.constant("exact" as const),
    call: word,
    numbers: fc.bigInt64Array({ maxLength: 9 }).map((n) => BigInt64Array.from(n)),
  }),
  fc.record({
    type: fc.constant("failure" as const),
    call: word,
    code: fc.constantFrom(...(Object.keys(failureCodes) as (keyof typeof failureCodes)[])),
    message: fc.string({ maxLength: 60, unit: "grapheme" }),
  }),
);
const roleOf = (frame: Frame): ServerRole => ("input" in frame && "counter" in frame.input ? "B" : "A");

test("the vectors hold both ways", () => {
  assert.deepEqual(new Set(vectors.frames.map(({ frame }) => frame["type"])), new Set(Object.keys(frameTypes)), "every type is there");
  for (const { name, role, frame, bytes } of vectors.frames) {
    assert.equal(Buffer.from(encodeFrame(frameOf(frame))).toString("hex"), bytes, name);
    assert.deepEqual(decode(hexadecimal(bytes), role), frameOf(frame), name);
  }
  for (const { seed, counter, from, numbers } of vectors.masks)
    assert.deepEqual([...maskRows(hexadecimal(seed), BigInt(counter), numbers.length, from)], numbers, counter);
});

test("frames come back as they were, however the stream is cut", () => {
  fc.assert(
    fc.property(
      fc.array(anyFrame, { maxLength: 5 }),
      fc.constantFrom<ServerRole>("A", "B"),
      fc.integer({ min: 1, max: 50 }),
      (all, role, size) => {
        const frames = all.filter((frame) => !("input" in frame) || roleOf(frame) === role).map((frame) => ({ ...frame }));
        const bytes = Buffer.concat(frames.map(encodeFrame));
        const reader = new FrameReader();
        const got: Frame[] = [];
        for (let at = 0; at < bytes.length; at += size) {
          reader.push(bytes.subarray(at, at + size));
          got.push(...readAll(reader, role));
        }
        assert.deepEqual(got, frames);
        assert.equal(reader.buffered, 0);
      },
    ),
  );
});

test("pieces of all sizes make the same frame, also where they share pages", () => {
  const frame: Frame = { type: "products", call: 7, numbers: Uint32Array.from({ length: 20_000 }, (_, i) => Math.imul(i, 2654435761)) };
  const bytes = Buffer.concat([encodeFrame(frame), encodeFrame(frame)]);
  const reader = new FrameReader();
  const got: Frame[] = [];
  const sizes = [1, 9000, 3, 4095, 4096, 700, 20_000, 5, 5];
  for (let at = 0, i = 0; at < bytes.length; i += 1) {
    const size = sizes[i % sizes.length]!;
    reader.push(bytes.subarray(at, at + size));
    at += size;
    // Now and then only, so that pieces pile up.
    if (i % 4 === 0) got.push(...readAll(reader, "A"));
  }
  got.push(...readAll(reader, "A"));
  assert.deepEqual(got, [frame, frame]);
});

test("any bytes are frames or a FrameError, and nothing is allocated for a length that only claims", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 120 }),
        // A right frame with one byte changed.
        fc.tuple(anyFrame, fc.nat(200), fc.nat(255)).map(([frame, at, byte]) => {
          const bytes = encodeFrame(frame);
          bytes[at % bytes.length] = byte;
          return bytes;
        }),
      ),
      fc.constantFrom<ServerRole>("A", "B"),
      (bytes, role) => {
        const reader = new FrameReader();
        reader.push(bytes);
        try {
          readAll(reader, role);
        } catch (error) {
          assert.equal((error as { code?: string }).code, "HOST_PROTOCOL");
          assert.match((error as { failure: string }).failure, /^(?:malformed|version)$/);
        }
      },
    ),
    { numRuns: 500 },
  );
});

test("headers that break a rule are refused as soon as they are there", () => {
  const good = encodeFrame({ type: "ready", version: 1, rows: 1 });
  const changes: [number, number][] = [
    [0, 7], // shorter than the rest of a header
    [3, 0x80], // 2 GiB
    [4, 0], // no type
    [4, 8],
    [5, 1], // not zero
    [7, 1],
  ];
  for (const [at, byte] of changes) {
    const bytes = good.slice(0, HEADER_BYTES);
    bytes[at] = byte;
    const reader = new FrameReader();
    reader.push(bytes);
    assert.throws(() => reader.read(), malformed, `${at}`);
  }
  const small = new FrameReader(HEADER_BYTES + 7);
  small.push(good.subarray(0, HEADER_BYTES));
  assert.throws(() => small.read(), malformed);
});

test("payloads that do not have the form of their type are refused", () => {
  const hello = hexadecimal(vectors.frames[0]!.bytes);
  const changed = (bytes: Uint8Array, at: number, byte: number): Uint8Array => {
    const copy = bytes.slice();
    copy[at] = byte;
    return copy;
  };
  assert.throws(() => decode(changed(hello, HEADER_BYTES, 2), "A"), { code: "HOST_PROTOCOL", failure: "version" });
  assert.throws(() => decode(changed(hello, HEADER_BYTES + 2, 2), "A"), malformed, "a role");
  assert.throws(() => decode(changed(hello, HEADER_BYTES + 3, 1), "A"), malformed, "not zero");
  assert.throws(() => decode(changed(hello, hello.length - 1, 1), "A"), malformed, "a seed for A");
  assert.throws(() => decode(changed(hello, 8, 1), "A"), malformed, "a call in HELLO");
  const toA = encodeFrame({ type: "multiply", call: 1, group: 0, rows: 1, input: { shares: new Uint32Array(5) } });
  assert.throws(() => decode(toA, "B"), malformed, "shares for B");
  const failure = encodeFrame({ type: "failure", call: 0, code: "internal", message: "x".repeat(5000) });
  assert.equal(failure.length, HEADER_BYTES + 2 + protocolLimits.failureBytes);
  assert.throws(() => decode(changed(failure, HEADER_BYTES, 99), "A"), malformed, "an unknown code");
});

test("fields that do not fit are an error of the caller", () => {
  assert.throws(() => encodeFrame({ type: "ready", version: 1, rows: -1 }), RangeError);
  assert.throws(() => encodeFrame({ type: "ready", version: 2 ** 16, rows: 1 }), RangeError);
  assert.throws(() => encodeFrame({ type: "products", call: 2 ** 32, numbers: new Uint32Array(0) }), RangeError);
  const [digest, seed] = [new Uint8Array(31), new Uint8Array(32)];
  assert.throws(() => encodeFrame({ type: "hello", version: 1, role: "A", digest, seed }), RangeError);
});
