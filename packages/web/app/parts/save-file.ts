/**
 * Puts something into the browser's downloads.
 * @module
 */

/** Long enough for the browser to begin; milliseconds. */
const KEPT = 60_000;

/** @param name what the file is called, unless the browser asks */
export function saveFile(content: Blob, name: string): void {
  const address = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), KEPT);
}
