/**
 * What must be seen wherever the simulator stands in for hardware.
 * @module
 */

/** The one sentence that every use of simulator mode shows. */
export const SIMULATOR_WARNING =
  "SIMULATOR: not trusted hardware; nothing is protected from whoever runs this machine. For tests and demonstrations alone.";
