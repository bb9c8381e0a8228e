/**
 * The hub as a server of its own.
 * @module
 */
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createAdaptorServer } from "@hono/node-server";
import { explainSystemError } from "@unseen/core/errors.ts";
import { openAdminKey } from "./admin-key.ts";
import { createApplication } from "./application.ts";
import { sweepBlobs } from "./blob-retention.ts";
import { sqlState } from "./database.ts";
import { createHub, type Hub } from "./hub.ts";
import { sweepJobs } from "./job-expiry.ts";
import { migrate } from "./migrations.ts";
import { openPglite } from "./pglite.ts";
import { openPostgres } from "./postgres.ts";
import type { Environment } from "./request.ts";
import { defaultSettings, type HubSettings } from "./settings.ts";

const HEADERS_MILLISECONDS = 15_000;
const IDLE_MILLISECONDS = 75_000;
/** How long requests that still run may take when the hub is told to stop. */
const CLOSING_MILLISECONDS = 5_000;
const IDLE_LOOK_MILLISECONDS = 50;
/** Blobs are looked through this many times within the retention time. */
const BLOB_SWEEPS = 100;

export interface HubOptions {
  /** Blobs, the administrator's key and, without a server, the database. Several hubs on one server share it. */
  readonly dataDirectory: string;
  /** A PostgreSQL server; default: the embedded database in the data directory. */
  readonly databaseUrl?: string | undefined;
  /** 0 takes any free one. */
  readonly port: number;
  readonly hostname: string;
  /** Gets a line for each request and event, without names, keys or content. */
  readonly log: (line: string) => void;
  readonly limits?: Partial<HubSettings> | undefined;
}

/** A hub that runs. */
export interface RunningHub {
  readonly url: string;
  /** Holds the key that makes accounts. */
  readonly adminKeyFile: string;
  /** Ends waits, lets running requests end and closes the database. */
  close(): Promise<void>;
}

/**
 * Opens the database and listens.
 * @throws UnseenError CONFLICT where another hub has the directory, HOST_UNREACHABLE for the database's server, PORT_IN_USE,
 * PERMISSION_DENIED, DISK_FULL
 */
export async function startHub({ dataDirectory, databaseUrl, port, hostname, log, limits }: HubOptions): Promise<RunningHub> {
  const settings = { ...defaultSettings, ...limits };
  await mkdir(dataDirectory, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw explainSystemError(error, dataDirectory);
  });
  const database = databaseUrl ? await openPostgres(databaseUrl, log) : await openPglite(join(dataDirectory, "database"));
  try {
    await migrate(database);
    const admin = await openAdminKey(dataDirectory);
    const hub = createHub(database, dataDirectory, settings, admin.key);
    const ending = new AbortController();
    const server = createServer(hub, log, ending.signal);
    server.listen(port, hostname);
    await once(server, "listening");
    const url = `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${(server.address() as AddressInfo).port}`;
    const stopSweeping = sweepRegularly(hub, log);
    const close = async (): Promise<void> => {
      const closed = once(server, "close");
      ending.abort();
      server.close();
      hub.bells.close();
      const timer = setTimeout(() => server.closeAllConnections(), CLOSING_MILLISECONDS);
      // An answer that was on its way when the server closed leaves its connection open.
      const idle = setInterval(() => server.closeIdleConnections(), IDLE_LOOK_MILLISECONDS);
      await stopSweeping();
      await closed;
      clearInterval(idle);
      clearTimeout(timer);
      await database.close();
      log("closed");
    };
    let closing: Promise<void> | null = null;
    log(`listening url=${url} database=${databaseUrl ? "postgres" : "embedded"}`);
    return {
      url,
      adminKeyFile: admin.file,
      close: () => (closing ??= close()),
    };
  } catch (error) {
    await database.close();
    throw explainSystemError(error, `port ${port}`);
  }
}

function createServer(hub: Hub, log: (line: string) => void, ending: AbortSignal): Server {
  const requestTimeout = hub.settings.requestSeconds * 1000;
  const application = createApplication(hub, log);
  const server = createAdaptorServer({
    async fetch(request, environment) {
      const response = await application.fetch(request, environment as Environment["Bindings"]);
      // Whoever waited for work would ask again on the same connection, which would keep the server open.
      if (ending.aborted) response.headers.set("connection", "close");
      return response;
    },
    overrideGlobalObjects: false,
    serverOptions: {
      requestTimeout,
      headersTimeout: Math.min(HEADERS_MILLISECONDS, requestTimeout),
      keepAliveTimeout: IDLE_MILLISECONDS,
      connectionsCheckingInterval: Math.min(5_000, requestTimeout / 2),
    },
  }) as Server;
  server.maxConnections = hub.settings.connections;
  return server;
}

/** Looks for what has run out, one look after the other. The function that is returned waits for the last one. */
function sweepRegularly(hub: Hub, log: (line: string) => void): () => Promise<void> {
  const { sweepSeconds, retentionSeconds } = hub.settings;
  let stopped = false;
  let timer: NodeJS.Timeout;
  let running = Promise.resolve();
  let blobsAt = 0;
  const sweep = async (): Promise<void> => {
    try {
      await sweepJobs(hub);
      if (performance.now() >= blobsAt) {
        blobsAt = performance.now() + (retentionSeconds * 1000) / BLOB_SWEEPS;
        await sweepBlobs(hub.database, hub.directory, retentionSeconds);
        await hub.enclaves.sweep();
      }
    } catch (error) {
      // A database or disk that is away for a while: the next look is soon.
      log(`sweep failed (${sqlState(error) ?? (error as Error).name})`);
    }
    if (!stopped) schedule();
  };
  const schedule = (): void => {
    timer = setTimeout(() => (running = sweep()), sweepSeconds * 1000);
  };
  schedule();
  return async () => {
    stopped = true;
    clearTimeout(timer);
    await running;
  };
}
