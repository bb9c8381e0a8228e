/**
 * Where the part of a model ends that can be done on ciphertext, and why.
 * @module
 */
import { quote } from "@unseen/core/checkpoint/checks.ts";

/** Numbers that reading one model may write, folding included (CWE-400, CWE-770). */
const MAXIMUM_NUMBERS = 2 ** 26;

/** The next operator is beyond what ciphertext can do: the list of cuts ends before it. Never leaves this folder. */
export class Beyond extends Error {}

/** Counts the numbers that reading a model writes. */
export class Budget {
  #left = MAXIMUM_NUMBERS;

  /** Asks before `count` numbers are written. Throws {@link Beyond}. */
  take(count: number): void {
    this.#left -= count;
    if (!(this.#left >= 0)) throw new Beyond(`the layers up to there hold more than ${MAXIMUM_NUMBERS} numbers`);
  }
}

const COMPARES = new Set(
  "Relu LeakyRelu PRelu ThresholdedRelu Clip Max Min MaxPool GlobalMaxPool HardSigmoid HardSwish Abs Sign Less Greater Equal Where ArgMax ArgMin TopK Round Floor Ceil ReduceMax ReduceMin".split(
    " ",
  ),
);
const TRANSCENDS = new Set(
  "Sigmoid Tanh Exp Log Softmax LogSoftmax Erf Gelu Elu Selu Celu Softplus Softsign Mish Swish Sin Cos Sqrt Reciprocal".split(" "),
);
const DIVIDES = new Set("LayerNormalization InstanceNormalization GroupNormalization RMSNormalization LpNormalization LRN".split(" "));

/** Why an operator cannot be done on ciphertext, in words. */
export function whyBeyond(operator: string): string {
  if (COMPARES.has(operator)) return `${operator} needs a comparison, which ciphertext cannot do`;
  if (TRANSCENDS.has(operator)) return `${operator} is no polynomial, and ciphertext can only be added and multiplied`;
  if (DIVIDES.has(operator)) return `${operator} divides by an encrypted number, which ciphertext cannot do`;
  return `${quote(operator)} is not among the operators that are done on ciphertext`;
}
