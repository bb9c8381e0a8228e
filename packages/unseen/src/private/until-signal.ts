/**
 * What happens when the process is told to end: servers close, and work stops in order.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";

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

/**
 * Does work that SIGINT or SIGTERM aborts. Afterwards signals end the process as usual.
 * @param hint what became of it, for the error USAGE that the signal's reason is
 */
export async function interruptible<T>(hint: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const stop = (name: NodeJS.Signals): void => controller.abort(new UnseenError("USAGE", `stopped by ${name}.`, { hint }));
  process.once("SIGINT", stop).once("SIGTERM", stop);
  try {
    return await work(controller.signal);
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
  }
}
