/**
 * Which enclaves ask for work, by what they say of themselves: a user trusts none of it, but verifies evidence.
 * @module
 */
import type { Database } from "./database.ts";

/** How long an enclave that does not ask any more is listed. */
const SEEN_SECONDS = 120;
/** How often the same key is written down: enclaves ask all the time. */
const WRITE_SECONDS = 10;

/** How long it is remembered whether one is a simulator. */
const SIMULATOR_SECONDS = 2;

/** An enclave as `GET /v1/enclaves` shows it. */
export interface SeenEnclave {
  /** HPKE public key, base64. */
  readonly key: string;
  /** "simulator" protects nothing; null where the enclave did not say. */
  readonly attestation: string | null;
  readonly account: string;
  /** ISO 8601. */
  readonly seen: string;
}

/** The enclaves of one hub. */
export class Enclaves {
  readonly #database: Database;
  #simulator: { readonly known: Promise<boolean>; readonly until: number } | null = null;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Notes that an enclave asked for work. */
  async see(account: string, keys: readonly string[], attestation: string | null): Promise<void> {
    for (const key of keys)
      await this.#database.query(
        `INSERT INTO enclaves (key, account, attestation) VALUES ($1, $2, $3)
         ON CONFLICT (key, account) DO UPDATE SET seen = now(), attestation = EXCLUDED.attestation
         WHERE enclaves.seen < now() - make_interval(secs => ${WRITE_SECONDS}) OR enclaves.attestation IS DISTINCT FROM EXCLUDED.attestation`,
        [key, account, attestation],
      );
  }

  /** Those that asked lately, the latest first. */
  async list(): Promise<SeenEnclave[]> {
    const rows = await this.#database.query<Omit<SeenEnclave, "seen"> & { seen: Date }>(
      `SELECT key, attestation, account, seen FROM enclaves WHERE seen > now() - make_interval(secs => ${SEEN_SECONDS})
       ORDER BY seen DESC LIMIT 1000`,
    );
    return rows.map((row) => ({ ...row, seen: row.seen.toISOString() }));
  }

  /** Whether one of them is a simulator, which every answer of the hub then says. Looked up every few seconds. */
  hasSimulator(): Promise<boolean> {
    const now = performance.now();
    if (this.#simulator === null || this.#simulator.until < now) {
      const known = this.list().then(
        (enclaves) => enclaves.some(({ attestation }) => attestation === "simulator"),
        () => false,
      );
      this.#simulator = { known, until: now + SIMULATOR_SECONDS * 1000 };
    }
    return this.#simulator.known;
  }

  /** Forgets keys of enclaves that are gone: a machine that is set up anew has another. */
  async sweep(): Promise<void> {
    await this.#database.query("DELETE FROM enclaves WHERE seen < now() - interval '1 day'");
  }
}
