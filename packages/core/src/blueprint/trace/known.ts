/**
 * Evaluates ONNX operators on small tensors whose content is known while a graph is traced: shape arithmetic, masks, position
 * ranges, scalars. Semantics: the ONNX operator specification, and ONNX Runtime where that leaves a choice. What it does not
 * cover it says so by null, which a tracer may always take for "content unknown".
 * @module
 */
import { Case, type EvaluatedNode, type Evaluator } from "./known-case.ts";
import { creation } from "./known-creation.ts";
import { elementwise } from "./known-elementwise.ts";
import { indexing } from "./known-indexing.ts";
import { layout } from "./known-layout.ts";
import { reduction } from "./known-reduction.ts";
import type { Known } from "./known-tensor.ts";

export type { EvaluatedNode } from "./known-case.ts";
export { knownFromTensor } from "./known-creation.ts";
export { KNOWN_LIMIT, broadcastShapes, type Known } from "./known-tensor.ts";

const evaluators: ReadonlyMap<string, Evaluator> = new Map([...elementwise, ...creation, ...layout, ...indexing, ...reduction]);

/** The operators of the standard domain that {@link evaluate} covers. */
export const knownOperators: ReadonlySet<string> = new Set(evaluators.keys());

/** The first operator set whose element-wise operators broadcast as NumPy does. */
const FIRST_OPSET = 7;

/**
 * The outputs of an operator on known inputs (null = omitted optional input); null where the operator or the case is not covered
 * or would pass {@link KNOWN_LIMIT}. An output may share an input's data, so contents must not be written to. `Shape` and `Size`
 * read no content: a stand-in of the right shape will do.
 * Throws `CHECKPOINT_MALFORMED` for impossible shapes.
 */
export function evaluate(node: EvaluatedNode, inputs: readonly (Known | null)[], opset: number): Known[] | null {
  const evaluator = node.domain === "" || node.domain === "ai.onnx" ? evaluators.get(node.operator) : undefined;
  if (evaluator === undefined || opset < FIRST_OPSET) return null;
  const result = evaluator(new Case(node, inputs, opset));
  return result === null || Array.isArray(result) ? result : [result];
}
