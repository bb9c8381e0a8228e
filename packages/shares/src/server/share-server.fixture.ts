/**
 * A small random model in a directory, and a client that speaks in hand-made frames.
 * @module
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, type ClientHttp2Session, type ClientHttp2Stream } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeFrame, decodeFrame, FrameReader, type Frame } from "../frames.ts";
import { layoutDigest, limbName, type Layout } from "../layout.ts";
import { PROTOCOL_VERSION, type ServerRole } from "../protocol.ts";
import type { ReadRows } from "../ring/weight-source.ts";

/** Two groups, the first with two layers; widths that are no multiples of anything. */
export function testLayout(limbs: 1 | 2 = 1): Layout {
  return {
    format: "unseen-shares/1",
    fingerprint: "test",
    limbs,
    groups: [
      {
        name: "first",
        in: 37,
        layers: [
          { name: "q", out: 19 },
          { name: "k", out: 6 },
        ],
      },
      { name: "second", in: 16, layers: [{ name: "o", out: 33 }] },
    ],
  };
}

/** Weights that look random and include both ends of int8. */
export function testWeight(layer: string, limb: number, index: number): number {
  const mixed = Math.imul(index + 1, 2654435761) ^ Math.imul(layer.charCodeAt(0) + 1 + limb * 977, 2246822519);
  return (((mixed >>> 13) & 255) << 24) >> 24;
}

/** {@link testWeight} as a source for the kernels. */
export function readerOf(layout: Layout): ReadRows {
  const widths = new Map(layout.groups.flatMap((group) => group.layers.map(({ name }) => [name, group.in] as const)));
  return (layer, limb, first, into) => {
    for (let i = 0; i < into.length; i += 1) into[i] = testWeight(layer, limb, first * widths.get(layer)! + i);
  };
}

/** Products by the definition: not reduced, in the order of PRODUCTS. */
export function productsOf(layout: Layout, index: number, rows: Uint32Array, count: number): bigint[] {
  const { in: width, layers } = layout.groups[index]!;
  const products: bigint[] = [];
  for (const { name, out } of layers)
    for (let limb = 0; limb < layout.limbs; limb += 1)
      for (let row = 0; row < count; row += 1)
        for (let o = 0; o < out; o += 1) {
          let sum = 0n;
          for (let k = 0; k < width; k += 1) sum += BigInt(testWeight(name, limb, o * width + k)) * BigInt(rows[row * width + k]!);
          products.push(sum);
        }
  return products;
}

/** Shares of all sizes, both ends among them. */
export function testShares(length: number): Uint32Array<ArrayBuffer> {
  return Uint32Array.from({ length }, (_, i) => (i % 11 === 0 ? 0xffffffff : i % 11 === 1 ? 0x80000000 : Math.imul(i + 7, 2654435761)));
}

const directories: string[] = [];
process.once("exit", () => directories.forEach((directory) => rmSync(directory, { recursive: true, force: true })));

/** Writes a server's directory; `change` may damage the header or the data before. */
export function writeDirectory(
  layout: Layout,
  change: (header: Record<string, unknown>, data: Uint8Array) => Uint8Array | void = () => {},
): string {
  const directory = mkdtempSync(join(tmpdir(), "unseen-shares-"));
  directories.push(directory);
  const header: Record<string, unknown> = {};
  const numbers: number[] = [];
  for (const { in: width, layers } of layout.groups)
    for (const { name, out } of layers)
      for (let limb = 0; limb < layout.limbs; limb += 1) {
        const begin = numbers.length;
        for (let i = 0; i < out * width; i += 1) numbers.push(testWeight(name, limb, i));
        header[limbName(name, limb)] = { dtype: "I8", shape: [out, width], data_offsets: [begin, numbers.length] };
      }
  const whole = Uint8Array.from(numbers);
  const data = change(header, whole) ?? whole;
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  writeFileSync(join(directory, "weights.safetensors"), Buffer.concat([length, json, data]));
  writeFileSync(join(directory, "shares.json"), JSON.stringify(layout));
  return directory;
}

/** One stream to a server. */
export class HandClient {
  readonly connection: ClientHttp2Session;
  readonly stream: ClientHttp2Stream;
  readonly #role: ServerRole;
  readonly #reader = new FrameReader();
  readonly #chunks: AsyncIterator<Uint8Array>;

  constructor(url: string, role: ServerRole = "A", options: object = {}) {
    this.connection = connect(url, options);
    this.connection.on("error", () => {});
    this.stream = this.connection.request({ ":method": "POST", ":path": "/v1/shares" });
    this.stream.on("error", () => {});
    this.#role = role;
    this.#chunks = this.stream[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  }

  send(...frames: readonly (Frame | Uint8Array)[]): void {
    for (const frame of frames) this.stream.write(frame instanceof Uint8Array ? frame : encodeFrame(frame));
  }

  hello(layout: Layout, seed: Uint8Array = new Uint8Array(32)): void {
    this.send({ type: "hello", version: PROTOCOL_VERSION, role: this.#role, digest: layoutDigest(layout), seed });
  }

  /** The next frame; null when the server ended the stream. */
  async next(): Promise<Frame | null> {
    for (;;) {
      const raw = this.#reader.read();
      if (raw) return decodeFrame(raw, this.#role);
      const { done, value } = await this.#chunks.next().catch(() => ({ done: true, value: new Uint8Array(0) }));
      if (done) return null;
      this.#reader.push(value);
    }
  }

  close(): void {
    this.connection.destroy();
  }
}
