/**
 * Finds the optional folder of real weights and texts beside the repository.
 * Tests that need it skip with a message when it is absent.
 * @module
 */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = process.env["UNSEEN_TEST_DATA"] ?? fileURLToPath(new URL("../../shared/", import.meta.url));

/** The absolute path of `name` in the test-data folder, or null where it is absent. */
export function sharedPath(name: string): string | null {
  const path = `${root}${root.endsWith("/") ? "" : "/"}${name}`;
  return existsSync(path) ? path : null;
}

/** Options for `test()` that skip it with a message when `name` is absent. */
export function needs(name: string): { skip: string | false } {
  return { skip: sharedPath(name) === null && `test data ${name} is not here` };
}
