/**
 * Names for files that are saved.
 * @module
 */

/** A title as the name of a file, without whatever a file system or a shell could take for more. */
export function fileName(title: string, extension: string): string {
  const plain = title.replaceAll(/[^\p{L}\p{N}]+/gu, "-").replaceAll(/^-+|-+$/g, "");
  return `${plain.slice(0, 60) || "conversation"}.${extension}`;
}
