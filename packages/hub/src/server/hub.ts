/**
 * The hub's parts, put together.
 * @module
 */
import { Accounts } from "./accounts.ts";
import { Bells } from "./bells.ts";
import { BlobStore } from "./blob-store.ts";
import { Calls } from "./calls.ts";
import { Catalogue } from "./catalogue.ts";
import type { Database } from "./database.ts";
import { Enclaves } from "./enclaves.ts";
import { Jobs } from "./jobs.ts";
import { Metrics } from "./metrics.ts";
import type { HubSettings } from "./settings.ts";
import { WorkDesk } from "./work-desk.ts";

/** What routes work with. */
export interface Hub {
  readonly database: Database;
  /** The data directory. */
  readonly directory: string;
  readonly settings: HubSettings;
  readonly adminKey: string;
  readonly accounts: Accounts;
  readonly blobs: BlobStore;
  readonly catalogue: Catalogue;
  readonly jobs: Jobs;
  readonly work: WorkDesk;
  readonly calls: Calls;
  readonly enclaves: Enclaves;
  readonly bells: Bells;
  readonly metrics: Metrics;
}

/** Makes the parts over a database that is migrated and a directory for blobs. */
export function createHub(database: Database, directory: string, settings: HubSettings, adminKey: string): Hub {
  const bells = new Bells();
  const catalogue = new Catalogue(database, settings);
  const desk = { database, bells, settings };
  return {
    database,
    directory,
    settings,
    adminKey,
    bells,
    catalogue,
    accounts: new Accounts(database),
    blobs: new BlobStore(database, directory, settings),
    jobs: new Jobs(desk, catalogue),
    work: new WorkDesk(desk),
    calls: new Calls(bells, settings),
    enclaves: new Enclaves(database),
    metrics: new Metrics(database),
  };
}
