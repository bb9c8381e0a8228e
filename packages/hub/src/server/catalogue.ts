/**
 * Models and their versions. A version is named by its content's hash and never changes; a name belongs to whoever published it first.
 * @module
 */
import { versionOf, type modelSchema, type ModelManifest } from "../protocol.ts";
import type { Account } from "./accounts.ts";
import { requireOwned } from "./blob-owners.ts";
import type { Database, Queries } from "./database.ts";
import { Refusal } from "./refusal.ts";
import type { HubSettings } from "./settings.ts";
import type { z } from "zod";

/** A model as `GET /v1/models` shows it. */
export type ListedModel = z.infer<typeof modelSchema>;

/** A version and who published it. */
export interface PublishedVersion {
  readonly version: string;
  readonly creator: string;
  readonly manifest: ModelManifest;
}

/** The models of one hub. */
export class Catalogue {
  readonly #database: Database;
  readonly #settings: HubSettings;

  constructor(database: Database, settings: HubSettings) {
    this.#database = database;
    this.#settings = settings;
  }

  /**
   * Publishes a version; whether it is new. Again with the same content changes nothing.
   * @throws UnseenError CONFLICT for a name of another creator, REQUEST_INVALID for blobs that are not there, QUOTA_EXCEEDED
   */
  async publish(manifest: ModelManifest, creator: Account): Promise<{ version: string; isNew: boolean }> {
    const version = versionOf(manifest);
    const heads = manifest.cuts.map(({ head }) => head);
    const pictures = manifest.leaks.flatMap((leak) => leak.pictures ?? []);
    // Everybody may read pictures.
    const both = heads.find((head) => pictures.includes(head));
    if (both !== undefined) throw new Refusal("REQUEST_INVALID", `leaks: expected pictures, got the head ${both}.`);
    return this.#database.transaction(async (queries) => {
      await queries.query("SELECT 1 FROM accounts WHERE name = $1 FOR NO KEY UPDATE", [creator.name]);
      await queries.query("INSERT INTO models (name, creator) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING", [
        manifest.name,
        creator.name,
      ]);
      const owned = await queries.query("SELECT 1 FROM models WHERE name = $1 AND creator = $2", [manifest.name, creator.name]);
      if (owned.length === 0)
        throw new Refusal("CONFLICT", `name: "${manifest.name}" is another creator's model.`, { hint: "Choose another name." });
      const known = await queries.query("SELECT 1 FROM versions WHERE version = $1", [version]);
      if (known.length > 0) return { version, isNew: false };
      await this.#requireRoom(queries, creator.name);
      await requireOwned(queries, creator.name, [...heads, ...pictures]);
      await queries.query("INSERT INTO versions (version, model, manifest) VALUES ($1, $2, $3)", [
        version,
        manifest.name,
        JSON.stringify(manifest),
      ]);
      for (const [kind, blobs] of Object.entries({ head: heads, picture: pictures }))
        for (const sha256 of new Set(blobs))
          await queries.query("INSERT INTO version_blobs (version, sha256, kind) VALUES ($1, $2, $3)", [version, sha256, kind]);
      return { version, isNew: true };
    });
  }

  async #requireRoom(queries: Queries, creator: string): Promise<void> {
    const [row] = await queries.query<{ count: number }>(
      "SELECT count(*)::int AS count FROM versions JOIN models ON models.name = versions.model WHERE creator = $1",
      [creator],
    );
    if (row!.count >= this.#settings.versions)
      throw new Refusal("QUOTA_EXCEEDED", `versions: expected at most ${this.#settings.versions} of one creator.`, {
        hint: "Ask who runs the hub.",
        headers: { "retry-after": "3600" },
      });
  }

  /** All models by name, or the one of that name; versions newest first. */
  async list(name: string | null = null): Promise<ListedModel[]> {
    const rows = await this.#database.query<{ name: string; creator: string; version: string; published: Date }>(
      `SELECT name, creator, version, published FROM models JOIN versions ON versions.model = models.name
       WHERE $1::text IS NULL OR name = $1 ORDER BY name, sequence DESC`,
      [name],
    );
    const models = new Map<string, ListedModel>();
    for (const row of rows) {
      const model = models.get(row.name) ?? { name: row.name, creator: row.creator, versions: [] };
      model.versions.push({ version: row.version, published: row.published.toISOString() });
      models.set(row.name, model);
    }
    return [...models.values()];
  }

  /** One model. @throws UnseenError MODEL_NOT_FOUND */
  async model(name: string): Promise<ListedModel> {
    const [model] = await this.list(name);
    if (!model) throw missing();
    return model;
  }

  /** One version, of any model where no name is given. @throws UnseenError MODEL_NOT_FOUND */
  async version(version: string, name: string | null = null): Promise<PublishedVersion> {
    const [row] = await this.#database.query<{ creator: string; manifest: string }>(
      "SELECT creator, manifest FROM versions JOIN models ON models.name = versions.model WHERE version = $1 AND ($2::text IS NULL OR name = $2)",
      [version, name],
    );
    if (!row) throw missing();
    return { version, creator: row.creator, manifest: JSON.parse(row.manifest) as ModelManifest };
  }
}

function missing(): Refusal {
  return new Refusal("MODEL_NOT_FOUND", "no such model or version is published here.", { hint: "GET /v1/models lists them." });
}
