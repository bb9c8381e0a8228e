/**
 * Runs a program on plain numbers, with the levels, scales, bounds and errors of ciphertext.
 * @module
 */
import { track } from "../evaluator/track.ts";
import { gaussian, type Uniform } from "../obfuscation.ts";
import type { Parameters } from "../parameters.ts";
import type { Operation, Program } from "../program.ts";
import type { LevelAndScale } from "../seal/forms.ts";
import { nominalChain } from "./nominal-chain.ts";
import { modulo } from "./program-writer.ts";

/** Which errors a simulation makes. */
export interface SimulateOptions {
  /** Share of the error that CKKS makes: 1 as SEAL does, 0 = exact. */
  readonly noise?: number;
  readonly uniform: Uniform;
}

/**
 * Standard deviation of the error in a slot, times the scale, per degree N. Measured with SEAL 4.1 (N = 8192 and 16384, scale
 * 2^40): a rescale 1.24e-9 and 2.5e-9, a rotation 1.2e-8 and 1.9e-8 to 2.9e-8; encryption 3.2 sqrt(N / 2).
 */
const ERROR = { rescale: 1 / 6, switchKey: 1.6 } as const;

/**
 * Slots of each output of a program from the slots of each input.
 *
 * @throws UnseenError CUT_UNAVAILABLE where levels run out or scales differ
 * @throws Error where a register is used after it was freed, a step has no key, a constant is zero, or a number leaves the range
 *   that the primes leave it
 */
export function simulate(program: Program, inputs: readonly Float64Array[], { noise = 0, uniform }: SimulateOptions): Float64Array[] {
  const chain = nominalChain(program.parameters);
  const places = track(program, chain);
  const placeOf = (register: number): LevelAndScale => places.get(register) ?? { level: 0, scale: 1 };
  const error = errorsOf(program.parameters, noise, uniform);
  const registers = new Map<number, Float64Array>();
  const read = (register: number): Float64Array => {
    const found = registers.get(register);
    if (!found) throw new Error(`register ${register} is read before it is written or after it was freed`);
    return found;
  };
  const write = (register: number, values: Float64Array): void => {
    const { level, scale } = placeOf(register);
    const limit = limitOf(program.parameters, chain.primes, level, scale);
    for (const value of values)
      if (!(Math.abs(value) < limit)) throw new Error(`register ${register} holds ${value}; its level allows magnitudes below ${limit}`);
    registers.set(register, values);
  };
  if (inputs.length !== program.inputs) throw new Error(`expected ${program.inputs} inputs, got ${inputs.length}`);
  for (const [register, values] of inputs.entries())
    write(register, error(values, 3.2 / Math.sqrt(2 * program.parameters.degree), placeOf(register)));
  for (const operation of program.operations) {
    if (operation.operation === "free") {
      read(operation.from);
      registers.delete(operation.from);
      continue;
    }
    checkKeys(operation, program);
    write(operation.to, error(apply(operation, program.slots, read), errorOf(operation), placeOf(operation.to)));
  }
  return program.outputs.map(read);
}

function apply(
  operation: Exclude<Operation, { operation: "free" }>,
  slots: number,
  read: (register: number) => Float64Array,
): Float64Array {
  switch (operation.operation) {
    case "rotate": {
      const from = read(operation.from);
      return from.map((_, slot) => from[modulo(slot + operation.by, slots)] ?? 0);
    }
    case "dot": {
      const sum = new Float64Array(slots);
      for (const { from, constant } of operation.terms) {
        const [values, factors] = [read(from), constant.values()];
        if (factors.every((factor) => factor === 0)) throw new Error(`constant ${constant.id} is zero everywhere`);
        for (let slot = 0; slot < slots; slot += 1) sum[slot] = (sum[slot] ?? 0) + (values[slot] ?? 0) * (factors[slot] ?? 0);
      }
      return sum;
    }
    case "add": {
      const summands = operation.from.map(read);
      return new Float64Array(slots).map((_, slot) => summands.reduce((sum, values) => sum + (values[slot] ?? 0), 0));
    }
    case "shift": {
      const [from, constant] = [read(operation.from), operation.constant.values()];
      return from.map((value, slot) => value + (constant[slot] ?? 0));
    }
    case "multiply": {
      const [left, right] = [read(operation.left), read(operation.right)];
      return left.map((value, slot) => value * (right[slot] ?? 0));
    }
    case "rescale":
      return read(operation.from).slice();
  }
}

function checkKeys(operation: Operation, program: Program): void {
  if (operation.operation === "rotate" && !program.rotations.includes(operation.by))
    throw new Error(`there is no key for rotations by ${operation.by}`);
  if (operation.operation === "multiply" && !program.relinearises) throw new Error("there is no key for products of ciphertexts");
}

function errorOf({ operation }: Operation): number {
  return operation === "rescale" ? ERROR.rescale : operation === "rotate" || operation === "multiply" ? ERROR.switchKey : 0;
}

type AddError = (values: Float64Array, deviation: number, at: LevelAndScale) => Float64Array;

function errorsOf(parameters: Parameters, noise: number, uniform: Uniform): AddError {
  if (parameters.scheme === "bfv" || noise === 0) return (values) => values;
  return (values, deviation, { scale }) => {
    const spread = (noise * deviation * parameters.degree) / scale;
    return spread === 0 ? values : values.map((value) => value + gaussian(uniform) * spread);
  };
}

/** Magnitude that a number must stay below: half the modulus over the scale; half of what is left for BFV, as whole-number programs promise. */
function limitOf(parameters: Parameters, primes: readonly bigint[], level: number, scale: number): number {
  if (parameters.scheme === "bfv") return 2 ** (parameters.plainBits - 2);
  return primes.slice(0, level + 1).reduce((product, prime) => product * Number(prime), 1) / (2 * scale);
}
