/**
 * Files beside an ONNX model that hold tensors (https://github.com/onnx/onnx/blob/main/docs/ExternalData.md).
 * @module
 */
import { realpathSync } from "node:fs";
import { join, sep } from "node:path";
import { UnseenError } from "../errors.ts";
import { checkName, malformed, quote, tooLarge } from "./checks.ts";
import { ByteSource } from "./protobuf.ts";

/** Files with external data of one model (CWE-770); some exporters write one per tensor. */
export const MAXIMUM_EXTERNAL_FILES = 100_000;

/** Finds the files that a model names, each once. */
export class ExternalFiles {
  readonly #directory: string;
  readonly #model: string;
  readonly #files = new Map<string, ByteSource>();

  /** @param model name for messages */
  constructor(directory: string, model: string) {
    this.#directory = directory;
    this.#model = model;
  }

  /** Throws `CHECKPOINT_MALFORMED` for a path that leads out, `CHECKPOINT_MISSING_SHARD`, `CHECKPOINT_TOO_LARGE`. */
  find(location: string): ByteSource {
    const known = this.#files.get(location);
    if (known) return known;
    checkName(location, this.#model);
    // No path leads out of the directory (CWE-22), no stream or device name of any system either.
    if (!/^[^\\/:*?"<>|]+$/.test(location) || location === "." || location === "..")
      throw malformed(`${this.#model}: expected the plain name of a file beside the model, got ${quote(location)}.`);
    if (this.#files.size >= MAXIMUM_EXTERNAL_FILES) throw tooLarge(`${this.#model} names more than ${MAXIMUM_EXTERNAL_FILES} files.`);
    const path = join(this.#directory, location);
    this.#checkInside(path, location);
    const file = ByteSource.file(path);
    this.#files.set(location, file);
    return file;
  }

  /** Absolute paths of all files found so far. */
  get paths(): string[] {
    return [...this.#files.values()].map(({ path }) => path!);
  }

  /** Links may not lead out either (CWE-59), except into the hub's cache: `snapshots/REVISION/... -> blobs/HASH`. */
  #checkInside(path: string, name: string): void {
    let actual: string;
    try {
      actual = realpathSync(path);
    } catch (cause) {
      throw new UnseenError("CHECKPOINT_MISSING_SHARD", `${this.#model} needs ${quote(name)}, which is not beside it.`, {
        hint: "Download the missing file into the same directory.",
        cause,
      });
    }
    const inside = (root: string): boolean => actual.startsWith(root.endsWith(sep) ? root : root + sep);
    const cache = /^(.*)[\\/]snapshots[\\/][^\\/]+(?:[\\/]|$)/.exec(this.#directory);
    if (inside(this.#directory) || (cache && inside(join(cache[1]!, "blobs")))) return;
    throw malformed(
      `${quote(name)} is a link that leads out of the model's directory.`,
      "Give the directory that holds the files themselves.",
    );
  }
}
