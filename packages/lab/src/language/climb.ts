/**
 * Climbing and annealing: one exchange after another, kept where it makes the traffic likelier.
 * @module
 */
import type { RandomStream } from "@unseen/core/algebra/random.ts";
import type { Context } from "../attack.ts";
import type { SearchState } from "./search-state.ts";

/** How long and how warm. */
export interface Schedule {
  readonly moves: number;
  /** Nats: an exchange that costs as much as the temperature is kept once in e times. 0 keeps none that cost. */
  readonly hot: number;
  /** The temperature at the end, reached geometrically. */
  readonly cold: number;
}

/** Where exchanges come from; see {@link Proposals}. */
export interface Source {
  readonly x: number;
  readonly y: number;
  draw(): void;
}

/** What a climb did. */
export interface Climbed {
  readonly moves: number;
  readonly accepted: number;
  readonly seconds: number;
  /** False where the time was up before. */
  readonly finished: boolean;
}

/** Moves between two looks at the clock. */
const STRIDE = 4096;

/**
 * Changes the state by simulated annealing, or by hill climbing at temperature 0.
 *
 * Source: Kirkpatrick, Gelatt and Vecchi 1983; for ciphers, Jakobsen 1995, "A fast method for cryptanalysis of substitution ciphers".
 */
export async function climb(
  state: SearchState,
  source: Source,
  { moves, hot, cold }: Schedule,
  random: RandomStream,
  proceed: Context["proceed"],
): Promise<Climbed> {
  const started = performance.now();
  const cooling = hot > 0 ? Math.log(cold / hot) : 0;
  let accepted = 0;
  let done = 0;
  let finished = true;
  while (done < moves) {
    finished = await proceed(done / moves);
    if (!finished) break;
    const end = Math.min(moves, done + STRIDE);
    for (; done < end; done += 1) {
      source.draw();
      const gain = state.gain(source.x, source.y);
      // A gain of 0 keeps what there is: equal choices would wander off from where they started.
      if (gain > 0 || (hot > 0 && gain < 0 && random.uniform() < Math.exp(gain / (hot * Math.exp(cooling * (done / moves)))))) {
        state.swap(source.x, source.y);
        accepted += 1;
      }
    }
  }
  return { moves: done, accepted, seconds: (performance.now() - started) / 1000, finished };
}
