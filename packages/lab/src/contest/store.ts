/**
 * Participants and submissions, in an SQLite database: what was answered with success is on the disk.
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { closeSync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { explainSystemError, UnseenError } from "@unseen/core/errors.ts";
import type { Tally } from "./scoring.ts";

/** The form of the tables; a database of another is refused. */
const SCHEMA_VERSION = 1;
/** SQLite's mark of whose file it is: "UNSC". */
const APPLICATION_ID = 0x55_4e_53_43;
/** How long a write waits for that of another process. */
const BUSY_MILLISECONDS = 5000;
/** Names go into pages and terminals. */
const NAME = /^[\p{L}\p{N}](?:[\p{L}\p{N} ._-]{0,62}[\p{L}\p{N}])?$/u;

const SCHEMA = `
  CREATE TABLE participant (
    name TEXT NOT NULL PRIMARY KEY,
    token BLOB NOT NULL UNIQUE -- SHA-256
  ) STRICT;
  CREATE TABLE submission (
    sequence INTEGER PRIMARY KEY,
    contest TEXT NOT NULL,
    participant TEXT NOT NULL REFERENCES participant (name),
    submitted INTEGER NOT NULL, -- milliseconds since 1970
    score INTEGER NOT NULL,
    tokens TEXT NOT NULL, -- JSON, so that it can be scored again
    UNIQUE (contest, participant)
  ) STRICT;
  CREATE INDEX ranking ON submission (contest, score DESC, submitted, sequence);
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

/** A line of the leaderboard. */
export interface Standing {
  readonly rank: number;
  readonly participant: string;
  readonly score: number;
  /** ISO 8601, UTC. */
  readonly submitted: string;
}

/** What is kept of a submission. */
export interface Entry {
  /** Id of the contest. */
  readonly contest: string;
  readonly participant: string;
  readonly tokens: ReadonlyMap<number, string>;
  readonly score: Tally["score"];
  /** Milliseconds since 1970. */
  readonly submitted: number;
}

/** The database of one contest, or of a series with the same participants. Every method throws `DISK_FULL`, `OVERLOADED`, `PERMISSION_DENIED`. */
export class ContestStore {
  readonly #database: DatabaseSync;
  readonly #path: string;

  /** Opens or makes a database, readable by its owner alone. Throws also `CHECKPOINT_MALFORMED` for a file that is something else. */
  constructor(path: string) {
    this.#path = path;
    try {
      // SQLite gives its helper files the mode of this one.
      closeSync(openSync(path, "a", 0o600));
    } catch (error) {
      throw explainSystemError(error, path);
    }
    const database = this.#guard(() => new DatabaseSync(path, { timeout: BUSY_MILLISECONDS }));
    this.#database = database;
    try {
      this.#guard(() => {
        // In this mode with full synchronisation a commit is on the disk before it returns.
        database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
        this.#prepare();
      });
    } catch (error) {
      database.close();
      throw error;
    }
  }

  close(): void {
    this.#database.close();
  }

  /**
   * Registers a participant.
   *
   * @param replace gives one who is registered already another token, and ends the old one
   * @returns the token, of which a hash alone is kept
   * @throws UnseenError USAGE for a name that is taken or unfit
   */
  invite(name: string, replace: boolean): string {
    if (!NAME.test(name))
      throw new UnseenError("USAGE", "participant: expected up to 64 letters, digits, spaces, dots and hyphens, got something else.", {
        hint: "Choose a name such as Ada or team-7.",
      });
    const token = randomBytes(32).toString("base64url");
    const conflict = replace ? "UPDATE SET token = excluded.token" : "NOTHING";
    const insert = `INSERT INTO participant (name, token) VALUES (?, ?) ON CONFLICT (name) DO ${conflict}`;
    if (this.#guard(() => this.#database.prepare(insert).run(name, digest(token))).changes === 1) return token;
    throw new UnseenError("USAGE", `participant: expected a new name, got ${name}, who has a token.`, {
      hint: "With --replace the participant gets another one, and the old one ends.",
    });
  }

  /** The participant who holds a token, or null. */
  participantOf(token: string): string | null {
    const row = this.#guard(() => this.#database.prepare("SELECT name FROM participant WHERE token = ?").get(digest(token)));
    return row ? String(row["name"]) : null;
  }

  /**
   * Keeps a participant's first submission to a contest.
   *
   * @returns its standing, and whether it is new: the same submission again, as after a lost answer, is no second one
   * @throws UnseenError REQUEST_UNSUPPORTED for a second one
   */
  submit({ contest, participant, tokens, score, submitted }: Entry): { standing: Standing; isNew: boolean } {
    const text = JSON.stringify(Object.fromEntries(tokens));
    return this.#guard(() => {
      const insert = `INSERT INTO submission (contest, participant, submitted, score, tokens) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (contest, participant) DO NOTHING`;
      const isNew = this.#database.prepare(insert).run(contest, participant, submitted, score, text).changes === 1;
      const kept = "SELECT sequence, submitted, score, tokens FROM submission WHERE contest = ? AND participant = ?";
      const row = this.#database.prepare(kept).get(contest, participant) as unknown as Row & { readonly tokens: string };
      if (!isNew && row.tokens !== text)
        throw new UnseenError("REQUEST_UNSUPPORTED", "submission: expected one for each participant, got a second one.", {
          hint: "The first one counts; the leaderboard shows it.",
        });
      const before = `SELECT count(*) AS before FROM submission WHERE contest = ? AND
        (score > ? OR (score = ? AND (submitted, sequence) < (?, ?)))`;
      const counted = this.#database.prepare(before).get(contest, row.score, row.score, row.submitted, row.sequence);
      return { standing: standing(Number(counted?.["before"]) + 1, { ...row, participant }), isNew };
    });
  }

  /** The best of a contest: by score, then by time. */
  leaderboard(contest: string, limit: number): Standing[] {
    const select = `SELECT participant, score, submitted, sequence FROM submission WHERE contest = ?
      ORDER BY score DESC, submitted, sequence LIMIT ?`;
    const rows = this.#guard(() => this.#database.prepare(select).all(contest, limit)) as unknown as (Row & { participant: string })[];
    return rows.map((row, index) => standing(index + 1, row));
  }

  /** Makes the tables of a new database; of two processes that start together one does. */
  #prepare(): void {
    const read = (name: string): number => Number(Object.values(this.#database.prepare(`PRAGMA ${name}`).get() ?? {})[0]);
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      const tables = Number(this.#database.prepare("SELECT count(*) AS tables FROM sqlite_schema").get()?.["tables"]);
      if (tables === 0) this.#database.exec(SCHEMA);
      if (read("application_id") !== APPLICATION_ID) throw foreign(this.#path, "a database of another program");
      if (read("user_version") !== SCHEMA_VERSION) throw foreign(this.#path, `version ${read("user_version")}`);
      this.#database.exec("COMMIT");
    } catch (error) {
      this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw explainDatabaseError(error, this.#path);
    }
  }
}

interface Row {
  readonly sequence: number;
  readonly submitted: number;
  readonly score: number;
}

function standing(rank: number, { participant, score, submitted }: Row & { readonly participant: string }): Standing {
  return { rank, participant, score, submitted: new Date(submitted).toISOString() };
}

/** Tokens are random and long: a fast hash is enough, and looking it up says nothing about the token. */
function digest(token: string): Uint8Array {
  return createHash("sha256").update(token).digest();
}

function foreign(path: string, got: string): UnseenError {
  return new UnseenError("CHECKPOINT_MALFORMED", `${path}: expected a contest's database of version ${SCHEMA_VERSION}, got ${got}.`, {
    hint: "Choose another file; a new one is made where there is none.",
  });
}

/** Gives SQLite's errors their Unseen code. Result codes: sqlite.org/rescode.html, of which the low byte is the kind. */
function explainDatabaseError(error: unknown, path: string): unknown {
  const code = (error as { readonly errcode?: unknown } | null)?.errcode;
  switch (typeof code === "number" ? code & 0xff : null) {
    case 5: // busy
      return new UnseenError("OVERLOADED", `${path} is locked by another process.`, { hint: "Try again in a moment.", cause: error });
    case 8: // read-only
    case 14: // cannot open
      return new UnseenError("PERMISSION_DENIED", `no permission for ${path}.`, { hint: "Check its owner and mode.", cause: error });
    case 11: // corrupt
    case 26: // not a database
      return foreign(path, "something else");
    case 13:
      return new UnseenError("DISK_FULL", `no space left while writing ${path}.`, { hint: "Free some space.", cause: error });
    default:
      return error;
  }
}
