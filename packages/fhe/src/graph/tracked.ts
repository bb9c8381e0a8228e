/**
 * What is known of a value of a graph that depends on the picture: a polynomial of what leaves a layer.
 * @module
 */
import type { Case } from "@unseen/core/blueprint/trace/known-case.ts";
import type { Known } from "@unseen/core/blueprint/trace/known-tensor.ts";
import type { OnnxNode } from "@unseen/core/checkpoint/onnx.ts";
import { sizeOf, type Layer } from "../layer.ts";
import { Beyond, type Budget } from "./beyond.ts";
import { identity, isIdentity, type Coefficients } from "./coefficients.ts";
import { extend, settle, type Stage } from "./stage.ts";

/** A value that depends on the picture. */
export interface Tracked {
  readonly stage: Stage;
  /** Of the stage's result. */
  readonly coefficients: Coefficients;
  /** Whether the graph holds it flattened: (1, n) and not (1, channels, height, width). */
  readonly flat: boolean;
}

/** One operator with what is known of its inputs. */
export interface Operation {
  readonly node: OnnxNode;
  /** Attributes, with the checks that hostile files need. */
  readonly the: Case;
  /** Input `index` where it depends on the picture, or null. */
  tracked(index: number): Tracked | null;
  /** Input `index` where it is a constant, or null. */
  constant(index: number): Known | null;
  readonly budget: Budget;
}

/** What an operator makes of its inputs. Throws `Beyond` where ciphertext cannot do it; UnseenError `CHECKPOINT_MALFORMED`. */
export type Operator = (operation: Operation) => Tracked;

/** What leaves a stage, as it is. */
export function resultOf(stage: Stage, flat: boolean): Tracked {
  return { stage, coefficients: identity(stage.shape.channels), flat };
}

/** The first input, of operators that treat their inputs differently. Throws {@link Beyond} where it does not depend on the picture. */
export function firstInput({ the, tracked }: Operation): Tracked {
  const value = tracked(0);
  if (!value) throw new Beyond(`${the.operator} of a constant by an encrypted number is not done on ciphertext`);
  return value;
}

/** The shape of a value in the graph, for one picture. */
export function dimensions({ stage: { shape }, flat }: Tracked): number[] {
  return flat ? [1, sizeOf(shape)] : [1, shape.channels, shape.height, shape.width];
}

/** The stage in which a value is a layer's result; `name` names the value. */
export function settled({ stage, coefficients }: Tracked, name: string, budget: Budget): Stage {
  return isIdentity(coefficients) ? stage : settle(stage, coefficients, name, budget);
}

/** A value behind one layer more, which `make` writes for its input. */
export function behind({ node, budget }: Operation, input: Tracked, flat: boolean, make: (stage: Stage) => Layer): Tracked {
  const stage = settled(input, node.inputs[0] as string, budget);
  return resultOf(extend(stage, make(stage)), flat);
}
