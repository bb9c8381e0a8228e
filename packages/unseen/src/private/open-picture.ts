/**
 * The file of a picture, or what comes on standard input: then it need not lie on a disk.
 * @module
 */
import { MAXIMUM_PICTURE_BYTES } from "@unseen/client/pictures/decode.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { readBytes } from "./read-file.ts";

/** Stands for standard input. */
export const STANDARD_INPUT = "-";

/** The bytes of a picture's file. Throws `CHECKPOINT_NOT_FOUND`, `PERMISSION_DENIED`; `REQUEST_TOO_LARGE` for too much on standard input (CWE-770). */
export async function openPicture(file: string): Promise<Uint8Array> {
  if (file !== STANDARD_INPUT) return readBytes(file);
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of process.stdin as AsyncIterable<Uint8Array>) {
    length += part.length;
    if (length > MAXIMUM_PICTURE_BYTES)
      throw new UnseenError("REQUEST_TOO_LARGE", `standard input: expected a picture of at most ${MAXIMUM_PICTURE_BYTES} bytes.`, {
        hint: "Make it smaller.",
      });
    parts.push(part);
  }
  return new Uint8Array(Buffer.concat(parts));
}
