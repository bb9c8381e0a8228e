/**
 * The size of the kernels' memory. It never grows, so that views of it stay valid.
 * @module
 */

/** Bytes of kernel memory per thread: room for two panels of 8 vectors of length 262144, far beyond any hidden size. */
export const arenaBytes = 64 * 2 ** 20;

/** The first byte of kernel memory that panels may use; offset 0 stays free because the kernels read it as "absent". */
export const arenaStart = 1024;
