/**
 * GGUF for llama.cpp from an encrypted Hugging Face directory. Needs no key: placeholders stand for the vocabulary.
 * @module
 */
import { convertModel } from "./transform.ts";

/** Writes `file` (ending in `.gguf`) from a model directory, whole or not at all. Throws `CHECKPOINT_*`, `FAMILY_*`, `OUTPUT_EXISTS`, `DISK_FULL`. */
export async function convertToGguf(
  directory: string,
  file: string,
  options: { threads?: number; signal?: AbortSignal } = {},
): Promise<void> {
  await convertModel({ source: directory, output: file, format: "gguf", threads: options.threads, signal: options.signal });
}
