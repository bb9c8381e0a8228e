/**
 * Accounts: a name, a role, and a key of which the hub keeps the hash alone.
 * @module
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Role } from "../protocol.ts";
import type { Database } from "./database.ts";
import { Refusal } from "./refusal.ts";

/** Who asks. */
export interface Account {
  readonly name: string;
  readonly role: Role;
}

/** Every key looks like this: 256 random bits. Others need no look into the database. */
const KEY = /^unseen_[A-Za-z0-9_-]{43}$/;

/** A new API key. */
export function createKey(): string {
  return `unseen_${randomBytes(32).toString("base64url")}`;
}

/** The key of `Authorization: Bearer KEY`; null where there is none of our form. */
export function presentedKey(authorization: string | undefined): string | null {
  const key = /^Bearer +(\S{1,100})$/i.exec(authorization ?? "")?.[1] ?? "";
  return KEY.test(key) ? key : null;
}

/** Compares digests, so that the time it takes tells nothing (CWE-208). */
export function isSameKey(left: string, right: string): boolean {
  return timingSafeEqual(createHash("sha256").update(left).digest(), createHash("sha256").update(right).digest());
}

/** The accounts of one hub. */
export class Accounts {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Makes an account; its key, which is shown this once. @throws UnseenError CONFLICT where the name is taken */
  async create({ name, role }: Account): Promise<string> {
    const key = createKey();
    const rows = await this.#database.query(
      "INSERT INTO accounts (name, role, key_hash) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING RETURNING name",
      [name, role, hashOf(key)],
    );
    if (rows.length === 0)
      throw new Refusal("CONFLICT", `name: expected one that no account has, got "${name}".`, { hint: "Choose another name." });
    return key;
  }

  /** Whose key it is; null where it is nobody's. */
  async find(key: string): Promise<Account | null> {
    const [row] = await this.#database.query<Account>("SELECT name, role FROM accounts WHERE key_hash = $1", [hashOf(key)]);
    return row ?? null;
  }
}

function hashOf(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}
