/**
 * Servers that run until the process is told to end.
 * @module
 */

/** Resolves on SIGINT or SIGTERM; a second SIGINT ends the process at once. */
export async function untilStopped(): Promise<void> {
  // A worker that waits for its hub has nothing open that would keep the process alive.
  const alive = setInterval(() => {}, 2 ** 30);
  await new Promise<void>((resolve) => {
    for (const name of ["SIGINT", "SIGTERM"]) process.once(name, () => resolve());
  });
  clearInterval(alive);
  process.once("SIGINT", () => process.exit(130));
}

/** Closes when the process is told to end. */
export async function closeOnSignal(close: () => Promise<void>): Promise<void> {
  await untilStopped();
  await close();
}
