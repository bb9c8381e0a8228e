/**
 * Every operator that the tracer can follow, by `domain:name`; ONNX's own without a domain.
 * @module
 */
import type { OnnxType } from "../../../checkpoint/onnx.ts";
import type { Operator } from "../operator.ts";
import { attentions } from "./attention.ts";
import { combinations, READS_INTEGERS } from "./combined.ts";
import { contraction } from "./contraction.ts";
import { convolutions } from "./convolution.ts";
import { elementwise } from "./elementwise.ts";
import { layout } from "./layout.ts";
import { normalisations } from "./normalisation.ts";
import { quantisation } from "./quantisation.ts";
import { recurrence } from "./recurrence.ts";
import { reductions } from "./reduction.ts";
import { selection } from "./selection.ts";

const OPERATORS: ReadonlyMap<string, Operator> = new Map(
  Object.entries({
    ...elementwise,
    ...combinations,
    ...contraction,
    ...layout,
    ...convolutions,
    ...recurrence,
    ...reductions,
    ...normalisations,
    ...attentions,
    ...quantisation,
    ...selection,
  }),
);

/** Operators that may read token ids without giving their numbers away: they move them, look rows up, or compare with a constant. */
const READS_IDS = new Set(
  "Identity Reshape Flatten Squeeze Unsqueeze Transpose Slice Split Gather Expand Cast Equal ArgMax Shape Size".split(" "),
);

/** The description of an operator, or null. */
export function operatorOf(domain: string, name: string): Operator | null {
  return OPERATORS.get(domain === "" || domain === "ai.onnx" ? name : `${domain}:${name}`) ?? null;
}

/** Whether an operator may be given token ids. */
export function readsIds(domain: string, name: string): boolean {
  return domain === "com.microsoft" ? name === "EmbedLayerNormalization" : (domain === "" || domain === "ai.onnx") && READS_IDS.has(name);
}

/** Of the operators that take whole numbers, those that take them as data; the others that may stand before them move them. */
const MOVES_INTEGERS = new Set("Gather Reshape Transpose Identity Squeeze Unsqueeze Slice Split Concat".split(" "));

/** Whether a tensor of this type that this operator reads holds numbers of a model, and not sizes or places. */
export function readsIntegers(operator: string, type: OnnxType): boolean {
  return READS_INTEGERS.has(operator) || (type !== "int32" && MOVES_INTEGERS.has(operator));
}

/** The names of all operators that are followed, sorted. */
export function operatorNames(): readonly string[] {
  return [...OPERATORS.keys()].toSorted();
}
