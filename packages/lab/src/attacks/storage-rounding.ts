/**
 * How much the storage of an encrypted model blurs what an attacker compares.
 * @module
 */
import type { TwoModels } from "./two-models.ts";

/** Greatest relative error of one rounding to a format, by its name in the file: half a unit in the last place. */
const ROUNDING: Readonly<Record<string, number>> = { F32: 2 ** -24, F16: 2 ** -11, BF16: 2 ** -8, Q8_0: 2 ** -7 };

/** What float64 arithmetic leaves of numbers that are equal. */
const ARITHMETIC = 2 ** -40;

/**
 * Relative error of a weight of the encrypted model: that of its format where the weights were changed and stored again, next to
 * none where they were only moved. The attacker reads both off the files.
 */
export function roundingBetween({ encrypted, base }: TwoModels): number {
  const [stored, original] = [formatOf(encrypted.model?.tensors), formatOf(base.model?.tensors)];
  // Of Q8_0, signs and places change the blocks that share a scale.
  const moved = encrypted.model?.manifest?.strength === "permute" && stored === original && stored !== "Q8_0";
  return moved ? ARITHMETIC : (ROUNDING[stored] ?? 2 ** -7);
}

/** Format of the largest tensor; ONNX word tables are read as float32 alone. */
function formatOf(tensors: ReadonlyMap<string, { readonly format: string; readonly bytes: number }> | undefined): string {
  let [format, bytes] = ["F32", 0];
  for (const tensor of tensors?.values() ?? []) if (tensor.bytes > bytes) ({ format, bytes } = tensor);
  return format;
}
