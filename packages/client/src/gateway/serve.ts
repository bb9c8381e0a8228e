/**
 * The gateway as a server of its own.
 * @module
 */
import { createAdaptorServer } from "@hono/node-server";
import { explainSystemError, UnseenError } from "@unseen/core/errors.ts";
import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createGateway, type GatewayOptions } from "./gateway.ts";
import { loopbackNames } from "./guard.ts";
import { closeHosts, connectModel } from "./model.ts";
import { Offer } from "./offer.ts";

export const DEFAULT_GATEWAY_PORT = 8800;

export interface StartOptions extends GatewayOptions {
  /** 0 takes any free one. */
  readonly port?: number | undefined;
  readonly hostname?: string | undefined;
}

export interface RunningGateway {
  /** Base URL for OpenAI clients, with `/v1`. */
  readonly baseUrl: string;
  /** Root URL. */
  readonly url: string;
  readonly port: number;
  /** Stops listening, ends what still runs and waits until all is closed. */
  close(): Promise<void>;
}

/**
 * Asks every model's hosts who they are, then listens.
 *
 * @throws UnseenError BUNDLE_MISMATCH when a host serves another model, HOST_UNREACHABLE when none of a model's hosts answers
 * (one that is still loading may), PORT_IN_USE.
 */
export async function startGateway(options: StartOptions): Promise<RunningGateway> {
  const { port = DEFAULT_GATEWAY_PORT, hostname = "127.0.0.1" } = options;
  const models = options.models instanceof Offer ? options.models : new Offer(options.models);
  await Promise.all(models.models.map((model) => connectModel(model).catch(allowLoading)));
  const isLoopback = loopbackNames.has(hostname) || hostname === "::1";
  const hostNames = options.hostNames === undefined && !isLoopback ? null : options.hostNames;
  const application = createGateway({ ...options, models, hostNames });
  const server = createAdaptorServer({ fetch: application.fetch, overrideGlobalObjects: false }) as Server;
  await listen(server, port, hostname);
  const bound = (server.address() as AddressInfo).port;
  const url = `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${bound}`;
  return {
    url,
    baseUrl: `${url}/v1`,
    port: bound,
    async close() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
      for (const model of models.models) if ("encoder" in model) model.encoder.close();
      closeHosts(models.models);
    },
  };
}

function allowLoading(error: unknown): void {
  if (UnseenError.isInstance(error) && error.code === "HOST_LOADING") return;
  throw error;
}

async function listen(server: Server, port: number, hostname: string): Promise<void> {
  try {
    server.listen(port, hostname);
    await once(server, "listening");
  } catch (error) {
    throw explainSystemError(error, `port ${port}`);
  }
}
