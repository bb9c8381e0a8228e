/**
 * A PostgreSQL server as the hub's database. Several hubs may share one, with one data directory for the blobs.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { Pool, type PoolClient } from "pg";
import { sqlState, type Database, type Queries } from "./database.ts";

const MAXIMUM_CONNECTIONS = 10;
const CONNECT_MILLISECONDS = 5_000;
/** No statement of ours takes long; one that hangs must not hold a connection for ever (CWE-400). */
const STATEMENT_MILLISECONDS = 30_000;
/** Two transactions in each other's way: PostgreSQL stops one, which begins anew. */
const RETRIED = new Set(["40001", "40P01"]);
const ATTEMPTS = 4;

/**
 * Connects to a server.
 * @param url `postgres://user:password@host/database`
 * @param log gets a line when a connection breaks, without the address
 * @throws UnseenError HOST_UNREACHABLE, USAGE for an address that is none
 */
export async function openPostgres(url: string, log: (line: string) => void): Promise<Database> {
  if (!/^postgres(?:ql)?:\/\//.test(url))
    throw new UnseenError("USAGE", "DATABASE_URL: expected an address that starts with postgres://.", {
      hint: "Write postgres://USER:PASSWORD@HOST/DATABASE, or leave it out for the embedded database.",
    });
  const pool = new Pool({
    connectionString: url,
    max: MAXIMUM_CONNECTIONS,
    connectionTimeoutMillis: CONNECT_MILLISECONDS,
    statement_timeout: STATEMENT_MILLISECONDS,
    idle_in_transaction_session_timeout: STATEMENT_MILLISECONDS,
    application_name: "unseen-hub",
  });
  // An idle connection that breaks would otherwise end the process.
  pool.on("error", (error) => log(`database connection lost (${sqlState(error) ?? error.name})`));
  const queriesOf = (source: Pool | PoolClient): Queries => ({
    async query<Row extends object>(statement: string, values: readonly unknown[] = []) {
      return (await source.query<Row>(statement, [...values]).catch(explain)).rows;
    },
  });
  await pool.query("SELECT 1").catch(async (error: unknown) => {
    await pool.end();
    throw new UnseenError("HOST_UNREACHABLE", "the PostgreSQL server of DATABASE_URL does not answer or refuses.", {
      hint: "Check the address, the password and that the database exists.",
      cause: error,
    });
  });
  return {
    ...queriesOf(pool),
    async transaction(body) {
      for (let attempt = 1; ; attempt++) {
        const client = await pool.connect().catch(explain);
        // A connection that breaks within a transaction says so here too.
        const ignore = (): void => {};
        client.on("error", ignore);
        let broken = false;
        try {
          await client.query("BEGIN").catch(explain);
          const result = await body(queriesOf(client));
          await client.query("COMMIT").catch(explain);
          return result;
        } catch (error) {
          await client.query("ROLLBACK").catch(() => (broken = true));
          if (attempt === ATTEMPTS || !RETRIED.has(sqlState(error) ?? "")) throw error;
        } finally {
          client.off("error", ignore);
          client.release(broken);
        }
      }
    },
    close: () => pool.end(),
  };
}

/** What PostgreSQL says has an SQLSTATE; all else is a connection that cannot be had or broke. */
function explain(error: unknown): never {
  if (sqlState(error) !== undefined) throw error;
  throw new UnseenError("OVERLOADED", "the hub's database does not answer.", { hint: "Try again in a moment.", cause: error });
}
