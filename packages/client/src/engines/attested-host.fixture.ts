/**
 * Attested hosts for tests, and what stands between them and a client: TLS servers that keep every byte that a client wrote inside TLS.
 * @module
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, request, type Server } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import { tlsIdentity, type TlsIdentity } from "@unseen/attest/attested-key.ts";
import type { QuoteSource } from "@unseen/attest/evidence.ts";
import { makeEvidence } from "@unseen/attest/make-evidence.ts";

export interface TlsTap {
  readonly url: string;
  readonly port: number;
  /** What clients wrote, one text for each connection. */
  readonly sent: readonly string[];
  close(): Promise<void>;
}

/** A certificate with a key of its own. */
export function freshIdentity(source: QuoteSource): Promise<TlsIdentity> {
  return tlsIdentity({ ...source, deriveKey: async () => randomBytes(32) }, "127.0.0.1");
}

/** A TLS server that listens in. */
export async function startTap(
  { certificate, privateKey }: TlsIdentity,
  answer: (message: IncomingMessage, response: ServerResponse) => void,
  port = 0,
): Promise<TlsTap> {
  const sent: string[] = [];
  const server: Server = createServer({ cert: certificate, key: privateKey }, answer);
  server.on("secureConnection", (socket: TLSSocket) => {
    const place = sent.push("") - 1;
    socket.on("data", (bytes: Buffer) => (sent[place] += bytes.toString("latin1")));
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const bound = (server.address() as AddressInfo).port;
  return {
    url: `https://127.0.0.1:${bound}`,
    port: bound,
    sent,
    async close() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Hands everything on to a host at `url`, whose certificate is taken for granted. */
export function relayTo(url: string): (message: IncomingMessage, response: ServerResponse) => void {
  return (message, response) => {
    const { method, headers } = message;
    const onward = request(new URL(message.url ?? "/", url), { method: method ?? "GET", headers, rejectUnauthorized: false, agent: false });
    onward.on("response", (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on("error", () => response.destroy());
    message.pipe(onward);
  };
}

/** Answers `/v1/attestation` with evidence for the key of `identity`; everything else with 503. */
export function evidenceOf(source: QuoteSource, { keyHash }: TlsIdentity): (message: IncomingMessage, response: ServerResponse) => void {
  return (message, response) => {
    const { pathname, searchParams } = new URL(message.url ?? "/", "https://host");
    if (pathname !== "/v1/attestation") return void response.writeHead(503).end("{}");
    const nonce = Buffer.from(searchParams.get("nonce") ?? "", "base64url");
    makeEvidence(source, { nonce, keys: { hpkePublicKey: new Uint8Array(32).fill(9), tlsKeyHash: keyHash } }).then(
      (evidence) => response.end(JSON.stringify(evidence)),
      () => response.destroy(),
    );
  };
}

/** Counts the quotes that a source gives. */
export function counted(source: QuoteSource): QuoteSource & { readonly quotes: number } {
  let quotes = 0;
  return {
    kind: source.kind,
    deriveKey: (purpose) => source.deriveKey(purpose),
    quote: (data) => {
      quotes += 1;
      return source.quote(data);
    },
    get quotes() {
      return quotes;
    },
  };
}
