/**
 * Reads a checkpoint front to back, somewhat ahead of the workers. They gather permuted rows, a few
 * kilobytes here and there; a disk that has to seek for each is several times slower than one that streams.
 * @module
 */
import { open } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

const PIECE_BYTES = 8 << 20;
/** How far ahead of the workers reading may run: enough for the largest tensors, little beside the memory of any machine. */
const AHEAD_BYTES = 1 << 30;
/** A piece that comes faster than this (bytes per millisecond) was in memory already. */
const CACHED_SPEED = 1_500_000;
/** After a piece that was in memory, this many are taken to be there too. */
const TRUSTED_PIECES = 7;
const WAIT_MILLISECONDS = 10;

/**
 * Reads until the end of the files or until `signal` fires. Only a head start: a file that cannot be read shows itself to the workers.
 *
 * @param consumed how many bytes of all files, in order, the workers have taken so far; an estimate will do
 */
export async function readAhead(files: readonly string[], consumed: () => number, signal: AbortSignal): Promise<void> {
  const piece = new Uint8Array(PIECE_BYTES);
  let before = 0;
  for (const file of files) {
    const handle = await open(file).catch(() => null);
    if (!handle) return;
    try {
      const { size } = await handle.stat();
      for (let position = 0; position < size;) {
        while (before + position - consumed() > AHEAD_BYTES) {
          if (signal.aborted) return;
          await sleep(WAIT_MILLISECONDS);
        }
        if (signal.aborted) return;
        const started = performance.now();
        const { bytesRead } = await handle.read(piece, 0, PIECE_BYTES, position);
        if (bytesRead === 0) break;
        const isCached = bytesRead / (performance.now() - started) > CACHED_SPEED;
        position += bytesRead + (isCached ? TRUSTED_PIECES * PIECE_BYTES : 0);
      }
      before += size;
    } catch {
      return;
    } finally {
      await handle.close();
    }
  }
}
