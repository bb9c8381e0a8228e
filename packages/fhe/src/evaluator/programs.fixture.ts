/**
 * Small programs that use every operation, and what they compute on plain numbers.
 * @module
 */
import type { Head } from "../layer.ts";
import { exact, shallow, slotsOf, type BfvParameters, type CkksParameters, type Parameters } from "../parameters.ts";
import type { Constant, Operation, Program } from "../program.ts";

/** Quick ones for tests with many runs: a level, and whole numbers up to 2^19. */
export const small: CkksParameters = { scheme: "ckks", degree: 4096, primeBits: [40, 28, 40], scaleBits: 28 };
export const smallExact: BfvParameters = { scheme: "bfv", degree: 4096, plainBits: 20 };

const shape = { channels: 1, height: 1, width: 1 };

function program(parameters: Parameters, inputs: number, operations: readonly Operation[], outputs: readonly number[]): Program {
  const slots = slotsOf(parameters);
  return {
    parameters,
    slots,
    inputs,
    operations,
    outputs,
    rotations: [...new Set(operations.flatMap((each) => (each.operation === "rotate" ? [each.by] : [])))],
    relinearises: operations.some((each) => each.operation === "multiply"),
    depth: 0,
    shape,
    output: shape,
    integers: null,
    gains: [],
    pack: () => [],
    unpack: () => new Float64Array(),
  };
}

/** A plaintext of this program that repeats a few numbers. */
export function repeated(id: number, parameters: Parameters, ...values: readonly number[]): Constant {
  return { id, values: () => Float64Array.from({ length: slotsOf(parameters) }, (_, index) => values[index % values.length] ?? 0) };
}

/** Two inputs; products, a square, rotations both ways, registers of three levels, a summand; depth 3. */
export function realProgram(parameters: Parameters = shallow): Program {
  const constant = (id: number, ...values: number[]): Constant => repeated(id, parameters, ...values);
  return program(
    parameters,
    2,
    [
      {
        operation: "dot",
        to: 2,
        terms: [
          { from: 0, constant: constant(0, 0.5, -0.25, 0.125) },
          { from: 1, constant: constant(1, 0.75, 0, 1, -1) },
        ],
      },
      { operation: "rescale", to: 3, from: 2 },
      { operation: "free", from: 2 },
      { operation: "shift", to: 4, from: 3, constant: constant(2, 0.5, -0.5) },
      { operation: "multiply", to: 5, left: 4, right: 4 },
      { operation: "rescale", to: 6, from: 5 },
      { operation: "rotate", to: 7, from: 6, by: 5 },
      { operation: "rotate", to: 8, from: 6, by: -3 },
      { operation: "add", to: 9, from: [6, 7, 8] },
      {
        operation: "dot",
        to: 10,
        terms: [
          { from: 9, constant: constant(3, 0.25, 0.5, -1) },
          { from: 0, constant: constant(4, -0.5, 0.25) },
        ],
      },
      { operation: "shift", to: 11, from: 10, constant: constant(5, 0.125) },
      { operation: "rescale", to: 12, from: 11 },
      { operation: "free", from: 10 },
      { operation: "multiply", to: 13, left: 4, right: 1 },
    ],
    [12, 4, 13],
  );
}

/** Two inputs of whole numbers: products, a sum, a summand, a square. */
export function wholeProgram(parameters: Parameters = exact): Program {
  const constant = (id: number, ...values: number[]): Constant => repeated(id, parameters, ...values);
  return program(
    parameters,
    2,
    [
      {
        operation: "dot",
        to: 2,
        terms: [
          { from: 0, constant: constant(0, 3, -2, 0) },
          { from: 1, constant: constant(1, 1, -128, 127, 5) },
        ],
      },
      { operation: "shift", to: 3, from: 2, constant: constant(2, -9, 100_000) },
      { operation: "add", to: 4, from: [2, 0] },
      { operation: "multiply", to: 5, left: 0, right: 0 },
      { operation: "dot", to: 6, terms: [{ from: 5, constant: constant(3, -7) }] },
    ],
    [3, 4, 6],
  );
}

/** One input, one product: quick, for tests with many runs. */
export function productProgram(parameters: Parameters): Program {
  const product: Operation = { operation: "dot", to: 1, terms: [{ from: 0, constant: repeated(0, parameters, 3, 2) }] };
  return parameters.scheme === "bfv"
    ? program(parameters, 1, [product], [1])
    : program(parameters, 1, [product, { operation: "rescale", to: 2, from: 1 }], [2]);
}

/** One input; needs both kinds of keys, the rotation by one step. */
export function keyedProgram(): Program {
  return program(
    small,
    1,
    [
      { operation: "multiply", to: 1, left: 0, right: 0 },
      { operation: "rescale", to: 2, from: 1 },
      { operation: "rotate", to: 3, from: 2, by: 1 },
    ],
    [3],
  );
}

/** What the operations do to plain numbers per slot. */
export function simulate({ operations, outputs, slots }: Program, inputs: readonly Float64Array[]): Float64Array[] {
  const registers = new Map(inputs.map((input, index) => [index, input]));
  const read = (register: number): Float64Array => registers.get(register) ?? new Float64Array(slots);
  const each = (value: (slot: number) => number): Float64Array => Float64Array.from({ length: slots }, (_, slot) => value(slot));
  const at = (values: Float64Array, slot: number): number => values[((slot % slots) + slots) % slots] ?? 0;
  const compute = (operation: Exclude<Operation, { operation: "free" }>): Float64Array => {
    switch (operation.operation) {
      case "rotate":
        return each((slot) => at(read(operation.from), slot + operation.by));
      case "dot": {
        const terms = operation.terms.map(({ from, constant }) => ({ from: read(from), factor: constant.values() }));
        return each((slot) => terms.reduce((sum, { from, factor }) => sum + at(from, slot) * at(factor, slot), 0));
      }
      case "add":
        return each((slot) => operation.from.reduce((sum, from) => sum + at(read(from), slot), 0));
      case "shift": {
        const summand = operation.constant.values();
        return each((slot) => at(read(operation.from), slot) + at(summand, slot));
      }
      case "multiply":
        return each((slot) => at(read(operation.left), slot) * at(read(operation.right), slot));
      case "rescale":
        return read(operation.from);
    }
  };
  for (const operation of operations) if (operation.operation !== "free") registers.set(operation.to, compute(operation));
  return outputs.map(read);
}

/** A head that says nothing, for engines whose compiler is given. */
export const emptyHead: Head = { input: "input", shape, normalise: null, layers: [], value: "value", output: shape };

/** Numbers from -1 to 1, the same each time. */
export function numbers(count: number, seed: number): Float64Array {
  return Float64Array.from({ length: count }, (_, index) => Math.sin(index * 1.7 + seed * 31.3));
}
