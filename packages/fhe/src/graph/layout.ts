/**
 * Operators that leave the numbers as they are: flattening, reshaping, what only matters in training.
 * @module
 */
import { evaluate } from "@unseen/core/blueprint/trace/known.ts";
import { KNOWN_LIMIT } from "@unseen/core/blueprint/trace/known-tensor.ts";
import { elementNumber } from "@unseen/core/checkpoint/onnx-types.ts";
import { sizeOf } from "../layer.ts";
import { Beyond } from "./beyond.ts";
import { dimensions, firstInput, type Operator, type Tracked } from "./tracked.ts";

/** Runs the operator on the numbers 0, 1, 2, ... of one picture: they must come out in this order, as a picture or as a vector. */
const relayout: Operator = (operation) => {
  const { node, the, constant, budget } = operation;
  const value = firstInput(operation);
  const shape = dimensions(value);
  const count = sizeOf(value.stage.shape);
  if (count > KNOWN_LIMIT) throw new Beyond(`${the.operator} of that many numbers is not followed`);
  budget.take(2 * count);
  const places = { type: "float64", shape, data: Float64Array.from({ length: count }, (_, i) => i) } as const;
  const others = node.inputs.slice(1).map((name, i) => {
    const known = name === "" ? null : constant(i + 1);
    if (name !== "" && !known) throw new Beyond(`${the.operator} to a shape that depends on the picture is not done on ciphertext`);
    return known;
  });
  const result = evaluate(node, [places, ...others], the.opset)?.[0];
  if (!result) throw new Beyond(`${the.operator} in this form is not done on ciphertext`);
  const flat = flatness(result.shape, value);
  if (flat === null || result.data.length !== count || result.data.some((place, i) => place !== i))
    throw new Beyond(`${the.operator} to shape [${result.shape.join()}] is neither a picture nor a vector of all its features`);
  return { ...value, flat };
};

function flatness(shape: readonly number[], value: Tracked): boolean | null {
  const text = shape.join();
  return text === dimensions({ ...value, flat: true }).join() ? true : text === dimensions({ ...value, flat: false }).join() ? false : null;
}

/** In inference nothing is dropped. */
const dropout: Operator = (operation) => {
  if (operation.node.inputs[2] && operation.constant(2)?.data[0] !== 0) throw new Beyond("Dropout in training is not done on ciphertext");
  return firstInput(operation);
};

const cast: Operator = (operation) => {
  if (operation.the.integer("to", 0) !== elementNumber("float32", "Cast"))
    throw new Beyond("Cast to another type than float32 is not done on ciphertext");
  return firstInput(operation);
};

/** By operator. */
export const layout: ReadonlyMap<string, Operator> = new Map([
  ...["Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose"].map((name) => [name, relayout] as const),
  ["Identity", firstInput],
  ["Dropout", dropout],
  ["Cast", cast],
]);
