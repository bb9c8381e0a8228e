/**
 * A share server: HTTP/2, one session for each stream, weights of whole numbers and nothing else.
 * @module
 */
import { once } from "node:events";
import {
  constants,
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type SecureServerOptions,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { UnseenError, explainSystemError } from "@unseen/core/errors.ts";
import { layoutDigest, type Layout } from "../layout.ts";
import { PROTOCOL_VERSION } from "../protocol.ts";
import type { ShareKernel } from "../ring/weight-source.ts";
import { SLICE_PRODUCTS, rowsOfCall } from "./call-limits.ts";
import { MultiplierThread } from "./multiplier-thread.ts";
import { openWeights } from "./open-weights.ts";
import { refuseSession, serveSession, sessionDeadlines, type SessionContext, type SessionDeadlines } from "./session.ts";

/** Named limits (CWE-770). */
export const serverLimits = { connections: 256, sessions: 64, streamsPerConnection: 8, slice: SLICE_PRODUCTS } as const;

export interface ShareServerLimits extends SessionDeadlines {
  readonly connections: number;
  readonly sessions: number;
  readonly streamsPerConnection: number;
  /** Multiplications at one go. */
  readonly slice: number;
}

export interface ShareServerOptions {
  /** With `shares.json` and `weights.safetensors`. */
  readonly directory: string;
  /** 0 = any free port. */
  readonly port: number;
  /** Default 127.0.0.1: reachable from this machine only. */
  readonly hostname?: string | undefined;
  /** PEM; without it the server speaks HTTP/2 in the clear, for tests and behind a proxy. */
  readonly tls?: { readonly cert: string | Buffer; readonly key: string | Buffer } | undefined;
  /** Receives one line per event: never a number of a share or a seed. */
  readonly log?: ((line: string) => void) | undefined;
  readonly limits?: Partial<ShareServerLimits> | undefined;
  /** Default: the fastest that is exact here. */
  readonly kernel?: ShareKernel["name"] | "fastest" | undefined;
  /** Threads of ONNX Runtime, default 1. */
  readonly threads?: number | undefined;
}

/** A running server. */
export interface ShareServer {
  readonly url: string;
  readonly layout: Layout;
  /** Ends all sessions and the multiplying thread. */
  close(): Promise<void>;
}

/** Bytes that a client may send ahead on a stream: HTTP/2's own 64 KiB would wait for the network on every batch. */
const WINDOW_BYTES = 8 * 2 ** 20;
const HANDSHAKE_TIMEOUT = 10_000; // ms
/** MiB of a connection, beyond which it gets no new streams. */
const CONNECTION_MEMORY = 64;

/**
 * Starts a server and resolves when the weights are loaded.
 *
 * @throws UnseenError CHECKPOINT_*, BUNDLE_*, PERMISSION_DENIED for its files, PORT_IN_USE, USAGE for a certificate that does not go with its key
 * @example
 * ```ts
 * const server = await startShareServer({ directory: "story-shares-a", port: 8811, log });
 * process.once("SIGTERM", () => server.close());
 * ```
 */
export async function startShareServer(options: ShareServerOptions): Promise<ShareServer> {
  const { directory, hostname = "127.0.0.1", tls, log = () => {}, kernel = "fastest", threads = 1 } = options;
  const limits: ShareServerLimits = { ...serverLimits, ...sessionDeadlines, ...options.limits };
  const weights = await openWeights(directory);
  weights.close();
  const { layout } = weights;
  const rows = rowsOfCall(layout);
  if (rows < 1)
    throw new UnseenError("CHECKPOINT_TOO_LARGE", "a single row of this model does not fit a frame of the protocol.", {
      hint: "Use 8-bit weights.",
    });

  const server = makeServer(tls, limits);
  // The port first: a taken one must not cost the loading of a model.
  const url = `${tls ? "https" : "http"}://${hostname.includes(":") ? `[${hostname}]` : hostname}:${await listen(server, options.port, hostname)}`;
  let thread: MultiplierThread | null = null;
  const digest = layoutDigest(layout);
  const routes = new Routes(layout, limits, log, () => {
    if (!thread) return null;
    const { slice } = limits;
    return { layout, digest, rows, slice, deadlines: limits, run: thread.run.bind(thread) };
  });
  routes.listen(server);
  const close = async (): Promise<void> => {
    const closed = once(server, "close");
    server.close();
    routes.close();
    await thread?.close();
    await closed;
    log("closed");
  };
  try {
    thread = await MultiplierThread.start({ directory, kernel, threads }, log);
  } catch (error) {
    await close();
    throw error;
  }
  log(`listening url=${url} groups=${layout.groups.length} rows=${rows}`);
  let closing: Promise<void> | null = null;
  return { url, layout, close: () => (closing ??= close()) };
}

function makeServer(tls: ShareServerOptions["tls"], limits: ShareServerLimits): Http2Server {
  const settings = {
    maxSessionMemory: CONNECTION_MEMORY,
    settings: { initialWindowSize: WINDOW_BYTES, maxConcurrentStreams: limits.streamsPerConnection, enablePush: false },
  };
  const server = tls ? secureServer({ ...settings, ...tls, handshakeTimeout: HANDSHAKE_TIMEOUT }) : createServer(settings);
  server.maxConnections = limits.connections;
  return server as Http2Server;
}

function secureServer(options: SecureServerOptions): Http2SecureServer {
  try {
    return createSecureServer(options);
  } catch (error) {
    throw new UnseenError("USAGE", "the certificate and the key are not a pair in PEM form.", {
      hint: "Give the certificate chain and its private key.",
      cause: error,
    });
  }
}

async function listen(server: Http2Server, port: number, hostname: string): Promise<number> {
  try {
    server.listen(port, hostname);
    await once(server, "listening");
  } catch (error) {
    throw explainSystemError(error, `port ${port} of ${hostname}`);
  }
  return (server.address() as AddressInfo).port;
}

/** Streams to answers, and the counting of what is open. */
class Routes {
  readonly #layout: Layout;
  readonly #limits: ShareServerLimits;
  readonly #log: (line: string) => void;
  /** Null while the weights are being loaded. */
  readonly #context: () => SessionContext | null;
  readonly #connections = new Set<ServerHttp2Session>();
  #sessions = 0;
  #last = 0;

  constructor(layout: Layout, limits: ShareServerLimits, log: (line: string) => void, context: () => SessionContext | null) {
    this.#layout = layout;
    this.#limits = limits;
    this.#log = log;
    this.#context = context;
  }

  listen(server: Http2Server): void {
    server.on("session", (connection) => this.#connect(connection));
    server.on("stream", (stream: ServerHttp2Stream, { ":path": path, ":method": method }) => {
      stream.on("error", () => {});
      if (path === "/v1/shares" && method === "POST") {
        void this.#serve(stream);
        return;
      }
      const [status, body] = this.#answer(path, method);
      reply(stream, status, body, this.#limits.taken);
    });
    // Broken peers end their own connection; nothing of it is of interest here.
    for (const event of ["sessionError", "tlsClientError", "clientError"]) server.on(event, () => {});
    server.on("unknownProtocol", (socket: { destroy(): void }) => socket.destroy());
  }

  #answer(path: string | undefined, method: string | undefined): [number, unknown] {
    if (path === "/v1/shares") return [405, { error: "use POST" }];
    if (method !== "GET") return [404, { error: "not found" }];
    if (path === "/v1/layout") return [200, this.#layout];
    if (path !== "/health") return [404, { error: "not found" }];
    return this.#context() ? [200, { status: "ok", version: PROTOCOL_VERSION }] : [503, { status: "loading", version: PROTOCOL_VERSION }];
  }

  /** Ends every connection. */
  close(): void {
    for (const connection of this.#connections) connection.destroy();
  }

  /** A connection without a stream is ended soon; a stream has deadlines of its own. */
  #connect(connection: ServerHttp2Session): void {
    this.#connections.add(connection);
    connection.on("error", () => {});
    connection.on("close", () => this.#connections.delete(connection));
    connection.on("timeout", () => connection.destroy());
    connection.setLocalWindowSize(WINDOW_BYTES);
    let streams = 0;
    const watch = (): void => void connection.setTimeout(streams === 0 ? this.#limits.hello : 0);
    watch();
    connection.on("stream", (stream) => {
      streams += 1;
      watch();
      stream.once("close", () => {
        streams -= 1;
        if (!connection.destroyed) watch();
      });
    });
  }

  async #serve(stream: ServerHttp2Stream): Promise<void> {
    stream.respond({ ":status": 200, "content-type": "application/octet-stream", "cache-control": "no-store" });
    const context = this.#context();
    if (!context || this.#sessions >= this.#limits.sessions) {
      this.#log(`session refused: ${context ? `${this.#sessions} are open` : "loading"}`);
      await refuseSession(stream, "overloaded", context ? "too many sessions are open." : "the weights are being loaded.", this.#limits);
      return;
    }
    this.#last += 1;
    const name = `session ${this.#last}`;
    this.#sessions += 1;
    this.#log(`${name} opened`);
    try {
      const { role, calls, rows, reason } = await serveSession(stream, context);
      this.#log(`${name} ended: ${reason} role=${role ?? "none"} calls=${calls} rows=${rows}`);
    } finally {
      this.#sessions -= 1;
    }
  }
}

function reply(stream: ServerHttp2Stream, status: number, body: unknown, deadline: number): void {
  if (stream.destroyed) return;
  stream.respond({ ":status": status, "content-type": "application/json" });
  stream.setTimeout(deadline, () => stream.destroy());
  stream.end(JSON.stringify(body));
  // Without waiting for a body that may never end.
  stream.close(constants.NGHTTP2_NO_ERROR);
}
