/**
 * Level and scale of every register of a program, before any ciphertext is there: the evaluator follows it, and the client
 * knows from it what the results must look like.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import type { Operation, Program } from "../program.ts";
import type { LevelAndScale } from "../seal/forms.ts";

/** Scales that differ by less than this share are the same number, rounded in another order. */
const SAME_SCALE = 2 ** -40;
/** BFV: bits of the modulus that must remain above plaintext prime and degree for the noise of switching down to it. */
const NOISE_ROOM = 20;

/** What tracking needs of a context. */
export interface Chain {
  readonly primes: readonly bigint[];
  /** Scale of fresh ciphertexts. */
  readonly scale: number;
}

/**
 * Follows a program: level and scale of each register.
 *
 * A `dot` has the scale (prime to be dropped next) x (fresh scale), so that the rescale after it gives exactly the fresh scale.
 *
 * @throws UnseenError CUT_UNAVAILABLE where levels run out, scales differ or the scheme lacks an operation
 */
export function track(program: Program, chain: Chain): ReadonlyMap<number, LevelAndScale> {
  const registers = new Map<number, LevelAndScale>();
  const top: LevelAndScale = { level: chain.primes.length - 1, scale: chain.scale };
  for (let input = 0; input < program.inputs; input += 1) registers.set(input, top);
  const read = (register: number): LevelAndScale => {
    const found = registers.get(register);
    if (!found) throw refuse(`register ${register} is read before it is written`);
    return found;
  };
  for (const operation of program.operations) {
    if (operation.operation === "free") continue;
    if (registers.has(operation.to)) throw refuse(`register ${operation.to} is written twice`);
    const next = follow(operation, read, chain, program.parameters.scheme === "bfv");
    const bits = chain.primes.slice(0, next.level + 1).reduce((sum, prime) => sum + Math.log2(Number(prime)), 0);
    if (Math.log2(next.scale) >= bits) throw refuse("the scale outgrows the primes that are left");
    registers.set(operation.to, next);
  }
  for (const output of program.outputs) read(output);
  return registers;
}

/**
 * Level and scale of each result as it is sent. BFV's are switched down to what their plaintext needs, which halves them.
 *
 * @throws UnseenError CUT_UNAVAILABLE as {@link track}
 */
export function trackResults(program: Program, chain: Chain): LevelAndScale[] {
  const registers = track(program, chain);
  return program.outputs.map((output) => {
    const at = registers.get(output);
    if (!at) throw refuse(`register ${output} is not written`);
    return program.parameters.scheme === "bfv" ? { level: resultLevel(program.parameters, chain, at.level), scale: at.scale } : at;
  });
}

function resultLevel({ degree, plainBits }: { degree: number; plainBits: number }, { primes }: Chain, from: number): number {
  const needed = plainBits + Math.log2(degree) + NOISE_ROOM;
  let bits = 0;
  const level = primes.findIndex((prime) => (bits += Math.log2(Number(prime))) >= needed);
  return level < 0 ? from : Math.min(level, from);
}

function follow(
  operation: Exclude<Operation, { operation: "free" }>,
  read: (register: number) => LevelAndScale,
  chain: Chain,
  integers: boolean,
): LevelAndScale {
  switch (operation.operation) {
    case "rotate":
      if (integers) throw refuse("whole-number programs do not rotate");
      return read(operation.from);
    case "dot": {
      const level = deepest(operation.terms.map(({ from }) => read(from)));
      return { level, scale: integers ? 1 : primeOf(chain, level) * chain.scale };
    }
    case "add": {
      const summands = operation.from.map(read);
      const scale = summands[0]?.scale ?? 1;
      if (summands.some((summand) => Math.abs(summand.scale / scale - 1) > SAME_SCALE)) throw refuse("summands have different scales");
      return { level: deepest(summands), scale };
    }
    case "shift":
      return read(operation.from);
    case "multiply": {
      const [left, right] = [read(operation.left), read(operation.right)];
      return { level: deepest([left, right]), scale: left.scale * right.scale };
    }
    case "rescale": {
      const { level, scale } = read(operation.from);
      if (integers) throw refuse("whole-number programs do not rescale");
      return { level: level - 1, scale: scale / primeOf(chain, level) };
    }
  }
}

function deepest(registers: readonly LevelAndScale[]): number {
  if (registers.length === 0) throw refuse("an operation has no operand");
  return Math.min(...registers.map(({ level }) => level));
}

/** The prime that the next rescale drops; the first is never dropped. */
function primeOf({ primes }: Chain, level: number): number {
  const prime = primes[level];
  if (level < 1 || prime === undefined) throw refuse("more products in a row than the parameters have levels");
  return Number(prime);
}

function refuse(problem: string): UnseenError {
  return new UnseenError("CUT_UNAVAILABLE", `the program cannot be run: ${problem}.`, {
    hint: "Choose an earlier cut or larger parameters.",
  });
}
