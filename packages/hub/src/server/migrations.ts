/**
 * The tables, as numbered steps from an empty database. A step that was released is never changed; a change is a new one.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import type { Database } from "./database.ts";

/** Advisory lock of hubs that start at the same time: "unseen" in ASCII. */
const LOCK = "129254069789038";

const MIGRATIONS: readonly (readonly string[])[] = [
  [
    `CREATE TABLE accounts (
       name text PRIMARY KEY,
       role text NOT NULL,
       key_hash text NOT NULL UNIQUE, -- SHA-256 of a key of 256 random bits, which needs no slow hash
       created timestamptz NOT NULL DEFAULT now()
     )`,

    // Files. An account owns what it has uploaded as a whole: a hash alone gives no access.
    `CREATE TABLE blobs (sha256 text PRIMARY KEY, length int NOT NULL, created timestamptz NOT NULL DEFAULT now())`,
    `CREATE TABLE blob_owners (
       sha256 text NOT NULL REFERENCES blobs,
       owner text NOT NULL REFERENCES accounts,
       used timestamptz NOT NULL DEFAULT now(), -- uploaded or asked for
       PRIMARY KEY (sha256, owner)
     )`,
    `CREATE INDEX blob_owners_owner ON blob_owners (owner)`,
    `CREATE TABLE uploads (
       sha256 text NOT NULL,
       owner text NOT NULL REFERENCES accounts,
       length int NOT NULL,
       received int NOT NULL DEFAULT 0, -- what is on the disk for certain
       writer text, -- the request that writes; an older one's bytes do not count
       updated timestamptz NOT NULL DEFAULT now(),
       PRIMARY KEY (owner, sha256)
     )`,

    `CREATE TABLE models (name text PRIMARY KEY, creator text NOT NULL REFERENCES accounts, created timestamptz NOT NULL DEFAULT now())`,
    `CREATE TABLE versions (
       version text PRIMARY KEY, -- the content's hash, so that other content cannot have the same
       sequence bigint GENERATED ALWAYS AS IDENTITY,
       model text NOT NULL REFERENCES models,
       manifest text NOT NULL,
       published timestamptz NOT NULL DEFAULT now()
     )`,
    `CREATE INDEX versions_model ON versions (model, sequence)`,
    `CREATE TABLE version_blobs (
       version text NOT NULL REFERENCES versions,
       sha256 text NOT NULL REFERENCES blobs,
       kind text NOT NULL, -- head, picture
       PRIMARY KEY (version, sha256, kind)
     )`,
    `CREATE INDEX version_blobs_sha256 ON version_blobs (sha256)`,

    `CREATE TABLE jobs (
       id text PRIMARY KEY,
       owner text NOT NULL REFERENCES accounts,
       idempotency_key text NOT NULL,
       request text NOT NULL, -- as it came, to tell a repetition from another request
       model text NOT NULL REFERENCES models,
       version text NOT NULL REFERENCES versions,
       creator text NOT NULL REFERENCES accounts,
       enclave_key text NOT NULL,
       enclave text REFERENCES accounts, -- who claimed it last
       encrypted text,
       features text,
       answer text,
       state text NOT NULL,
       attempts int NOT NULL DEFAULT 0,
       lease text,
       lease_until timestamptz,
       failure_code text,
       failure_message text,
       created timestamptz NOT NULL DEFAULT now(),
       changed timestamptz NOT NULL DEFAULT now(),
       purged boolean NOT NULL DEFAULT false,
       UNIQUE (owner, idempotency_key)
     )`,
    `CREATE INDEX jobs_owner ON jobs (owner, created)`,
    `CREATE INDEX jobs_queued ON jobs (enclave_key, changed) WHERE state = 'queued'`,
    `CREATE INDEX jobs_featured ON jobs (creator, changed) WHERE state = 'featured'`,
    `CREATE INDEX jobs_open ON jobs (changed) WHERE state NOT IN ('answered', 'failed', 'cancelled')`,
    `CREATE INDEX jobs_finished ON jobs (changed) WHERE state IN ('answered', 'failed', 'cancelled') AND NOT purged`,
    `CREATE TABLE transitions (
       sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
       job text NOT NULL REFERENCES jobs,
       state text NOT NULL,
       at timestamptz NOT NULL DEFAULT now(),
       by text NOT NULL,
       note text,
       lease text -- under which a worker made it, to know a repetition
     )`,
    `CREATE INDEX transitions_job ON transitions (job, sequence)`,
    `CREATE TABLE job_blobs (
       job text NOT NULL REFERENCES jobs,
       kind text NOT NULL, -- keys, input, encrypted, features, answer
       sha256 text NOT NULL,
       supplier text NOT NULL REFERENCES accounts, -- the party that must own it
       PRIMARY KEY (job, kind)
     )`,
    `CREATE INDEX job_blobs_sha256 ON job_blobs (sha256, supplier)`,

    `CREATE TABLE enclaves (
       key text NOT NULL,
       account text NOT NULL REFERENCES accounts,
       attestation text,
       seen timestamptz NOT NULL DEFAULT now(),
       PRIMARY KEY (key, account)
     )`,
    `CREATE INDEX enclaves_seen ON enclaves (seen)`,
  ],
];

/**
 * Brings a database to this version's tables; one of several hubs that start together does it, the others wait.
 * @throws UnseenError CONFLICT for a database of a newer hub
 */
export async function migrate(database: Database): Promise<void> {
  await database.transaction(async (queries) => {
    await queries.query("SELECT pg_advisory_xact_lock($1::bigint)", [LOCK]);
    await queries.query("CREATE TABLE IF NOT EXISTS migrations (number int PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())");
    const done = (await queries.query<{ number: number }>("SELECT number FROM migrations ORDER BY number")).length;
    if (done > MIGRATIONS.length)
      throw new UnseenError("CONFLICT", `the database has ${done} migrations, this hub knows ${MIGRATIONS.length}.`, {
        hint: "A newer hub has used it: run that one.",
      });
    for (const [index, statements] of MIGRATIONS.entries()) {
      if (index < done) continue;
      for (const statement of statements) await queries.query(statement);
      await queries.query("INSERT INTO migrations (number) VALUES ($1)", [index + 1]);
    }
  });
}
