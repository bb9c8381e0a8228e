/**
 * HTTP to one untrusted host: kept connections, and nothing done that was not asked for. `fetch` would follow a redirect
 * with the whole prompt, inflate whatever is sent compressed, and introduce its runtime in four headers.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { Agent as HttpAgent, request as httpRequest, type ClientRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { HostAttestation } from "./attested-connection.ts";
import { tapRequest, type RequestTap } from "./tap-request.ts";

/** Idle connections kept per host. */
const MAXIMUM_IDLE = 32;
/** Shorter than any server keeps one (Uvicorn and Node: 5 s), so that none is closed at the moment it is used again. */
const IDLE_TIMEOUT = 4_000; // ms
/** What may follow the end of an answer before its connection is worth less than the wait (CWE-400). */
const MAXIMUM_TAIL_BYTES = 65_536;
const TAIL_TIMEOUT = 1_000; // ms

/** An answer whose headers have come. */
export class HostResponse {
  readonly status: number;
  readonly #message: IncomingMessage;
  readonly #stopListening: () => void;

  constructor(message: IncomingMessage, stopListening: () => void) {
    this.status = message.statusCode ?? 0;
    this.#message = message;
    this.#stopListening = stopListening;
  }

  get ok(): boolean {
    return this.status >= 200 && this.status < 300;
  }

  /** The body's bytes as they come; leaving the loop keeps the connection open for {@link finish} or {@link hangUp}. */
  get body(): AsyncIterable<Uint8Array> {
    return this.#message.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>;
  }

  /** All that matters has been read: the connection is kept for the next request if the rest is short. */
  finish(): void {
    this.#stopListening();
    const message = this.#message;
    if (message.readableEnded) return;
    let bytes = 0;
    const timer = setTimeout(() => message.destroy(), TAIL_TIMEOUT);
    message.on("data", (part: Uint8Array) => {
      bytes += part.length;
      if (bytes > MAXIMUM_TAIL_BYTES) message.destroy();
    });
    message.once("error", () => {});
    message.once("close", () => clearTimeout(timer));
  }

  /** Closes the connection, so that the host stops computing at once. */
  hangUp(): void {
    this.#stopListening();
    this.#message.once("error", () => {});
    this.#message.destroy();
  }
}

/** Sends requests to one host. */
export class HostConnection {
  readonly #root: URL | null;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #agent: HttpAgent | HttpsAgent;
  readonly #request: typeof httpRequest;

  /**
   * @param attestation - Must admit each connection before anything is sent over it.
   * @throws UnseenError USAGE for an address that holds a password, which would end up in messages.
   */
  constructor(root: string, apiKey: string | undefined, attestation?: HostAttestation) {
    // The address may be nonsense: then every request fails with it.
    const address = URL.parse(root);
    if (address?.username || address?.password) {
      throw new UnseenError("USAGE", "the host's address holds a user name or password.", {
        hint: "Give the host's key with --host-api-key.",
      });
    }
    const isSecure = address?.protocol === "https:";
    this.#root = address;
    this.#headers = apiKey ? { authorization: `Bearer ${apiKey}` } : {};
    this.#request = isSecure ? httpsRequest : httpRequest;
    const settings = { keepAlive: true, maxFreeSockets: MAXIMUM_IDLE, timeout: IDLE_TIMEOUT };
    const proxy = process.env["NODE_USE_ENV_PROXY"] === "1" ? { proxyEnv: process.env } : {};
    this.#agent = attestation?.agent(settings) ?? new (isSecure ? HttpsAgent : HttpAgent)({ ...settings, ...proxy });
  }

  get(path: string, signal: AbortSignal): Promise<HostResponse> {
    return this.#send("GET", path, undefined, signal);
  }

  /** Sends one JSON text; `tap` gets what passes until the connection is free for the next request. */
  post(path: string, body: string, signal: AbortSignal, tap?: RequestTap): Promise<HostResponse> {
    return this.#send("POST", path, body, signal, tap);
  }

  async #send(method: string, path: string, body: string | undefined, signal: AbortSignal, tap?: RequestTap): Promise<HostResponse> {
    if (!this.#root || !/^https?:$/.test(this.#root.protocol)) throw new TypeError("not an http address");
    const { hostname, port, pathname } = this.#root;
    const request = this.#request({
      hostname: hostname.replace(/^\[|\]$/g, ""),
      port,
      path: pathname === "/" ? path : pathname + path,
      method,
      agent: this.#agent,
      headers: {
        ...this.#headers,
        ...(body === undefined ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(body) }),
      },
    });
    if (tap) tapRequest(request, tap);
    return answerTo(request, body, signal);
  }
}

/** Sends a request and waits for the answer's headers. @throws the signal's reason once it fires. */
export async function answerTo(request: ClientRequest, body: string | undefined, signal: AbortSignal): Promise<HostResponse> {
  const { promise, resolve, reject } = Promise.withResolvers<HostResponse>();
  const abort = (): void => void request.destroy(signal.reason as Error);
  const stopListening = (): void => signal.removeEventListener("abort", abort);
  signal.addEventListener("abort", abort, { once: true });
  // Stays after the answer has begun: a late error reaches the reader of the body, and must not end the process.
  request.on("error", (error) => {
    stopListening();
    reject(error);
  });
  request.once("response", (message) => resolve(new HostResponse(message, stopListening)));
  if (signal.aborted) abort();
  else request.end(body);
  return promise;
}
