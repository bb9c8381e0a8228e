/**
 * A server in the hub's place for tests, which answers as it is told.
 * @module
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";

/** A running server and what it was asked. */
export interface FalseHub {
  readonly url: string;
  readonly requests: readonly IncomingMessage[];
  /** Closes it, and every connection with it. */
  stop(): Promise<void>;
}

/** Starts one on loopback; on a port of its own, or on a given one. */
export async function startFalseHub(listener: RequestListener, port = 0): Promise<FalseHub> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    request.resume(); // whatever comes is taken
    listener(request, response);
  }).listen(port, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async stop() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
