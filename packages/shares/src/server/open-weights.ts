/**
 * Opens a server's directory for loading: rows of weights, some at a time, so that nothing lies in memory twice.
 * @module
 */
import { join } from "node:path";
import { malformed } from "@unseen/core/checkpoint/checks.ts";
import { openFile, type OpenFile } from "@unseen/core/checkpoint/open-file.ts";
import { openSafetensors } from "@unseen/core/checkpoint/safetensors.ts";
import type { TensorLocation } from "@unseen/core/checkpoint/tensor.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { limbName, type Layout } from "../layout.ts";
import { PREPARE_AGAIN, SHARE_FILES, checkLayout, readJsonFile, requireTensor } from "../model/share-directory.ts";
import type { ReadRows } from "../ring/weight-source.ts";

/** The weights of a share server, open for reading. */
export interface Weights {
  readonly layout: Layout;
  readonly read: ReadRows;
  close(): void;
}

/**
 * Opens the files and checks that they agree; the weights themselves may be any bytes.
 *
 * @throws UnseenError CHECKPOINT_*, BUNDLE_INVALID, PERMISSION_DENIED; BUNDLE_MISMATCH where the files are of different models
 */
export async function openWeights(directory: string): Promise<Weights> {
  const layout = checkLayout(readJsonFile(join(directory, SHARE_FILES.layout)), SHARE_FILES.layout);
  const { tensors, metadata } = await openSafetensors(join(directory, SHARE_FILES.weights));
  if (metadata["fingerprint"] !== undefined && metadata["fingerprint"] !== layout.fingerprint)
    throw new UnseenError("BUNDLE_MISMATCH", `${SHARE_FILES.layout} and ${SHARE_FILES.weights} were made from different models.`, {
      hint: PREPARE_AGAIN,
    });
  const locations = new Map<string, TensorLocation>();
  for (const group of layout.groups) {
    for (const { name, out } of group.layers) {
      for (let limb = 0; limb < layout.limbs; limb += 1) {
        const tensor = limbName(name, limb);
        locations.set(tensor, requireTensor(tensors, tensor, "I8", [out, group.in]));
      }
    }
  }
  for (const name of tensors.keys())
    if (!locations.has(name))
      throw malformed(`${SHARE_FILES.weights} holds ${name}, which ${SHARE_FILES.layout} does not name.`, PREPARE_AGAIN);

  const files = new Map<string, OpenFile>();
  return {
    layout,
    read(layer, limb, first, into) {
      const { file, offset, shape } = locations.get(limbName(layer, limb)) as TensorLocation;
      const opened = files.get(file) ?? openFile(file);
      files.set(file, opened);
      opened.read(offset + first * (shape[1] as number), new Uint8Array(into.buffer, into.byteOffset, into.length));
    },
    close() {
      for (const file of files.values()) file.close();
      files.clear();
    },
  };
}
