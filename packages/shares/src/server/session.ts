/**
 * One session of a client with a server: HELLO, READY, then calls, answered one after another.
 *
 * The next call is read when the one before is answered and taken: what a client sends ahead waits in the flow control of HTTP/2.
 * @module
 */
import { constants, type Http2Stream } from "node:http2";
import type { Group, Layout } from "../layout.ts";
import { FrameError, FrameReader, decodeFrame, encodeFrame, type CallFrame, type FailureName, type Frame } from "../frames.ts";
import { HEADER_BYTES, PROTOCOL_VERSION, type ServerRole } from "../protocol.ts";
import { productsPerRow } from "../ring/weight-source.ts";
import { bytesOfCall, rowsOfSlice } from "./call-limits.ts";
import type { Order, Products } from "./worker.ts";

/** Milliseconds that a peer may take (CWE-400). */
export const sessionDeadlines = {
  /** Until HELLO has arrived. */
  hello: 10_000,
  /** From the first byte of a frame to its last. */
  frame: 120_000,
  /** Between two calls. */
  idle: 600_000,
  /** Until a piece of a result is taken. */
  taken: 30_000,
} as const;

export type SessionDeadlines = Readonly<Record<keyof typeof sessionDeadlines, number>>;

/** What sessions of a server share. */
export interface SessionContext {
  readonly layout: Layout;
  readonly digest: Uint8Array;
  /** Rows of one call. */
  readonly rows: number;
  /** Multiplications at one go. */
  readonly slice: number;
  readonly deadlines: SessionDeadlines;
  run(order: Order): Promise<Products>;
}

/** How a session ended: for a line of the log, nothing of the content. */
export interface SessionEnd {
  readonly role: ServerRole | null;
  readonly calls: number;
  readonly rows: number;
  readonly reason: "done" | "lost" | "stalled" | FailureName;
}

/** Bytes of a result that are written at once; a peer must take each in time. */
const PIECE = 256 * 1024;

class Stalled extends Error {}
class Lost extends Error {}

/** Serves a session until it ends, for whatever reason; never rejects. */
export async function serveSession(stream: Http2Stream, context: SessionContext): Promise<SessionEnd> {
  const session = new Session(stream, context);
  let reason: SessionEnd["reason"] = "done";
  try {
    await session.serve();
    stream.end();
  } catch (error) {
    if (error instanceof Stalled) {
      reason = "stalled";
      stream.destroy();
    } else if (error instanceof Lost || stream.destroyed) {
      reason = "lost";
      stream.destroy();
    } else {
      const failure = error instanceof FrameError ? error : new FrameError("internal", "the call could not be answered.");
      reason = failure.failure;
      await session.fail(failure);
    }
  }
  return { role: session.role, calls: session.calls, rows: session.rows, reason };
}

/** Ends a session before it began. */
export async function refuseSession(
  stream: Http2Stream,
  failure: FailureName,
  message: string,
  deadlines: SessionDeadlines,
): Promise<void> {
  stream.on("error", () => {});
  await finish(stream, { type: "failure", call: 0, code: failure, message }, deadlines);
}

class Session {
  role: ServerRole | null = null;
  calls = 0;
  rows = 0;
  readonly #stream: Http2Stream;
  readonly #context: SessionContext;
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #reader = new FrameReader(HEADER_BYTES + 256);
  #seed: Uint8Array = new Uint8Array(0);
  #call = 0;

  constructor(stream: Http2Stream, context: SessionContext) {
    this.#stream = stream;
    this.#context = context;
    this.#chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
    // An error ends the iterator too, where it is seen.
    stream.on("error", () => {});
  }

  async serve(): Promise<void> {
    const { layout, digest, rows, deadlines } = this.#context;
    const hello = await this.#next(deadlines.hello, deadlines.hello);
    if (hello === null) return;
    if (hello.type !== "hello") throw new FrameError("malformed", "expected HELLO as the first frame.");
    if (Buffer.compare(hello.digest, digest) !== 0) throw new FrameError("model", "this server holds the weights of another model.");
    this.role = hello.role;
    this.#seed = hello.seed;
    this.#reader.limit = hello.role === "A" ? bytesOfCall(layout, rows) : HEADER_BYTES + 16;
    await this.#write({ type: "ready", version: PROTOCOL_VERSION, rows });
    for (;;) {
      const frame = await this.#next(deadlines.idle, deadlines.frame);
      if (frame === null) return;
      if (frame.type !== "multiply" && frame.type !== "audit") throw new FrameError("malformed", `expected a call, got ${frame.type}.`);
      this.#call = frame.call;
      const products = await this.#answer(frame);
      await this.#write(
        products instanceof Uint32Array
          ? { type: "products", call: frame.call, numbers: products }
          : { type: "exact", call: frame.call, numbers: products },
      );
      this.calls += 1;
      this.rows += frame.rows;
    }
  }

  /** Tells the client why, and ends. */
  async fail({ failure, message }: FrameError): Promise<void> {
    await finish(this.#stream, { type: "failure", call: this.#call, code: failure, message }, this.#context.deadlines);
  }

  /** The next frame; null at the end of the stream. */
  async #next(idle: number, whole: number): Promise<Frame | null> {
    let started: number | null = null;
    for (;;) {
      const raw = this.#reader.read();
      if (raw) return decodeFrame(raw, this.role ?? "A");
      if (this.#reader.buffered > 0) started ??= performance.now();
      const wait = started === null ? idle : whole - (performance.now() - started);
      const { done, value } = await within(this.#chunks.next(), wait).catch((error: unknown) => {
        throw error instanceof Stalled ? error : new Lost();
      });
      if (!done) this.#reader.push(value);
      else if (this.#stream.destroyed && !this.#stream.readableEnded) throw new Lost();
      else if (this.#reader.buffered > 0) throw new FrameError("malformed", "the stream ends within a frame.");
      else return null;
    }
  }

  async #answer({ type, group: index, rows, input }: CallFrame): Promise<Products> {
    const { layout, rows: most } = this.#context;
    const group = layout.groups[index];
    if (!group) throw new FrameError("group", `expected one of ${layout.groups.length} groups, got ${index}.`);
    if (rows < 1 || rows > most) throw new FrameError("rows", `expected 1 to ${most} rows, got ${rows}.`);
    if ("shares" in input && input.shares.length !== rows * group.in)
      throw new FrameError("rows", `expected ${rows} rows of ${group.in} numbers, got ${input.shares.length} numbers.`);

    const count = rows * productsPerRow(layout, group);
    const products = type === "multiply" ? new Uint32Array(count) : new BigInt64Array(count);
    const some = rowsOfSlice(layout, group, this.#context.slice);
    for (let first = 0; first < rows; first += some) {
      if (this.#stream.destroyed) throw new Lost();
      const passing = Math.min(some, rows - first);
      const [from, length] = [first * group.in, passing * group.in];
      const part = await this.#context.run({
        kind: type,
        group: index,
        count: passing,
        input:
          "shares" in input
            ? { shares: input.shares.slice(from, from + length) as Uint32Array<ArrayBuffer> }
            : { seed: this.#seed, counter: input.counter, from, length },
      });
      place(products, part, layout, group, rows, first, passing);
    }
    return products;
  }

  #write(frame: Frame): Promise<void> {
    return write(this.#stream, encodeFrame(frame), this.#context.deadlines.taken);
  }
}

/** Puts the products of some rows, (passing, out) for each matrix, where they belong among those of all. */
function place(into: Products, part: Products, layout: Layout, group: Group, rows: number, first: number, passing: number): void {
  let before = 0;
  for (const { out } of group.layers) {
    for (let limb = 0; limb < layout.limbs; limb += 1) {
      into.set(part.subarray(before * passing, (before + out) * passing) as never, before * rows + first * out);
      before += out;
    }
  }
}

/** Writes a last frame and ends the stream; a peer that does not take it is cut off. */
async function finish(stream: Http2Stream, frame: Frame, deadlines: SessionDeadlines): Promise<void> {
  try {
    await write(stream, encodeFrame(frame), deadlines.taken);
    await within(new Promise<void>((resolve) => stream.end(resolve)), deadlines.taken);
    // What it still sends has no reader (RFC 9113, section 8.1: the answer is complete, the rest of the request may go).
    stream.close(constants.NGHTTP2_NO_ERROR);
  } catch {
    stream.destroy();
  }
}

async function write(stream: Http2Stream, bytes: Uint8Array, deadline: number): Promise<void> {
  for (let at = 0; at < bytes.length; at += PIECE) {
    if (stream.destroyed || stream.writableEnded) throw new Lost();
    if (stream.write(bytes.subarray(at, at + PIECE))) continue;
    const taken = new Promise<void>((resolve, reject) => {
      const settle = (action: () => void) => (): void => {
        stream.off("drain", onDrain).off("close", onClose);
        action();
      };
      const onDrain = settle(resolve);
      const onClose = settle(() => reject(new Lost()));
      stream.once("drain", onDrain).once("close", onClose);
    });
    await within(taken, deadline);
  }
}

/** The promise, or {@link Stalled} when it takes longer. */
async function within<T>(promise: Promise<T>, milliseconds: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Stalled()), Math.max(0, milliseconds));
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
