/**
 * The client's `checks.safetensors`: for each limb of each layer the tensors `NAME.LIMB.v` (out) and `NAME.LIMB.u` (in), U64. Who knows
 * them can answer wrongly without being caught, so the file is its owner's alone.
 * @module
 */
import { closeSync, fchmodSync, fsyncSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { layoutSafetensors, openSafetensors } from "@unseen/core/checkpoint/safetensors.ts";
import { openFile } from "@unseen/core/checkpoint/open-file.ts";
import type { TensorLocation } from "@unseen/core/checkpoint/tensor.ts";
import { UnseenError, explainSystemError } from "@unseen/core/errors.ts";
import { layoutDigest, limbName, type Layout } from "../layout.ts";
import { requireTensor } from "../model/share-directory.ts";
import { FIELD_PRIME } from "./field.ts";
import type { Projection, Projections } from "./integrity.ts";

const FORMAT = "unseen-checks/1";

/** A projection to be, in the order of the layout. */
interface Limb {
  readonly name: string;
  readonly in: number;
  readonly out: number;
}

/** Every limb of every layer. @throws UnseenError CHECKPOINT_DUPLICATE where two layers have one name */
export function limbsOf(layout: Layout): Limb[] {
  const limbs = layout.groups.flatMap((group) =>
    group.layers.flatMap(({ name, out }) =>
      Array.from({ length: layout.limbs }, (_, limb) => ({ name: limbName(name, limb), in: group.in, out })),
    ),
  );
  if (new Set(limbs.map(({ name }) => name)).size !== limbs.length)
    throw new UnseenError("CHECKPOINT_DUPLICATE", "two layers of the layout have the same name.", { hint: "Prepare the model again." });
  return limbs;
}

/** Writes projections one after the other, as a model is prepared layer by layer. */
export class ProjectionFile {
  readonly #path: string;
  readonly #descriptor: number;
  readonly #locations: ReadonlyMap<string, TensorLocation>;
  readonly #missing: Set<string>;

  private constructor(path: string, descriptor: number, locations: ReadonlyMap<string, TensorLocation>, missing: Set<string>) {
    this.#path = path;
    this.#descriptor = descriptor;
    this.#locations = locations;
    this.#missing = missing;
  }

  /** Makes the file, which must not exist, in its final size and with mode 0600. @throws UnseenError OUTPUT_EXISTS, DISK_FULL, PERMISSION_DENIED */
  static create(path: string, layout: Layout): ProjectionFile {
    const limbs = limbsOf(layout);
    const planned = limbs.flatMap(({ name, in: inputs, out }) => [
      { name: `${name}.v`, format: "U64" as const, shape: [out] },
      { name: `${name}.u`, format: "U64" as const, shape: [inputs] },
    ]);
    const { files, locations } = layoutSafetensors(planned, {
      metadata: { format: FORMAT, layout: Buffer.from(layoutDigest(layout)).toString("hex") },
      maximumShardBytes: Infinity,
    });
    const plan = files[0]!;
    return attempt(path, () => {
      const descriptor = openSync(path, "wx", 0o600);
      const file = new ProjectionFile(path, descriptor, locations, new Set(limbs.map(({ name }) => name)));
      try {
        fchmodSync(descriptor, 0o600); // whatever the umask
        ftruncateSync(descriptor, plan.bytes);
        file.#write(0, plan.header);
        return file;
      } catch (error) {
        closeSync(descriptor);
        throw error;
      }
    });
  }

  /** Writes the projection of a limb, once each. @throws UnseenError INTERNAL for one that the layout does not have, DISK_FULL */
  add(layer: string, limb: number, { v, u }: Projection): void {
    const name = limbName(layer, limb);
    const [forV, forU] = [this.#locations.get(`${name}.v`), this.#locations.get(`${name}.u`)];
    if (!this.#missing.delete(name) || forV?.bytes !== v.byteLength || forU?.bytes !== u.byteLength)
      throw new UnseenError("INTERNAL", `the layout has no limb ${name} of ${v.length} x ${u.length} left to write.`);
    attempt(this.#path, () => {
      this.#write(forV.offset, new Uint8Array(v.buffer, v.byteOffset, v.byteLength));
      this.#write(forU.offset, new Uint8Array(u.buffer, u.byteOffset, u.byteLength));
    });
  }

  /** Closes the file. @throws UnseenError INTERNAL where a projection is missing, DISK_FULL */
  close(): void {
    attempt(this.#path, () => fsyncSync(this.#descriptor));
    closeSync(this.#descriptor);
    if (this.#missing.size > 0) throw new UnseenError("INTERNAL", `${this.#path}: ${this.#missing.size} projections were never written.`);
  }

  /**
   * Reads all projections of a layout.
   *
   * @throws UnseenError as `openSafetensors`; BUNDLE_MISMATCH for those of another layout; CHECKPOINT_MISSING_TENSOR,
   *   CHECKPOINT_DTYPE_UNSUPPORTED, CHECKPOINT_WRONG_SHAPE, CHECKPOINT_MALFORMED for numbers that are not below p
   */
  static async read(path: string, layout: Layout): Promise<Projections> {
    const { tensors, metadata, files } = await openSafetensors(path);
    if (metadata["format"] !== FORMAT || metadata["layout"] !== Buffer.from(layoutDigest(layout)).toString("hex"))
      throw new UnseenError("BUNDLE_MISMATCH", `${path} does not hold the checks of this model.`, {
        hint: "Use the checks that were written when the model was prepared.",
      });
    const file = openFile(files[0]!);
    const read = (name: string, length: number): BigUint64Array => {
      const location = requireTensor(tensors, name, "U64", [length]);
      const numbers = new BigUint64Array(length);
      file.read(location.offset, new Uint8Array(numbers.buffer));
      if (numbers.some((number) => number >= FIELD_PRIME))
        throw new UnseenError("CHECKPOINT_MALFORMED", `${path}: tensor ${name}: expected numbers below 2^61 - 1.`);
      return numbers;
    };
    try {
      return new Map(
        limbsOf(layout).map(({ name, in: inputs, out }) => [name, { v: read(`${name}.v`, out), u: read(`${name}.u`, inputs) }]),
      );
    } finally {
      file.close();
    }
  }

  #write(offset: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length;) done += writeSync(this.#descriptor, bytes, done, bytes.length - done, offset + done);
  }
}

function attempt<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw explainSystemError(error, path);
  }
}
