/**
 * From a file's bytes to pixels. The bytes may come from anyone: a mail's attachment, a scanner, a web form.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import sharp from "sharp";
import type { Picture } from "./resample.ts";

/** Bytes of one file (CWE-770). */
export const MAXIMUM_PICTURE_BYTES = 32 * 1024 * 1024;
/** Pixels of one picture (CWE-409: a small file may claim to be a wall); a phone's camera makes 50 million. */
export const MAXIMUM_PIXELS = 64_000_000;
const DECODING_TIMEOUT = 30; // s

/** How the formats that are read begin. Vector graphics and documents are programs, and may name other files. */
const beginnings: Readonly<Record<string, RegExp>> = {
  // oxlint-disable-next-line no-control-regex -- that is how it begins
  png: /^\x89PNG\r\n\x1a\n/,
  jpeg: /^\xff\xd8\xff/,
  webp: /^RIFF[^]{4}WEBP/,
  gif: /^GIF8[79]a/,
  tiff: /^(?:II\*\0|MM\0\*)/,
};

sharp.concurrency(1);
sharp.cache(false);
// Whatever a file pretends to be, no other decoder is ever tried.
sharp.block({ operation: ["VipsForeignLoad"] });
sharp.unblock({ operation: ["Png", "Jpeg", "Webp", "Nsgif", "Tiff"].map((format) => `VipsForeignLoad${format}Buffer`) });

/**
 * The first frame of a PNG, JPEG, WebP, GIF or TIFF file as 8-bit RGB, upright, without transparency; colour profiles are ignored,
 * as Pillow ignores them.
 *
 * @throws UnseenError REQUEST_INVALID for anything else and for damaged files, REQUEST_TOO_LARGE.
 */
export async function decodePicture(bytes: Uint8Array): Promise<Picture> {
  if (bytes.length > MAXIMUM_PICTURE_BYTES) throw tooLarge(`at most ${MAXIMUM_PICTURE_BYTES} bytes`, `${bytes.length}`);
  const beginning = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 16)).toString("latin1");
  if (!Object.values(beginnings).some((pattern) => pattern.test(beginning)))
    throw unreadable("expected PNG, JPEG, WebP, GIF or TIFF, got something else");
  try {
    const source = sharp(bytes, { limitInputPixels: MAXIMUM_PIXELS, failOn: "error", ignoreIcc: true });
    const { width, height } = await source.metadata();
    if (width * height > MAXIMUM_PIXELS) throw tooLarge(`at most ${MAXIMUM_PIXELS} pixels`, `${width * height}`);
    const upright = source.timeout({ seconds: DECODING_TIMEOUT }).autoOrient().removeAlpha().toColourspace("srgb");
    const { data, info } = await upright.raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
    if (info.channels !== 3) throw unreadable("expected colours or greys, got something else");
    return { width: info.width, height: info.height, channels: 3, pixels: data };
  } catch (cause) {
    if (UnseenError.isInstance(cause)) throw cause;
    if (cause instanceof Error && /pixel limit/i.test(cause.message)) throw tooLarge(`at most ${MAXIMUM_PIXELS} pixels`, "more");
    throw unreadable("the file is damaged", cause);
  }
}

function unreadable(what: string, cause?: unknown): UnseenError {
  return new UnseenError("REQUEST_INVALID", `image: ${what}.`, { hint: "Convert it to PNG or JPEG.", cause });
}

function tooLarge(expected: string, got: string): UnseenError {
  return new UnseenError("REQUEST_TOO_LARGE", `image: expected ${expected}, got ${got}.`, { hint: "Make the picture smaller." });
}
