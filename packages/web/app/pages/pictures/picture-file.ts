/**
 * The picture that one has chosen: it stays in the memory of this page until it is sent.
 * @module
 */
import { signal } from "@preact/signals";
import { byteSize } from "../../parts/numbers.ts";

/** Of a file: the console takes no more (CWE-770). */
export const MAXIMUM_BYTES = 10_000_000;
/** Of a picture: a small file may claim to be a wall (CWE-409). */
const MAXIMUM_PIXELS = 64_000_000;

export interface Picture {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly width: number;
  readonly height: number;
  /** A blob's address, for the preview. */
  readonly address: string;
}

/** null: none yet. */
export const picture = signal<Picture | null>(null);

/** Shows another picture, or none. */
export function choosePicture(chosen: Picture | null): void {
  if (picture.value) URL.revokeObjectURL(picture.value.address);
  picture.value = chosen;
}

/** Reads and checks a file. @throws Error with one line for a person */
export async function readPicture(file: Blob, name: string): Promise<Picture> {
  if (file.size > MAXIMUM_BYTES)
    throw new Error(`This file has ${byteSize(file.size)}; ${byteSize(MAXIMUM_BYTES)} is the most. Make the picture smaller.`);
  const bytes = new Uint8Array(await file.arrayBuffer());
  const type = typeOf(bytes);
  if (!type) throw new Error("This is no PNG, JPEG or WebP picture. Convert it to one of them.");
  const blob = new Blob([bytes], { type });
  const decoded = await createImageBitmap(blob).catch(() => null);
  if (!decoded) throw new Error("This picture is damaged: the browser cannot read it. Choose another one.");
  const { width, height } = decoded;
  decoded.close();
  if (width * height > MAXIMUM_PIXELS) throw new Error(`This picture has ${width} x ${height} pixels, too many. Make it smaller.`);
  return { name, bytes, width, height, address: URL.createObjectURL(blob) };
}

/** By how it begins, whatever its name says. */
export function typeOf(bytes: Uint8Array): string | null {
  const beginning = String.fromCharCode(...bytes.subarray(0, 12));
  if (beginning.startsWith("\u0089PNG\r\n\u001a\n")) return "image/png";
  if (beginning.startsWith("\u00ff\u00d8\u00ff")) return "image/jpeg";
  return /^RIFF[^]{4}WEBP$/.test(beginning) ? "image/webp" : null;
}
