/**
 * Runs a program on ciphertexts.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import type { Constant, Operation, Program } from "../program.ts";
import type { SealContext } from "../seal/context.ts";
import type { LevelAndScale } from "../seal/forms.ts";
import type { Ciphertext, Plaintext, SwitchingKeys } from "../seal/library.ts";
import type { Constants } from "./constants.ts";
import { track, trackResults } from "./track.ts";

/** Keys as SEAL has loaded them; null where the program needs none. */
export interface LoadedKeys {
  readonly relinearisation: SwitchingKeys | null;
  readonly rotation: SwitchingKeys | null;
}

/** What a run needs besides the ciphertexts. */
export interface Run {
  readonly context: SealContext;
  readonly constants: Constants;
  readonly program: Program;
  /** Names the program in the cache of constants. */
  readonly programId: string;
  readonly keys: LoadedKeys;
}

/**
 * Computes the program's outputs; the caller deletes them. Inputs are deleted here, in any case.
 *
 * BFV ciphertexts are moved to and from NTT form as products need it; CKKS's are always in it.
 *
 * @throws UnseenError CUT_UNAVAILABLE for a program that these parameters cannot run; whatever SEAL throws
 */
export function runProgram(run: Run, inputs: readonly Ciphertext[]): Ciphertext[] {
  const registers = new Registers(run, inputs);
  try {
    const places = track(run.program, run.context);
    const results = trackResults(run.program, run.context);
    for (const operation of run.program.operations) {
      if (operation.operation === "free") registers.free(operation.from);
      else registers.write(operation, placeOf(places, operation.to));
    }
    return run.program.outputs.map((output, index) => registers.result(output, results[index] ?? placeOf(places, output)));
  } catch (error) {
    registers.freeResults();
    throw error;
  } finally {
    registers.freeAll();
  }
}

function placeOf(places: ReadonlyMap<number, LevelAndScale>, register: number): LevelAndScale {
  const place = places.get(register);
  if (!place) throw new UnseenError("INTERNAL", `register ${register} has no level.`);
  return place;
}

interface Register {
  readonly ciphertext: Ciphertext;
  readonly level: number;
  readonly scale: number;
  ntt: boolean;
}

class Registers {
  readonly #run: Run;
  readonly #context: SealContext;
  readonly #integers: boolean;
  readonly #registers = new Map<number, Register>();
  readonly #results: Ciphertext[] = [];

  constructor(run: Run, inputs: readonly Ciphertext[]) {
    this.#run = run;
    this.#context = run.context;
    this.#integers = run.context.parameters.scheme === "bfv";
    const { top: level, scale } = run.context;
    for (const [index, ciphertext] of inputs.entries()) this.#registers.set(index, { ciphertext, level, scale, ntt: !this.#integers });
  }

  write(operation: Exclude<Operation, { operation: "free" }>, place: LevelAndScale): void {
    const ciphertext = this.#context.seal.CipherText();
    // kept before it is computed, so that it is freed when SEAL throws
    const register: Register = { ciphertext, ...place, ntt: !this.#integers };
    this.#registers.set(operation.to, register);
    register.ntt = this.#compute(operation, place, ciphertext);
    ciphertext.setScale(place.scale);
  }

  free(register: number): void {
    this.#registers.get(register)?.ciphertext.delete();
    this.#registers.delete(register);
  }

  freeAll(): void {
    for (const { ciphertext } of this.#registers.values()) ciphertext.delete();
    this.#registers.clear();
  }

  freeResults(): void {
    for (const ciphertext of this.#results) ciphertext.delete();
  }

  /** A register as it is sent: a copy, since two outputs can be the same register. */
  result(register: number, { level, scale }: LevelAndScale): Ciphertext {
    const source = this.#read(register);
    if (this.#integers) this.#transform(source, false);
    const to = this.#context.seal.CipherText();
    this.#results.push(to);
    this.#context.evaluator.cipherModSwitchTo(source.ciphertext, this.#context.level(level), to);
    to.setScale(scale);
    return to;
  }

  /** @returns whether the result is in NTT form */
  #compute(operation: Exclude<Operation, { operation: "free" }>, place: LevelAndScale, to: Ciphertext): boolean {
    const { evaluator } = this.#context;
    switch (operation.operation) {
      case "rotate":
        evaluator.rotateVector(this.#read(operation.from).ciphertext, operation.by, this.#key("rotation"), to);
        return true;
      case "dot":
        this.#dot(operation.terms, place, to);
        return true;
      case "add":
        return this.#add(operation.from, place, to);
      case "shift": {
        const from = this.#read(operation.from);
        if (this.#integers) this.#transform(from, false);
        this.#encoded(operation.constant, from, false, (plaintext) => evaluator.addPlain(from.ciphertext, plaintext, to));
        return from.ntt;
      }
      case "multiply":
        this.#multiply(operation.left, operation.right, place, to);
        return !this.#integers;
      case "rescale":
        evaluator.rescaleToNext(this.#read(operation.from).ciphertext, to);
        return true;
    }
  }

  #dot(terms: readonly { readonly from: number; readonly constant: Constant }[], place: LevelAndScale, to: Ciphertext): void {
    const { evaluator, seal } = this.#context;
    const product = seal.CipherText();
    let started = false;
    try {
      for (const { from, constant } of terms) {
        const source = this.#read(from);
        if (this.#integers) this.#transform(source, true);
        this.#at(source, place.level, (ciphertext) =>
          this.#encoded(constant, { level: place.level, scale: place.scale / source.scale }, true, (plaintext) => {
            // weights can be too small for the scale, and SEAL refuses a product with zero
            if (plaintext.isZero) return;
            evaluator.multiplyPlain(ciphertext, plaintext, started ? product : to);
            (started ? product : to).setScale(place.scale);
            if (started) evaluator.add(to, product, to);
            started = true;
          }),
        );
      }
    } finally {
      product.delete();
    }
    if (!started)
      throw new UnseenError("CUT_UNAVAILABLE", "the program cannot be run: all weights of a product are zero in fixed point.", {
        hint: "Choose another cut.",
      });
  }

  #add(from: readonly number[], { level, scale }: LevelAndScale, to: Ciphertext): boolean {
    const summands = from.map((register) => this.#read(register));
    const ntt = summands.some((summand) => summand.ntt);
    for (const [index, summand] of summands.entries()) {
      if (this.#integers) this.#transform(summand, ntt);
      this.#at(summand, level, (ciphertext) => {
        if (index === 0) return this.#context.evaluator.cipherModSwitchTo(ciphertext, this.#context.level(level), to);
        // the same scale but for rounding, which SEAL compares exactly
        ciphertext.setScale(scale);
        this.#context.evaluator.add(to, ciphertext, to);
      });
    }
    return ntt;
  }

  #multiply(left: number, right: number, { level }: LevelAndScale, to: Ciphertext): void {
    const { evaluator } = this.#context;
    const [first, second] = [this.#read(left), this.#read(right)];
    if (this.#integers) for (const factor of [first, second]) this.#transform(factor, false);
    this.#at(first, level, (one) => {
      if (left === right) evaluator.square(one, to);
      else this.#at(second, level, (other) => evaluator.multiply(one, other, to));
    });
    evaluator.relinearize(to, this.#key("relinearisation"), to);
  }

  /** Calls `use` with the register's ciphertext at a level that is not above its own. */
  #at(register: Register, level: number, use: (ciphertext: Ciphertext) => void): void {
    if (register.level === level) return use(register.ciphertext);
    const lower = this.#context.seal.CipherText();
    try {
      this.#context.evaluator.cipherModSwitchTo(register.ciphertext, this.#context.level(level), lower);
      use(lower);
    } finally {
      lower.delete();
    }
  }

  /** Moves a BFV register to or from NTT form, where it stays. */
  #transform(register: Register, ntt: boolean): void {
    const { evaluator } = this.#context;
    const { ciphertext } = register;
    if (register.ntt === ntt) return;
    if (ntt) evaluator.cipherTransformToNtt(ciphertext, ciphertext);
    else evaluator.cipherTransformFromNtt(ciphertext, ciphertext);
    register.ntt = ntt;
  }

  /** Calls `use` with a constant as a plaintext: at the top first, since SEAL encodes there, then at its level. */
  #encoded<Result>(
    { values, id }: Constant,
    { level, scale }: LevelAndScale,
    factor: boolean,
    use: (plaintext: Plaintext) => Result,
  ): Result {
    const context = this.#context;
    const { evaluator, parameters } = context;
    const residues = this.#integers && !factor ? 1 : level + 1;
    const make = (): Plaintext => {
      const slots = values();
      context.checkValues(slots);
      const plaintext = context.encode(slots, scale);
      try {
        if (this.#integers && factor && !plaintext.isZero) evaluator.plainTransformToNtt(plaintext, context.level(level), plaintext);
        if (!this.#integers && level < context.top) {
          evaluator.plainModSwitchTo(plaintext, context.level(level), plaintext);
          plaintext.shrinkToFit();
        }
        return plaintext;
      } catch (error) {
        plaintext.delete();
        throw error;
      }
    };
    const name = `${id}/${level}/${scale}/${factor ? "factor" : "summand"}`;
    return this.#run.constants.with(this.#run.programId, name, residues * parameters.degree * 8, make, use);
  }

  #key(kind: keyof LoadedKeys): SwitchingKeys {
    const key = this.#run.keys[kind];
    if (!key)
      throw new UnseenError("CIPHERTEXT_INVALID", `the program needs the ${kind} key, which is missing.`, {
        hint: "Send all keys of the session.",
      });
    return key;
  }

  #read(register: number): Register {
    const found = this.#registers.get(register);
    if (!found) throw new UnseenError("INTERNAL", `register ${register} is read after it was freed.`);
    return found;
  }
}
