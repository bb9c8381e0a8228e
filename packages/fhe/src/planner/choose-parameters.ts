/**
 * The smallest parameters that a head fits.
 * @module
 */
import { UnseenError } from "@unseen/core/errors.ts";
import { compileDeep } from "../compile/compile.ts";
import type { Head } from "../layer.ts";
import { deep, exact, exactWide, levelsOf, shallow, wide, type Parameters } from "../parameters.ts";
import type { Program } from "../program.ts";

/** What a head needs. */
export interface Choice {
  /** For the smallest parameters that fit, or for the largest, if none do. */
  readonly program: Program;
  /** Why it cannot run even so; null where it can. */
  readonly problem: string | null;
}

/** Parameters of each scheme, the smallest first. */
const SETS: Readonly<Record<Parameters["scheme"], readonly Parameters[]>> = { ckks: [shallow, wide, deep], bfv: [exact, exactWide] };

/**
 * Compiles a head for the smallest parameters of a scheme that it fits.
 *
 * @throws UnseenError CUT_UNAVAILABLE where no parameters of the scheme serve the head, whatever its depth
 */
export function chooseParameters(head: Head, scheme: Parameters["scheme"]): Choice {
  let deepest: Program | undefined;
  let refusal: UnseenError | undefined;
  for (const parameters of SETS[scheme]) {
    try {
      const program = compileDeep(head, parameters);
      if (program.depth <= products(parameters)) return { program, problem: null };
      deepest = program;
    } catch (error) {
      if (!UnseenError.isInstance(error) || error.code !== "CUT_UNAVAILABLE") throw error;
      refusal = error;
    }
  }
  if (!deepest) throw refusal ?? new UnseenError("CUT_UNAVAILABLE", "no parameters serve the cut.", { hint: "Choose an earlier cut." });
  const most = Math.max(...SETS[scheme].map(products));
  return {
    program: deepest,
    problem: `needs ${deepest.depth} products in a row; the deepest parameters allow ${most}. An earlier cut, or polynomials of lower degree, would fit`,
  };
}

function products(parameters: Parameters): number {
  return parameters.scheme === "ckks" ? levelsOf(parameters) : 1;
}
