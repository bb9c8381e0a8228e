/**
 * Random graphs of all supported operators, under random keys: the encrypted model, deciphered, is the plain one.
 * `UNSEEN_TRACE_GRAPHS` says how many graphs, `UNSEEN_TRACE_SEED` which is the first.
 * @module
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { compareGraph, scratch } from "./encrypted-run.fixture.ts";
import { GraphRuntime } from "./graph-runtime.fixture.ts";
import { drawGraph } from "./random-graph.fixture.ts";

const GRAPHS = Number(process.env["UNSEEN_TRACE_GRAPHS"] ?? 150);
const FIRST = Number(process.env["UNSEEN_TRACE_SEED"] ?? 1);
/** Sizes of open dimensions that the tracer never sees. */
const SIZES = [
  { batch: 4, sequence: 6 },
  { batch: 1, sequence: 1 },
  { batch: 5, sequence: 9 },
];
/** Largest relative difference in 32-bit arithmetic; more is allowed only where the plain model itself changes as much by rounding. */
const EXACT = 1e-5;
const ROUNDING = 50;
const AT_ONCE = 4;

let runtime: GraphRuntime;
const place = scratch();

before(async () => {
  runtime = await GraphRuntime.open();
});

after(() => {
  runtime.close();
  place.remove();
});

test(`${GRAPHS} random graphs, both strengths: encrypted equals plain`, async (context) => {
  const failures: string[] = [];
  const totals = { runs: 0, worst: 0, parameters: 0, isProtected: 0 };
  const compareOne = async (seed: number): Promise<void> => {
    const graph = drawGraph(seed);
    for (const strength of ["permute", "rotate"] as const) {
      try {
        const { difference, sensitivity, runs, result, sameBits } = await compareGraph(
          { builder: graph.builder, seed, strength, sizes: graph.open.length > 0 ? SIZES : [{}] },
          runtime,
          place.path,
        );
        totals.runs += runs;
        if (difference <= EXACT) totals.worst = Math.max(totals.worst, difference);
        else if (difference > ROUNDING * sensitivity) failures.push(`seed ${seed} ${strength}: differs by ${difference}`);
        if (!sameBits) failures.push(`seed ${seed}: permute changed a stored number`);
        if (strength === "rotate") {
          totals.parameters += result.parameters;
          totals.isProtected += result.protectedParameters;
        }
      } catch (error) {
        failures.push(`seed ${seed} ${strength}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  };
  let next = FIRST;
  const worker = async (): Promise<void> => {
    while (next < FIRST + GRAPHS) await compareOne(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const share = totals.isProtected / totals.parameters;
  context.diagnostic(
    `seeds ${FIRST} to ${FIRST + GRAPHS - 1}: ${totals.runs} comparisons, largest relative difference ${totals.worst.toExponential(1)}, ${(100 * share).toFixed(1)} % of the weights under a key`,
  );
  assert.deepEqual(failures, []);
  assert.ok(totals.runs >= GRAPHS, "most graphs run");
  // Not by doing nothing: random graphs also hold operators that fix what they touch.
  assert.ok(share > 0.85, `${share} of the weights are under a key`);
});
