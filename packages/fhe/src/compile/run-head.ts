/**
 * Runs the first layers without ciphertext: exactly, or as they would come back from it.
 * @module
 */
import { runClear } from "../graph/run-clear.ts";
import type { Head } from "../layer.ts";
import type { Uniform } from "../obfuscation.ts";
import type { Parameters } from "../parameters.ts";
import { compile, type CompileOptions } from "./compile.ts";
import { simulate } from "./simulate.ts";

/** How a head is run without ciphertext. */
export interface RunHeadOptions extends CompileOptions {
  /** "disable": real arithmetic. "simulate": the program on plain numbers, with the rounding and the errors of ciphertext. */
  readonly mode: "disable" | "simulate";
  readonly parameters: Parameters;
  /** For the errors of a simulation; `Math.random` by default. */
  readonly uniform?: Uniform;
}

/**
 * Features (channels, height, width) of a picture (channels, height, width).
 *
 * @throws UnseenError CUT_UNAVAILABLE in a simulation where the head does not fit the parameters
 */
export function runHead(
  head: Head,
  picture: Float64Array,
  { mode, parameters, uniform = Math.random, ...options }: RunHeadOptions,
): Float64Array {
  if (mode === "disable") return runClear(head, picture);
  const program = compile(head, parameters, options);
  return program.unpack(simulate(program, program.pack(picture), { noise: 1, uniform }));
}
