/**
 * What every engine process does, whatever it computes: it lives as long as its server, and only the server ends it.
 * @module
 */

/**
 * Makes this process the engine of the one that started it.
 * @param receive gets each command, and a function that reports back
 */
export function serveParent<Command, Report extends object>(receive: (command: Command, report: (report: Report) => void) => void): void {
  const report = (message: Report): void => {
    if (process.connected) process.send!(message);
  };
  // Without its server the engine has no purpose; nothing here needs saving, and native threads would delay a polite exit.
  const end = (): boolean => process.kill(process.pid, "SIGKILL");
  process.on("disconnect", end);
  if (!process.connected) end(); // the server died while this module was being loaded
  // A terminal's Ctrl-C reaches the whole group: the server decides when its engine ends, so that answers can finish.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => {});
  process.on("message", (command: Command) => receive(command, report));
}
