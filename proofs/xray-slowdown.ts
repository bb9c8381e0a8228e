/**
 * What the first layers cost on ciphertext, beside the same layers plain and under equivariant encryption.
 * @module
 */
import { measureFirstLayers } from "../bench/first-layers.ts";
import { median, medianRatio } from "../bench/measure.ts";
import type { Finding } from "./proof.ts";

/** Ratios of one run in which all take turns; they hold on this machine, so there is no bar. */
export async function* slowdownFindings(note: (line: string) => void): AsyncGenerator<Finding> {
  for await (const { cut, plain, encrypted, onCiphertext } of measureFirstLayers(note)) {
    const title = `first layers, cut ${cut}`;
    yield measured(`${title}: EE : plain`, medianRatio(encrypted, plain), `${microseconds(encrypted)} : ${microseconds(plain)}`);
    for (const { parameters, warm } of onCiphertext) {
      const times = `${(1e3 * median(warm)).toFixed(0)} ms : ${microseconds(plain)}`;
      yield measured(`${title}, ${parameters.scheme.toUpperCase()}: FHE : plain`, medianRatio(warm, plain), times);
    }
  }
}

function measured(claim: string, ratio: number, times: string): Finding {
  const shown = ratio >= 100 ? ratio.toPrecision(2) : ratio.toFixed(2);
  return { claim, figure: `${Number(shown).toLocaleString("en")} times the seconds (${times})`, bar: "-", holds: true };
}

function microseconds(seconds: readonly number[]): string {
  return `${(1e6 * median(seconds)).toFixed(0)} µs`;
}
