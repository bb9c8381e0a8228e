/**
 * Servers that run until the process is told to end.
 * @module
 */

/** Closes on SIGINT, SIGTERM or SIGHUP, once; resolves when that is done. */
export async function closeOnSignal(close: () => Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => resolve());
  // Workers' polls alone would not keep the process alive for ever.
  const alive = setInterval(() => {}, 2 ** 30);
  await promise;
  clearInterval(alive);
  await close();
}
