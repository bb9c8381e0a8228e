/**
 * A contest as a server of its own.
 * @module
 */
import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { explainSystemError } from "@unseen/core/errors.ts";
import { createContestApplication } from "./application.ts";
import type { Contest } from "./contest.ts";
import { readContest, readSolution, type ContestFiles } from "./files.ts";
import { verifySolution } from "./solution.ts";
import { ContestStore } from "./store.ts";

/** How long a request may take to arrive: submissions are small. */
const REQUEST_MILLISECONDS = 30_000;
/** How long requests that still run may take when the server is told to stop. */
const CLOSING_MILLISECONDS = 2000;

export interface ServeContestOptions {
  readonly files: ContestFiles;
  /** 0 takes any free one. */
  readonly port: number;
  readonly hostname: string;
  /** Gets a line for each request, without names, tokens or content. */
  readonly log?: (line: string) => void;
}

export interface RunningContest {
  readonly url: string;
  readonly contest: Contest;
  /** Stops listening, lets running requests end and closes the database. */
  close(): Promise<void>;
}

/**
 * Reads a contest, checks its solution against the commitment, and listens.
 * @throws UnseenError CHECKPOINT_*, VERIFICATION_FAILED, PERMISSION_DENIED, PORT_IN_USE.
 */
export async function serveContest({ files, port, hostname, log }: ServeContestOptions): Promise<RunningContest> {
  const contest = await readContest(files.contest);
  const solution = await readSolution(files.solution);
  verifySolution(contest, solution);
  const store = new ContestStore(files.database);
  try {
    const { fetch } = createContestApplication({ contest, solution, store, log });
    const serverOptions = { requestTimeout: REQUEST_MILLISECONDS };
    const server = createAdaptorServer({ fetch, overrideGlobalObjects: false, serverOptions }) as Server;
    server.listen(port, hostname);
    await once(server, "listening");
    const bound = (server.address() as AddressInfo).port;
    return {
      url: `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${bound}`,
      contest,
      async close() {
        const closed = once(server, "close");
        server.close();
        const timer = setTimeout(() => server.closeAllConnections(), CLOSING_MILLISECONDS);
        await closed;
        clearTimeout(timer);
        store.close();
      },
    };
  } catch (error) {
    store.close();
    throw explainSystemError(error, `port ${port}`);
  }
}
