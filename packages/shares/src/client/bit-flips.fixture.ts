/**
 * Trials in which one bit of one number of one answer is flipped on the way: is it found, and is the right server named?
 * @module
 */
import { deriveRandom } from "@unseen/core/algebra/random.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { frameTypes } from "../protocol.ts";
import { startProxy } from "./proxy.fixture.ts";
import { RemoteMultiplier } from "./remote-multiplier.ts";
import { randomRows, type ShareModel } from "./share-model.fixture.ts";

export interface BitFlipResult {
  readonly trials: number;
  /** Ended in VERIFICATION_FAILED. */
  readonly caught: number;
  /** And named the server whose answer was changed, and it alone. */
  readonly named: number;
}

/** Runs trials against two servers of the model; each draws the server, the group, the rows, the number and the bit from the seed. */
export async function flipBits(model: ShareModel, urlA: string, urlB: string, trials: number, seed: Uint8Array): Promise<BitFlipResult> {
  const proxies = [await startProxy(urlA), await startProxy(urlB)] as const;
  const random = deriveRandom(seed, "bit flips");
  let [caught, named] = [0, 0];
  try {
    for (let trial = 0; trial < trials; trial += 1) {
      const multiplier = await RemoteMultiplier.connect({
        ...model,
        urlA: proxies[0].url,
        urlB: proxies[1].url,
        allowSameOperator: true,
      });
      const [liar, group, count] = [random.below(2) as 0 | 1, random.below(model.layout.groups.length), 1 + random.below(3)];
      let flipped = false;
      proxies[liar].meddle = (frame) => {
        if (frame.type !== frameTypes.products) return frame;
        frame.payload[random.below(frame.payload.length)]! ^= 1 << random.below(8);
        flipped = true;
        return frame;
      };
      try {
        await multiplier.multiply(group, randomRows(model, group, count, `trial ${trial}`), count);
      } catch (error) {
        if (!UnseenError.isInstance(error) || error.code !== "VERIFICATION_FAILED" || !flipped) throw error;
        caught += 1;
        if (error.message.startsWith(`server ${"AB"[liar]} at ${proxies[liar].url} answered wrongly`)) named += 1;
      } finally {
        proxies[liar].meddle = (frame) => frame;
        multiplier.close();
      }
    }
  } finally {
    await Promise.all(proxies.map((proxy) => proxy.close()));
  }
  return { trials, caught, named };
}
