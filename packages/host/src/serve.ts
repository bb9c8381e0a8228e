/**
 * The blind server: numbers in, numbers out. It holds an encrypted model, no tokenizer and no key.
 * @module
 */
import { once } from "node:events";
import type { Server } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { basename, extname } from "node:path";
import { createAdaptorServer } from "@hono/node-server";
import type { QuoteSource } from "@unseen/attest/evidence.ts";
import { SIMULATOR_WARNING } from "@unseen/attest/shout.ts";
import type { Manifest } from "@unseen/core/blueprint/manifest.ts";
import { UnseenError, explainSystemError } from "@unseen/core/errors.ts";
import { admitModel } from "./admit.ts";
import { createApplication } from "./application.ts";
import { prepareAttestation } from "./attestation.ts";
import { prepareDecoder } from "./decoder.ts";
import type { Provider } from "./engine/onnx/provider.ts";
import { prepareEncoder } from "./encoder/service.ts";

const HEADERS_TIMEOUT = 15_000; // ms
const REQUEST_TIMEOUT = 60_000; // ms until the whole request has arrived (CWE-400)
const IDLE_TIMEOUT = 75_000; // ms a kept connection may stay silent
const MAXIMUM_CONNECTIONS = 1024;
const DEFAULT_GRACE = 30_000; // ms
const LINGER = 1_000; // ms that a client may take to read the end of its answer

export interface HostOptions {
  /** An encrypted model: a Hugging Face directory, a GGUF file or an ONNX file. */
  readonly model: string;
  /** 0 = any free port. */
  readonly port: number;
  /** Default 127.0.0.1: reachable from this machine only. */
  readonly hostname?: string | undefined;
  /** Clients must then send it as a bearer token. */
  readonly apiKey?: string | undefined;
  /** Name in `/v1/models`; default: the file's or directory's name. */
  readonly name?: string | undefined;
  /** Threads of the engine, default 1. More than there are idle cores makes it slower, not faster. */
  readonly threads?: number | undefined;
  /** GGUF: sequences that run at once, default 4. */
  readonly sequences?: number | undefined;
  /**
   * Tokens per sequence. GGUF: prompt and answer; default and limit: what the model was trained for, at most 8192 unless given.
   * ONNX: default and limit: what the model says of itself; 512 where it says nothing and nothing is given.
   */
  readonly contextSize?: number | undefined;
  /** Sequences that may wait: for a slot, default 64 (GGUF), or for a run, default 1024 (ONNX). */
  readonly maximumQueue?: number | undefined;
  /** GGUF: number format of the key-value cache; default: F32 for F32 and F16 models, else F16. F16 halves its memory. */
  readonly cacheFormat?: "f16" | "f32" | undefined;
  /** ONNX: where the engine computes, default "cpu". Others need a build of ONNX Runtime that has them. */
  readonly provider?: Provider | undefined;
  /** ONNX: rows that may share one run, default 16, elsewhere than on the CPU 64. */
  readonly batchRows?: number | undefined;
  /** ONNX: tokens that one run may hold, padding included, default 2048, elsewhere than on the CPU 16384. A longer row runs alone. */
  readonly batchTokens?: number | undefined;
  /** Serves HTTPS under a key made inside an enclave, with evidence for it from here. */
  readonly attest?: QuoteSource | undefined;
  /** Admits a model that is not encrypted. */
  readonly plain?: boolean | undefined;
  /** Where converted models are cached; default `UNSEEN_HOME` or `~/.unseen`. */
  readonly home?: string | undefined;
  /** Receives one line per event: lifecycle and engine, never anything of a request. */
  readonly log?: ((line: string) => void) | undefined;
  /** Called when the port is open, before the model is loaded: `/health` answers 503 until it is. */
  readonly onListening?: ((url: string) => void) | undefined;
}

/** A running server. */
export interface Host {
  readonly url: string;
  readonly port: number;
  readonly name: string;
  readonly manifest: Manifest | null;
  /** 0 for models without token ids. */
  readonly vocabularySize: number;
  /** Tokens per sequence; null for models without tokens. */
  readonly contextLength: number | null;
  /** Process id of the engine, null while it restarts. */
  readonly engineProcess: number | null;
  /** Takes no new requests, lets running ones finish for up to `grace` milliseconds (default 30,000), then ends the engine. */
  close(grace?: number): Promise<void>;
}

/**
 * Starts the server and resolves when the model is loaded.
 * @throws UnseenError `NOT_ENCRYPTED`, `CHECKPOINT_*`, `ATTESTATION_UNAVAILABLE`, `PORT_IN_USE`, `ENGINE_CRASHED`
 * @example
 * ```ts
 * const host = await startHost({ model: "story-encrypted", port: 8801 });
 * process.once("SIGTERM", () => host.close());
 * ```
 */
export async function startHost(options: HostOptions): Promise<Host> {
  const { hostname = "127.0.0.1", log = () => {} } = options;
  const admitted = await admitModel(options.model, { plain: options.plain ?? false });
  const name = options.name ?? basename(admitted.path, admitted.kind === "directory" ? "" : extname(admitted.path));
  const prepare = admitted.kind === "onnx" ? prepareEncoder : prepareDecoder;
  const startService = await prepare(admitted, { ...options, name, log });

  const attestation = options.attest ? await prepareAttestation(options.attest, hostname) : null;
  if (attestation?.kind === "simulator") log(SIMULATOR_WARNING);

  let application: ReturnType<typeof createApplication> | null = null;
  const server = createAdaptorServer({
    fetch: (request, environment) => application!.fetch(request, environment),
    hostname,
    overrideGlobalObjects: false,
    ...(attestation ? { createServer: createSecureServer } : {}),
    serverOptions: {
      headersTimeout: HEADERS_TIMEOUT,
      requestTimeout: REQUEST_TIMEOUT,
      keepAliveTimeout: IDLE_TIMEOUT,
      ...(attestation ? { cert: attestation.tls.certificate, key: attestation.tls.privateKey } : {}),
    },
  }) as Server;
  server.maxConnections = MAXIMUM_CONNECTIONS;
  // The port first: a taken one must not cost the loading of a model.
  const port = await listen(server, options.port, hostname);
  const service = startService();
  const { engine } = service;
  application = createApplication({ ...service, name, apiKey: options.apiKey, attestation, log });
  const url = `${attestation ? "https" : "http"}://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
  log(`listening url=${url} model=${name} ${service.settings}`);
  options.onListening?.(url);

  let closing: Promise<void> | null = null;
  const close = async (grace: number): Promise<void> => {
    const closed = once(server, "close");
    server.close();
    const timer = setTimeout(() => void engine.close(), grace);
    await engine.drain();
    clearTimeout(timer);
    await engine.close();
    // The last bytes are on their way; kept-alive connections have nothing more to say.
    server.closeIdleConnections();
    const force = setTimeout(() => server.closeAllConnections(), LINGER);
    await closed;
    clearTimeout(force);
    log("closed");
  };
  const host: Host = {
    url,
    port,
    name,
    manifest: service.manifest,
    vocabularySize: service.vocabularySize,
    contextLength: service.maximumLength,
    get engineProcess() {
      return engine.processId;
    },
    close: (grace = DEFAULT_GRACE) => (closing ??= close(grace)),
  };
  try {
    await engine.ready;
  } catch (error) {
    await host.close(0);
    throw error;
  }
  return host;
}

/**
 * Closes the host on SIGTERM and SIGINT; a second signal ends it at once. Resolves when it is closed.
 */
export function closeOnSignals(host: Host, grace?: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let isSecond = false;
    const onSignal = (): void => {
      if (isSecond) process.exit(130);
      isSecond = true;
      host.close(grace).then(resolve, reject);
    };
    process.on("SIGTERM", onSignal);
    process.on("SIGINT", onSignal);
  });
}

async function listen(server: Server, port: number, hostname: string): Promise<number> {
  try {
    server.listen(port, hostname);
    await once(server, "listening");
  } catch (error) {
    throw explainSystemError(error, `port ${port} on ${hostname}`);
  }
  const address = server.address();
  if (address === null || typeof address === "string") throw new UnseenError("INTERNAL", "the server has no port.");
  return address.port;
}
