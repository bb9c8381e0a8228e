/**
 * Numbers for whoever runs the hub, in Prometheus' text format: how much, never what or whose.
 * Source: prometheus.io, "Exposition formats", text format 0.0.4.
 * @module
 */
import { states } from "../protocol.ts";
import type { Database } from "./database.ts";

/** Counters of this process, and sums over the database. */
export class Metrics {
  readonly #database: Database;
  readonly #requests = new Map<string, number>();

  constructor(database: Database) {
    this.#database = database;
  }

  /** Counts an answered request by the route's pattern. */
  count(method: string, route: string, status: number): void {
    const labels = `method="${method}",route="${route}",status="${status}"`;
    this.#requests.set(labels, (this.#requests.get(labels) ?? 0) + 1);
  }

  /** The page that Prometheus reads. */
  async render(): Promise<string> {
    const rows = await this.#database.query<{ state: string; count: number }>(
      "SELECT state, count(*)::int AS count FROM jobs GROUP BY state",
    );
    const [stored] = await this.#database.query<{ bytes: number; blobs: number; uploads: number }>(
      `SELECT coalesce(sum(length), 0)::float8 AS bytes, count(*)::int AS blobs, (SELECT count(*) FROM uploads)::int AS uploads FROM blobs`,
    );
    const jobs = new Map(rows.map(({ state, count }) => [state, count]));
    return [
      "# TYPE unseen_hub_jobs gauge",
      ...states.map((state) => `unseen_hub_jobs{state="${state}"} ${jobs.get(state) ?? 0}`),
      "# TYPE unseen_hub_blobs gauge",
      `unseen_hub_blobs ${stored!.blobs}`,
      "# TYPE unseen_hub_blob_bytes gauge",
      `unseen_hub_blob_bytes ${stored!.bytes}`,
      "# TYPE unseen_hub_uploads gauge",
      `unseen_hub_uploads ${stored!.uploads}`,
      "# TYPE unseen_hub_requests_total counter",
      ...[...this.#requests].map(([labels, count]) => `unseen_hub_requests_total{${labels}} ${count}`),
      "",
    ].join("\n");
  }
}
