/**
 * One HTTP/2 stream to a server: HELLO and READY, then calls and their answers. A session that has failed stays failed; the
 * connection opens another.
 * @module
 */
import { randomBytes } from "node:crypto";
import { connect, type ClientHttp2Session, type ClientHttp2Stream } from "node:http2";
import { UnseenError } from "@unseen/core/errors.ts";
import { FrameReader, decodeFrame, encodeFrame, type CallFrame, type FailureName, type Frame } from "../frames.ts";
import { HEADER_BYTES, PROTOCOL_VERSION, protocolLimits, type ServerRole } from "../protocol.ts";
import type { CallObserver } from "./call-observer.ts";

/** What every session with a server has in common. */
export interface ServerAddress {
  readonly url: URL;
  readonly role: ServerRole;
  /** SHA-256 of the layout. */
  readonly digest: Uint8Array;
  /** Milliseconds that a server may take for an answer, counted from the answer before where calls wait in line. */
  readonly deadline: number;
  /** Certificates to trust instead of the system's, PEM. */
  readonly ca?: string;
}

/** Bytes of frames, before HTTP/2 and TLS. */
export interface Traffic {
  sent: number;
  received: number;
}

/** A call as it goes to one server. */
export interface Call extends Omit<CallFrame, "call"> {
  /** Numbers in the answer; an answer of another length is refused. */
  readonly numbers: number;
}

interface Pending {
  readonly answer: "products" | "exact";
  readonly bytes: number;
  readonly timer: NodeJS.Timeout;
  readonly observer?: CallObserver | undefined;
  resolve(numbers: Uint32Array | BigInt64Array): void;
  reject(error: unknown): void;
}

/** Bytes that may be on their way before the client takes them. */
const WINDOW_BYTES = 16 * 2 ** 20;
const SMALL_FRAME = HEADER_BYTES + 2 + protocolLimits.failureBytes;

/** How messages name a server: `server A at https://a.example`. */
export function serverName({ role, url }: Pick<ServerAddress, "role" | "url">): string {
  return `server ${role} at ${url.origin}`;
}

/** A session that has begun; several calls may be on their way at once. */
export class ShareSession {
  /** Key of server B's shares, fresh for each session; zeros for A, which needs none. */
  readonly seed: Uint8Array;
  /** Largest number of rows of one call. */
  rows: number = protocolLimits.rows;
  readonly #address: ServerAddress;
  readonly #traffic: Traffic;
  readonly #http: ClientHttp2Session;
  readonly #stream: ClientHttp2Stream;
  readonly #reader = new FrameReader(SMALL_FRAME);
  readonly #pending = new Map<number, Pending>();
  /** Those who wait for a place among the pending calls, or for the server to read. */
  #waiting: (() => void)[] = [];
  #failure: UnseenError | null = null;
  #ready: Pick<Pending, "resolve" | "reject" | "timer"> | null = null;
  #calls = 0;
  #counter = 0n;

  private constructor(address: ServerAddress, traffic: Traffic) {
    this.#address = address;
    this.#traffic = traffic;
    this.seed = address.role === "B" ? randomBytes(32) : new Uint8Array(32);
    const { url, ca } = address;
    this.#http = connect(url.origin, {
      settings: { initialWindowSize: WINDOW_BYTES, enablePush: false },
      ...(ca === undefined ? {} : { ca }),
    });
    const lost = (cause?: unknown): void => this.#fail(this.#unreachable(cause));
    this.#http
      .on("connect", () => this.#http.setLocalWindowSize(WINDOW_BYTES))
      .on("error", lost)
      .on("close", lost)
      .on("goaway", lost);
    this.#stream = this.#http.request({
      ":method": "POST",
      ":path": `${url.pathname.replace(/\/$/, "")}/v1/shares`,
      "content-type": "application/octet-stream",
    });
    this.#stream
      .on("error", lost)
      .on("close", lost)
      .on("end", lost)
      .on("drain", () => this.#wake())
      .on("data", (chunk: Uint8Array) => this.#take(chunk))
      .on("response", (headers) => {
        if (headers[":status"] !== 200) this.#fail(this.#error("HOST_REFUSED", `answered with status ${headers[":status"]}.`));
      });
  }

  /** Connects and agrees on version and model. @throws UnseenError HOST_UNREACHABLE, HOST_TIMEOUT, HOST_PROTOCOL, HOST_REFUSED */
  static async open(address: ServerAddress, traffic: Traffic): Promise<ShareSession> {
    const session = new ShareSession(address, traffic);
    await session.#hello();
    return session;
  }

  get open(): boolean {
    return this.#failure === null;
  }

  /** The counter of the next call to B: each is given out once. */
  nextCounter(): bigint {
    const counter = this.#counter;
    this.#counter += 1n;
    return counter;
  }

  /**
   * Sends a call, at most `protocolLimits.pendingCalls` at a time, and waits for its answer.
   *
   * @param observer gets the frames of this call
   * @throws UnseenError HOST_UNREACHABLE, HOST_TIMEOUT, HOST_PROTOCOL, HOST_REFUSED; all other calls of the session fail too
   */
  async call(call: Call, signal?: AbortSignal, observer?: CallObserver): Promise<Uint32Array | BigInt64Array> {
    while (this.open && (this.#pending.size >= protocolLimits.pendingCalls || this.#stream.writableNeedDrain)) {
      await untilAborted(new Promise<void>((resolve) => this.#waiting.push(resolve)), signal);
    }
    signal?.throwIfAborted();
    if (this.#failure !== null) throw this.#failure;
    const id = this.#calls;
    this.#calls = (this.#calls + 1) % 2 ** 32;
    const exact = call.type === "audit";
    const answer = new Promise<Uint32Array | BigInt64Array>((resolve, reject) => {
      this.#pending.set(id, {
        answer: exact ? "exact" : "products",
        bytes: call.numbers * (exact ? 8 : 4),
        timer: this.#timer(),
        observer,
        resolve,
        reject,
      });
    });
    this.#setLimit();
    const { type, group, rows, input } = call;
    observer?.begin(this.#address.role, this.seed);
    const sent = this.#send({ type, call: id, group, rows, input });
    observer?.frame(this.#address.role, "sent", sent);
    // An answer that nobody waits for any more still takes its place until it is here.
    return untilAborted(answer, signal);
  }

  /** Ends the session; calls that wait fail. */
  close(): void {
    this.#fail(this.#error("HOST_UNREACHABLE", "is not connected any more: the client closed the connection."));
  }

  #hello(): Promise<unknown> {
    const { role, digest } = this.#address;
    return new Promise((resolve, reject) => {
      this.#ready = { resolve, reject, timer: this.#timer() };
      this.#send({ type: "hello", version: PROTOCOL_VERSION, role, digest, seed: this.seed });
    });
  }

  #send(frame: Frame): Uint8Array {
    const bytes = encodeFrame(frame);
    this.#traffic.sent += bytes.length;
    this.#stream.write(bytes);
    return bytes;
  }

  #take(chunk: Uint8Array): void {
    if (!this.open) return;
    this.#traffic.received += chunk.length;
    this.#reader.push(chunk);
    try {
      for (let raw = this.#reader.read(); raw !== null && this.open; raw = this.#reader.read())
        this.#answer(decodeFrame(raw, this.#address.role));
    } catch (error) {
      if (!UnseenError.isInstance(error)) throw error;
      this.#fail(this.#error("HOST_PROTOCOL", `broke the protocol: ${error.message}`, error));
    }
  }

  #answer(frame: Frame): void {
    if (frame.type === "failure") {
      const hint = REFUSAL_HINTS[frame.code] ?? "The server's log says more.";
      return this.#fail(
        // A server that loads, or is full, is worth asking again.
        new UnseenError(
          frame.code === "overloaded" ? "HOST_LOADING" : "HOST_REFUSED",
          `${serverName(this.#address)} refused (${frame.code}): ${printable(frame.message)}`,
          { hint },
        ),
      );
    }
    if (frame.type === "ready" && this.#ready !== null && frame.rows > 0) {
      this.rows = Math.min(frame.rows, protocolLimits.rows);
      clearTimeout(this.#ready.timer);
      this.#ready.resolve(new Uint32Array());
      this.#ready = null;
      return;
    }
    const pending = frame.type === "products" || frame.type === "exact" ? this.#pending.get(frame.call) : undefined;
    if (
      (frame.type !== "products" && frame.type !== "exact") ||
      pending?.answer !== frame.type ||
      frame.numbers.byteLength !== pending.bytes
    )
      return this.#fail(this.#error("HOST_PROTOCOL", `broke the protocol: its ${frame.type} answers no call of this client.`));
    clearTimeout(pending.timer);
    this.#pending.delete(frame.call);
    // A frame has one form in bytes, so this is what came.
    pending.observer?.frame(this.#address.role, "received", encodeFrame(frame));
    // Calls are answered in order: the time of the next begins now.
    for (const { timer } of this.#pending.values()) timer.refresh();
    this.#setLimit();
    pending.resolve(frame.numbers);
    this.#wake();
  }

  /** No frame may be longer than the longest that is waited for. */
  #setLimit(): void {
    this.#reader.limit = Math.max(SMALL_FRAME, ...[...this.#pending.values()].map(({ bytes }) => HEADER_BYTES + bytes));
  }

  #timer(): NodeJS.Timeout {
    const { deadline } = this.#address;
    return setTimeout(() => this.#fail(this.#error("HOST_TIMEOUT", `did not answer within ${deadline / 1000} seconds.`)), deadline);
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resume of waiting) resume();
  }

  #fail(error: UnseenError): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    for (const { timer, reject } of [...this.#pending.values(), ...(this.#ready === null ? [] : [this.#ready])]) {
      clearTimeout(timer);
      reject(error);
    }
    this.#pending.clear();
    this.#ready = null;
    this.#wake();
    this.#stream.destroy();
    this.#http.destroy();
  }

  #unreachable(cause: unknown): UnseenError {
    const what = this.#ready === null ? "closed the connection" : "does not answer";
    // HTTP/2 says only that a stream was cancelled; what the system said is the cause of the cause.
    let origin = cause;
    while (origin instanceof Error && origin.cause !== undefined) origin = origin.cause;
    const detail = origin instanceof Error ? ` (${printable((origin as NodeJS.ErrnoException).code ?? origin.message)})` : "";
    return this.#error("HOST_UNREACHABLE", `${what}${detail}.`, cause);
  }

  #error(code: "HOST_UNREACHABLE" | "HOST_TIMEOUT" | "HOST_PROTOCOL" | "HOST_REFUSED", what: string, cause?: unknown): UnseenError {
    return new UnseenError(code, `${serverName(this.#address)} ${what}`, { hint: HINTS[code], cause });
  }
}

const HINTS = {
  HOST_UNREACHABLE: "Check that the server runs; the next call connects again.",
  HOST_TIMEOUT: "Try again, or allow more time.",
  HOST_PROTOCOL: "Both sides must run the same version of Unseen.",
  HOST_REFUSED: "Is there a share server at the address?",
} as const;

const REFUSAL_HINTS: Partial<Record<FailureName, string>> = {
  model: "Both servers must serve the model that this client was prepared with.",
  version: HINTS.HOST_PROTOCOL,
  overloaded: HINTS.HOST_TIMEOUT,
};

/** A stranger's text, fit for one line of a terminal (CWE-117). */
function printable(text: string): string {
  return text.slice(0, 300).replaceAll(/[^\x20-\x7e]/g, "?");
}

/** A promise, or the signal's reason if that comes first. */
export async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason);
  if (signal.aborted) abort();
  else signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
