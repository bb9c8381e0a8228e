/**
 * Frames as bytes, and bytes as frames: the codec of `protocol.ts`.
 *
 * Numbers are little-endian, as are all machines that Node runs on with WebAssembly; arrays are therefore views.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { HEADER_BYTES, PROTOCOL_VERSION, failureCodes, frameTypes, protocolLimits, type FrameType, type ServerRole } from "./protocol.ts";

export type FailureName = keyof typeof failureCodes;

/** Opens a session: who the server is to be, and of which model. */
export interface HelloFrame {
  readonly type: "hello";
  readonly version: number;
  readonly role: ServerRole;
  /** SHA-256 of the layout (32 bytes). */
  readonly digest: Uint8Array;
  /** Key of server B's shares (32 bytes); zeros for A. */
  readonly seed: Uint8Array;
}

/** The server takes part. */
export interface ReadyFrame {
  readonly type: "ready";
  readonly version: number;
  /** Largest number of rows of one call. */
  readonly rows: number;
}

/** A product to make; `multiply` modulo 2^32, `audit` exactly. A gets shares (rows, in), B the counter of its own. */
export interface CallFrame {
  readonly type: "multiply" | "audit";
  readonly call: number;
  readonly group: number;
  readonly rows: number;
  readonly input: { readonly shares: Uint32Array } | { readonly counter: bigint };
}

/** Layer by layer and limb by limb, (rows, out) modulo 2^32. */
export interface ProductsFrame {
  readonly type: "products";
  readonly call: number;
  readonly numbers: Uint32Array;
}

/** The same, not reduced. */
export interface ExactFrame {
  readonly type: "exact";
  readonly call: number;
  readonly numbers: BigInt64Array;
}

/** The last frame of a session that failed. */
export interface FailureFrame {
  readonly type: "failure";
  readonly call: number;
  readonly code: FailureName;
  readonly message: string;
}

export type Frame = HelloFrame | ReadyFrame | CallFrame | ProductsFrame | ExactFrame | FailureFrame;

/** Bytes that are no frame: HOST_PROTOCOL, and the code of FAILURE that a server answers with. */
export class FrameError extends UnseenError {
  readonly failure: FailureName;

  constructor(failure: FailureName, message: string) {
    super("HOST_PROTOCOL", message, { hint: "Both sides must run the same version of Unseen." });
    this.failure = failure;
  }
}

/** A frame that is complete but not yet understood. */
export interface RawFrame {
  readonly type: FrameType;
  readonly call: number;
  /** Starts its own buffer, so that numbers in it are aligned. */
  readonly payload: Uint8Array<ArrayBuffer>;
}

const DIGEST_BYTES = 32;
const SEED_BYTES = 32;
const HELLO_BYTES = 4 + DIGEST_BYTES + SEED_BYTES;
const names = new Map<number, keyof typeof frameTypes>(Object.entries(frameTypes).map(([name, type]) => [type, name as never]));
const failures = new Map<number, FailureName>(Object.entries(failureCodes).map(([name, code]) => [code, name as FailureName]));

/** The bytes of a frame. @throws RangeError where a field does not fit its place. */
export function encodeFrame(frame: Frame): Uint8Array<ArrayBuffer> {
  const payload = payloadBytes(frame);
  if (HEADER_BYTES + payload > protocolLimits.frameBytes) throw new RangeError(`a frame of ${payload} bytes is beyond the limit.`);
  const bytes = new Uint8Array(HEADER_BYTES + payload);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, HEADER_BYTES - 4 + payload, true);
  view.setUint8(4, frameTypes[frame.type]);
  view.setUint32(8, "call" in frame ? unsigned(frame.call, 2 ** 32) : 0, true);
  const at = HEADER_BYTES;
  switch (frame.type) {
    case "hello":
      view.setUint16(at, unsigned(frame.version, 2 ** 16), true);
      view.setUint8(at + 2, frame.role === "A" ? 0 : 1);
      bytes.set(exactly(frame.digest, DIGEST_BYTES), at + 4);
      bytes.set(exactly(frame.seed, SEED_BYTES), at + 4 + DIGEST_BYTES);
      break;
    case "ready":
      view.setUint16(at, unsigned(frame.version, 2 ** 16), true);
      view.setUint32(at + 4, unsigned(frame.rows, 2 ** 32), true);
      break;
    case "multiply":
    case "audit":
      view.setUint32(at, unsigned(frame.group, 2 ** 32), true);
      view.setUint32(at + 4, unsigned(frame.rows, 2 ** 32), true);
      if ("shares" in frame.input) bytes.set(bytesOf(frame.input.shares), at + 8);
      else view.setBigUint64(at + 8, frame.input.counter, true);
      break;
    case "products":
    case "exact":
      bytes.set(bytesOf(frame.numbers), at);
      break;
    case "failure":
      view.setUint16(at, failureCodes[frame.code], true);
      bytes.set(messageBytes(frame.message), at + 2);
      break;
  }
  return bytes;
}

function payloadBytes(frame: Frame): number {
  switch (frame.type) {
    case "hello":
      return HELLO_BYTES;
    case "ready":
      return 8;
    case "multiply":
    case "audit":
      return 8 + ("shares" in frame.input ? frame.input.shares.byteLength : 8);
    case "products":
    case "exact":
      return frame.numbers.byteLength;
    case "failure":
      return 2 + messageBytes(frame.message).length;
  }
}

/**
 * Understands a frame. What depends on the model (groups, numbers of rows) is for the caller to check.
 *
 * @param role of the server in this session: it decides what a call carries
 * @throws FrameError `malformed`, or `version` for a HELLO or READY of another version
 */
export function decodeFrame({ type, call, payload }: RawFrame, role: ServerRole): Frame {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const name = names.get(type);
  const expect = (holds: boolean): void => {
    if (!holds)
      throw new FrameError("malformed", `a frame of type ${name} and ${payload.length} bytes does not have the form of its type.`);
  };
  switch (name) {
    case "hello": {
      checkVersion(view);
      const role = payload[2];
      expect(payload.length === HELLO_BYTES && call === 0 && (role === 0 || role === 1) && payload[3] === 0);
      const digest = payload.slice(4, 4 + DIGEST_BYTES);
      const seed = payload.slice(4 + DIGEST_BYTES);
      expect(role === 1 || seed.every((byte) => byte === 0));
      return { type: "hello", version: PROTOCOL_VERSION, role: role === 0 ? "A" : "B", digest, seed };
    }
    case "ready":
      checkVersion(view);
      expect(payload.length === 8 && call === 0 && view.getUint16(2, true) === 0);
      return { type: "ready", version: PROTOCOL_VERSION, rows: view.getUint32(4, true) };
    case "multiply":
    case "audit": {
      expect(payload.length >= 8);
      const group = view.getUint32(0, true);
      const rows = view.getUint32(4, true);
      if (role === "B") {
        expect(payload.length === 16);
        return { type: name, call, group, rows, input: { counter: view.getBigUint64(8, true) } };
      }
      expect(payload.length % 4 === 0);
      return { type: name, call, group, rows, input: { shares: new Uint32Array(payload.buffer, payload.byteOffset + 8) } };
    }
    case "products":
      expect(payload.length % 4 === 0);
      return { type: "products", call, numbers: new Uint32Array(payload.buffer, payload.byteOffset) };
    case "exact":
      expect(payload.length % 8 === 0);
      return { type: "exact", call, numbers: new BigInt64Array(payload.buffer, payload.byteOffset) };
    case "failure": {
      expect(payload.length >= 2 && payload.length <= 2 + protocolLimits.failureBytes);
      const code = failures.get(view.getUint16(0, true));
      if (!code) throw new FrameError("malformed", `a failure has the unknown code ${view.getUint16(0, true)}.`);
      return { type: "failure", call, code, message: Buffer.from(payload.subarray(2)).toString("utf8") };
    }
    case undefined:
      throw new FrameError("malformed", `a frame has the unknown type ${type}.`);
  }
}

/** The version comes first in HELLO and READY of every version, whatever follows. */
function checkVersion(view: DataView): void {
  const version = view.byteLength >= 2 ? view.getUint16(0, true) : 0;
  if (version !== PROTOCOL_VERSION)
    throw new FrameError("version", `the other side speaks version ${version} of the protocol, expected ${PROTOCOL_VERSION}.`);
}

const SMALL_BYTES = 4096;
const PAGE_BYTES = 16_384;

/** Takes a byte stream apart; holds no more than arrived, whatever a length claims. */
export class FrameReader {
  /** Bytes that a frame may have (CWE-770); may be changed between frames. */
  limit: number;
  #chunks: Uint8Array[] = [];
  #buffered = 0;
  /** Where small pieces are copied to, filled up to `#used`. */
  #page = new Uint8Array(0);
  #used = 0;

  constructor(limit: number = protocolLimits.frameBytes) {
    this.limit = limit;
  }

  /** Bytes that arrived and belong to no complete frame yet. */
  get buffered(): number {
    return this.#buffered;
  }

  /** Takes bytes that arrived; it keeps a reference to large pieces, and copies small ones together: a byte must not cost a buffer. */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#buffered += chunk.length;
    if (chunk.length >= SMALL_BYTES) {
      this.#chunks.push(chunk);
      return;
    }
    if (this.#page.length - this.#used < chunk.length) {
      this.#page = new Uint8Array(PAGE_BYTES);
      this.#used = 0;
    }
    this.#page.set(chunk, this.#used);
    const last = this.#chunks.at(-1);
    const continues = last?.buffer === this.#page.buffer;
    const start = continues ? last.byteOffset : this.#used;
    this.#used += chunk.length;
    this.#chunks.splice(continues ? -1 : this.#chunks.length, 1, this.#page.subarray(start, this.#used));
  }

  /** The next frame, null until it is complete. @throws FrameError for a header that is none, or a length beyond the limit */
  read(): RawFrame | null {
    if (this.#buffered < HEADER_BYTES) return null;
    const header = this.#peek(HEADER_BYTES);
    const view = new DataView(header.buffer);
    const length = view.getUint32(0, true) + 4;
    const type = view.getUint8(4);
    if (length < HEADER_BYTES || length > this.limit || !names.has(type) || view.getUint8(5) !== 0 || view.getUint16(6, true) !== 0)
      throw new FrameError("malformed", `a frame has an unknown header, or ${length} bytes where at most ${this.limit} may be.`);
    if (this.#buffered < length) return null;
    this.#take(new Uint8Array(HEADER_BYTES));
    return { type: type as FrameType, call: view.getUint32(8, true), payload: this.#take(new Uint8Array(length - HEADER_BYTES)) };
  }

  #peek(count: number): Uint8Array<ArrayBuffer> {
    const into = new Uint8Array(count);
    let done = 0;
    for (const chunk of this.#chunks) {
      into.set(chunk.subarray(0, count - done), done);
      done += Math.min(chunk.length, count - done);
      if (done === count) break;
    }
    return into;
  }

  #take(into: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    let done = 0;
    let used = 0;
    while (done < into.length) {
      const chunk = this.#chunks[used] as Uint8Array;
      const part = chunk.subarray(0, into.length - done);
      into.set(part, done);
      done += part.length;
      if (part.length === chunk.length) used += 1;
      else this.#chunks[used] = chunk.subarray(part.length);
    }
    this.#chunks.splice(0, used);
    this.#buffered -= into.length;
    return into;
  }
}

function bytesOf(array: Uint32Array | BigInt64Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

function messageBytes(message: string): Uint8Array {
  return Buffer.from(message, "utf8").subarray(0, protocolLimits.failureBytes);
}

function exactly(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length !== length) throw new RangeError(`expected ${length} bytes, got ${bytes.length}.`);
  return bytes;
}

function unsigned(value: number, limit: number): number {
  if (!Number.isInteger(value) || value < 0 || value >= limit)
    throw new RangeError(`expected a whole number below ${limit}, got ${value}.`);
  return value;
}
