/**
 * What can be wrong with the numbers of a tensor.
 * @module
 */
import type { FloatFormat } from "../checkpoint/tensor.ts";
import { UnseenError } from "../errors.ts";

/** Throws unless the numbers read were finite. @throws UnseenError `CHECKPOINT_NON_FINITE` */
export function checkSource(finite: boolean, name: string): void {
  if (!finite)
    throw new UnseenError("CHECKPOINT_NON_FINITE", `tensor ${name}: expected finite weights, got a NaN or an infinity.`, {
      hint: "The checkpoint is damaged; download it again.",
    });
}

/** Throws unless the numbers to write fitted the format. @throws UnseenError `CHECKPOINT_NON_FINITE` */
export function checkResult(finite: boolean, name: string, format: FloatFormat): void {
  if (!finite)
    throw new UnseenError("CHECKPOINT_NON_FINITE", `tensor ${name}: a transformed weight exceeds the largest ${format} number.`, {
      hint: "Write this model as bf16.",
    });
}
