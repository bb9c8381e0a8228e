/**
 * How long a program takes, from what its operations were measured to take.
 * @module
 */
import { nominalChain } from "../compile/nominal-chain.ts";
import { readsOf } from "../compile/program-writer.ts";
import { track } from "../evaluator/track.ts";
import type { Calibration } from "../plan.ts";
import type { Operation, Program } from "../program.ts";

/**
 * Seconds on one thread for a picture whose keys and weights are not yet loaded.
 *
 * @throws UnseenError CUT_UNAVAILABLE for a program that needs more levels than its parameters have
 */
export function estimateSeconds(program: Program, calibration: Calibration): number {
  const places = track(program, nominalChain(program.parameters));
  const keys = program.rotations.length + (program.relinearises ? 1 : 0);
  return program.operations.reduce(
    (sum, operation) =>
      sum + secondsOf(operation, Math.min(...readsOf(operation).map((from) => places.get(from)?.level ?? 0)), calibration),
    program.inputs * calibration.load + keys * calibration.loadKey,
  );
}

function secondsOf(operation: Operation, level: number, calibration: Calibration): number {
  const at = (seconds: readonly number[]): number => seconds[level] ?? 0;
  const { encode, multiplyPlain, add, multiply, relinearise, rotate, rescale } = calibration;
  switch (operation.operation) {
    case "dot":
      return operation.terms.length * (at(encode) + at(multiplyPlain) + at(add));
    case "shift":
      return at(encode) + at(add);
    case "add":
      return (operation.from.length - 1) * at(add);
    case "multiply":
      return at(multiply) + at(relinearise);
    case "rotate":
      return at(rotate);
    case "rescale":
      return at(rescale);
    case "free":
      return 0;
  }
}
