/**
 * A hub with an account of each role, for tests of the parties that speak to it.
 * @module
 */
import { createAccounts, needsPostgres, startPostgres, startTestHub, temporaryDirectory } from "../server/hub.fixture.ts";
import type { HubSettings } from "../server/settings.ts";
import type { Role } from "../protocol.ts";
import { HubClient } from "./hub-client.ts";

/** A hub and its accounts. */
export interface HubWithAccounts extends Readonly<Record<Role | "otherCreator", HubClient>> {
  readonly url: string;
  /** The hub's own. */
  readonly directory: string;
  stop(): Promise<void>;
}

/** Starts one: on PostgreSQL where that is installed, which is faster to start than the embedded database. */
export async function startHubWithAccounts(limits: Partial<HubSettings> = {}): Promise<HubWithAccounts> {
  const { path, remove } = temporaryDirectory();
  const server = needsPostgres.skip ? null : await startPostgres();
  const hub = await startTestHub(path, server ? { databaseUrl: server.url, limits } : { limits });
  const accounts = await createAccounts(hub);
  const as = (name: Role | "otherCreator"): HubClient => new HubClient(hub.url, accounts[name].key);
  return {
    url: hub.url,
    directory: path,
    user: as("user"),
    enclave: as("enclave"),
    creator: as("creator"),
    otherCreator: as("otherCreator"),
    async stop() {
      await hub.close();
      await server?.stop();
      remove();
    },
  };
}
