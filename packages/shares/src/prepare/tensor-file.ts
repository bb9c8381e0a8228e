/**
 * A new safetensors file whose tensors are written one by one, in any order; in several directories at once.
 * @module
 */
import { join } from "node:path";
import { layoutSafetensors, type PlannedTensor } from "@unseen/core/checkpoint/safetensors.ts";
import type { TensorLocation } from "@unseen/core/checkpoint/tensor.ts";
import { createFiles, openForWriting, type PositionalWriter } from "@unseen/core/checkpoint/writer.ts";
import { UnseenError } from "@unseen/core/errors.ts";

export class TensorFile {
  /** Of one copy. */
  readonly bytes: number;
  readonly #locations: ReadonlyMap<string, TensorLocation>;
  readonly #writers: readonly PositionalWriter[];

  /** Throws `OUTPUT_EXISTS`, `DISK_FULL`, `PERMISSION_DENIED`. */
  constructor(name: string, directories: readonly string[], tensors: readonly PlannedTensor[]) {
    const { files, locations } = layoutSafetensors(tensors, { maximumShardBytes: Number.MAX_SAFE_INTEGER });
    const plan = { ...(files[0] as (typeof files)[0]), name };
    this.bytes = plan.bytes;
    this.#locations = locations;
    this.#writers = directories.map((directory) => {
      createFiles(directory, [plan]);
      return openForWriting(join(directory, name));
    });
  }

  /** Writes all numbers of one tensor. Throws `DISK_FULL`; `INTERNAL` for another size than planned. */
  write(name: string, numbers: Int8Array | Float32Array): void {
    const { offset, bytes } = this.#locations.get(name) as TensorLocation;
    if (numbers.byteLength !== bytes)
      throw new UnseenError("INTERNAL", `tensor ${name} must have ${bytes} bytes, got ${numbers.byteLength}.`);
    // Typed arrays are little-endian on every machine that Node runs on but one, as safetensors are.
    for (const writer of this.#writers) writer.write(offset, new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength));
  }

  close(): void {
    for (const writer of this.#writers) writer.close();
  }
}
