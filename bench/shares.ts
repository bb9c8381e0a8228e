/**
 * Two servers: tokens a second at several distances beside the same kernels without protection, bytes, and the kernels alone.
 * @module
 */
import { kernelRates, measureSpeeds } from "../proofs/shares-speed.ts";
import type { Figure } from "./measure.ts";

export async function shares(): Promise<Figure[]> {
  const { name, groups, plain, distances } = await measureSpeeds();
  return [
    { name: `${name}, without protection, on the servers' kernels`, value: 1 / plain, unit: "tokens/s" },
    ...distances.flatMap(({ roundTrip, seconds }): Figure[] => [
      { name: `${name}, two servers, ${groups} round trips of ${roundTrip} ms`, value: 1 / seconds, unit: "tokens/s" },
      { name: `${name}, two servers at ${roundTrip} ms : without protection, time`, value: seconds / plain, unit: "" },
    ]),
    { name: `${name}, to and from both servers`, value: distances[0]!.bytes / 1000, unit: "kB/token" },
    ...kernelRates().map(({ shape, rate }): Figure => ({ name: `kernel, one thread, ${shape}`, value: rate, unit: "GMAC/s" })),
  ];
}
