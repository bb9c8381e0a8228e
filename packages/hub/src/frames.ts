/**
 * Several byte strings as one: what a sealed message holds. Little-endian count, lengths, then the bytes.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";

/** Byte strings of one message (CWE-770): a picture of 64 channels under a 7x7 kernel. */
const MAXIMUM_FRAMES = 4096;

/** Joins byte strings. */
export function joinFrames(frames: readonly Uint8Array[]): Uint8Array {
  if (frames.length > MAXIMUM_FRAMES) throw new RangeError(`at most ${MAXIMUM_FRAMES} frames, got ${frames.length}`);
  const header = Buffer.alloc(4 + 4 * frames.length);
  header.writeUInt32LE(frames.length, 0);
  frames.forEach((frame, index) => header.writeUInt32LE(frame.length, 4 + 4 * index));
  return new Uint8Array(Buffer.concat([header, ...frames]));
}

/**
 * The byte strings again, as views.
 *
 * @param count how many there must be; null = any number
 * @throws UnseenError SEALED_INVALID when lengths and bytes do not agree
 */
export function splitFrames(bytes: Uint8Array, count: number | null = null): Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = bytes.length >= 4 ? view.getUint32(0, true) : -1;
  if (found < 0 || found > MAXIMUM_FRAMES || bytes.length < 4 + 4 * found || (count !== null && found !== count)) throw malformed();
  const frames: Uint8Array[] = [];
  let offset = 4 + 4 * found;
  for (let index = 0; index < found; index++) {
    const length = view.getUint32(4 + 4 * index, true);
    if (length > bytes.length - offset) throw malformed();
    frames.push(bytes.subarray(offset, offset + length));
    offset += length;
  }
  if (offset !== bytes.length) throw malformed();
  return frames;
}

function malformed(): UnseenError {
  return new UnseenError("SEALED_INVALID", "a sealed message does not hold what its step of the protocol needs.", {
    hint: "Both sides must run the same version of Unseen.",
  });
}
