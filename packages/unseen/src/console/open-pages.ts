/**
 * The pages, where they were built.
 * @module
 */
import type { Console } from "./console.ts";
import type { OpenConsole } from "./open-console.ts";

/** Opens them; says how to build them where there are none. */
export async function openPages(console: Console): Promise<OpenConsole | null> {
  // Loaded here, because most commands do without.
  const { openConsole } = await import("./open-console.ts");
  const opened = await openConsole(console);
  if (!opened) console.note("There are no pages to serve: they were not built. `npm run build:web` builds them.");
  return opened;
}
