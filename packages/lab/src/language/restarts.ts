/**
 * Several climbs from one start: where one ends depends on its first steps, and the likelihood tells which went well.
 * @module
 */
import type { Context } from "../attack.ts";
import { climb, type Schedule, type Source } from "./climb.ts";
import type { SearchState } from "./search-state.ts";

/** The best of several climbs. */
export interface BestClimb {
  readonly logLikelihood: number;
  /** Of all climbs. */
  readonly moves: number;
  readonly movesPerSecond: number;
}

/** Climbs `times` times from `order`, each time as `schedule` says, and leaves the state at the likeliest end. */
export async function climbRepeatedly(
  state: SearchState,
  order: Uint32Array,
  source: Source,
  { times, schedule }: { readonly times: number; readonly schedule: Schedule },
  { random, proceed }: Context,
): Promise<BestClimb> {
  state.assign(order);
  let best = { order, logLikelihood: state.total() };
  let [moves, seconds] = [0, 0];
  for (let time = 0; time < times; time += 1) {
    state.assign(order);
    const climbed = await climb(state, source, schedule, random, (done) => proceed((time + done) / times));
    moves += climbed.moves;
    seconds += climbed.seconds;
    const logLikelihood = state.total();
    if (logLikelihood > best.logLikelihood) best = { order: state.plain.slice(), logLikelihood };
    if (!climbed.finished) break;
  }
  state.assign(best.order);
  return { logLikelihood: best.logLikelihood, moves, movesPerSecond: moves / Math.max(seconds, 1e-9) };
}
