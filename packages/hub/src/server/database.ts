/**
 * What the hub needs of a database: PostgreSQL's SQL with parameters, whoever runs it. The same statements go to the embedded engine
 * (`pglite.ts`) and to a server (`postgres.ts`).
 * @module
 */

/** Runs single statements. */
export interface Queries {
  /** Rows of one statement; `$1` and on stand for the values. Numbers must be cast to `int` or `float8`, other types come as text. */
  query<Row extends object>(statement: string, values?: readonly unknown[]): Promise<Row[]>;
}

/** A database that is open. */
export interface Database extends Queries {
  /** Statements that happen together or not at all; inside, `queries` alone may be used. */
  transaction<Result>(body: (queries: Queries) => Promise<Result>): Promise<Result>;
  close(): Promise<void>;
}

/** SQLSTATE of an error, by PostgreSQL's appendix A; undefined for errors that are not the database's. */
export function sqlState(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

/** The one row that a statement must give. */
export function only<Row>(rows: readonly Row[]): Row {
  const [row] = rows;
  if (row === undefined || rows.length > 1) throw new Error(`expected one row, got ${rows.length}`);
  return row;
}
