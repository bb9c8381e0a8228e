/**
 * A server's directory: `shares.json` and `weights.safetensors`.
 * @module
 */
import { join } from "node:path";
import { openFile, readWhole } from "@unseen/core/checkpoint/open-file.ts";
import { openSafetensors } from "@unseen/core/checkpoint/safetensors.ts";
import { parseStrictJson } from "@unseen/core/checkpoint/strict-json.ts";
import type { TensorLocation } from "@unseen/core/checkpoint/tensor.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { layoutLimits, layoutSchema, limbName, type Layout } from "../layout.ts";

export const SHARE_FILES = { layout: "shares.json", weights: "weights.safetensors" } as const;

/** Nesting and number of values of the JSON files (CWE-674, CWE-770). */
const JSON_LIMITS = { depth: 32, values: 1_000_000 } as const;

export interface ShareDirectory {
  readonly layout: Layout;
  /** The numbers of one limb of a layer, (out, in). Throws `CHECKPOINT_TRUNCATED`. */
  read(layer: string, limb: number): Int8Array;
}

/** Opens a server's directory; reads headers only. Throws `CHECKPOINT_*`, `BUNDLE_INVALID`, `PERMISSION_DENIED`. */
export async function openShareDirectory(directory: string): Promise<ShareDirectory> {
  const layout = checkLayout(readJsonFile(join(directory, SHARE_FILES.layout)), SHARE_FILES.layout);
  const { tensors } = await openSafetensors(join(directory, SHARE_FILES.weights));
  const locations = new Map<string, TensorLocation>();
  for (const group of layout.groups)
    for (const { name, out } of group.layers)
      for (let limb = 0; limb < layout.limbs; limb += 1) {
        const limbTensor = limbName(name, limb);
        locations.set(limbTensor, requireTensor(tensors, limbTensor, "I8", [out, group.in]));
      }
  return {
    layout,
    read(layer, limb) {
      const { file, offset, bytes } = locations.get(limbName(layer, limb)) as TensorLocation;
      const numbers = new Int8Array(bytes);
      const opened = openFile(file);
      try {
        opened.read(offset, new Uint8Array(numbers.buffer));
      } finally {
        opened.close();
      }
      return numbers;
    },
  };
}

/** The tensor of that name. Throws `CHECKPOINT_MISSING_TENSOR`, `CHECKPOINT_DTYPE_UNSUPPORTED`, `CHECKPOINT_WRONG_SHAPE`. */
export function requireTensor(
  tensors: ReadonlyMap<string, TensorLocation>,
  name: string,
  format: TensorLocation["format"],
  shape: readonly number[],
): TensorLocation {
  const tensor = tensors.get(name);
  if (!tensor) throw new UnseenError("CHECKPOINT_MISSING_TENSOR", `tensor ${name} is missing.`, { hint: PREPARE_AGAIN });
  if (tensor.format !== format)
    throw new UnseenError("CHECKPOINT_DTYPE_UNSUPPORTED", `tensor ${name} must be ${format}, got ${tensor.format}.`, {
      hint: PREPARE_AGAIN,
    });
  if (tensor.shape.length !== shape.length || tensor.shape.some((size, axis) => size !== shape[axis]))
    throw new UnseenError(
      "CHECKPOINT_WRONG_SHAPE",
      `tensor ${name} must have shape (${shape.join(", ")}), got (${tensor.shape.join(", ")}).`,
      { hint: PREPARE_AGAIN },
    );
  return tensor;
}

/** What to do about a damaged directory. */
export const PREPARE_AGAIN = "The files are damaged or of different preparations; prepare the model again.";

/** The value of a small JSON file without duplicate names or deep nesting. Throws `CHECKPOINT_*`, `PERMISSION_DENIED`. */
export function readJsonFile(path: string): unknown {
  const bytes = readWhole(path, layoutLimits.jsonBytes);
  parseStrictJson(bytes, path, JSON_LIMITS);
  return JSON.parse(new TextDecoder().decode(bytes));
}

/** A value as a layout. Throws `BUNDLE_INVALID`. */
export function checkLayout(value: unknown, where: string): Layout {
  const result = layoutSchema.safeParse(value);
  if (!result.success) throw invalidFile(where, "a layout of unseen-shares/1", result.error.issues[0]);
  const names = result.data.groups.flatMap(({ layers }) => layers.map(({ name }) => name));
  if (new Set(names).size !== names.length) throw invalidFile(where, "layers of different names");
  return result.data;
}

/** `BUNDLE_INVALID` for a file that does not say what it must. */
export function invalidFile(
  where: string,
  expected: string,
  issue?: { readonly path: readonly PropertyKey[]; readonly message: string },
): UnseenError {
  const got = issue ? `${issue.message} at ${issue.path.map(String).join(".") || "the top"}` : "others";
  return new UnseenError("BUNDLE_INVALID", `${where}: expected ${expected}, got: ${got}.`, { hint: PREPARE_AGAIN });
}
