/**
 * First layers on ciphertext: what they cost beside the same layers plain and under equivariant encryption, and how workers add up.
 * @module
 */
import { createEvaluator } from "@unseen/fhe/evaluator/pool.ts";
import { openFirstLayers, pictureFor, prepareJob } from "unseen/compare/ciphertext-job.ts";
import { measureFirstLayers, type CutTimes, type SchemeTimes } from "./first-layers.ts";
import { alternate, median, medianRatio, seconds, type Figure } from "./measure.ts";

const JOBS = 8;
const ROUNDS = 3;

export async function fhe(): Promise<Figure[]> {
  const figures: Figure[] = [];
  let memory = 0;
  for await (const times of measureFirstLayers()) {
    figures.push(...cutFigures(times));
    memory = Math.max(memory, times.memory);
  }
  figures.push({ name: "memory of the process, all cuts in turn (RSS)", value: memory, unit: "MiB" });
  figures.push(...(await throughput()));
  return figures;
}

function cutFigures({ cut, layers, plain, encrypted, onCiphertext }: CutTimes): Figure[] {
  return [
    { name: `cut ${cut}, plain: ${layers.join(", ")}`, value: 1e6 * median(plain), unit: "µs" },
    { name: `cut ${cut}, EE`, value: 1e6 * median(encrypted), unit: "µs" },
    { name: `cut ${cut}, EE : plain, time`, value: medianRatio(encrypted, plain), unit: "" },
    ...onCiphertext.flatMap((each) => schemeFigures(`cut ${cut}, ${each.parameters.scheme.toUpperCase()}`, each, plain)),
  ];
}

function schemeFigures(title: string, { warm, seconds: stages, bytes }: SchemeTimes, plain: readonly number[]): Figure[] {
  const kilobytes = (value: number): Pick<Figure, "value" | "unit"> => ({ value: value / 1000, unit: "kB" });
  return [
    { name: `${title}: evaluate, keys and weights loaded`, value: median(warm), unit: "s" },
    { name: `${title}: FHE : plain, time`, value: medianRatio(warm, plain), unit: "" },
    { name: `${title}: evaluate, from the worker's start`, value: stages.cold, unit: "s" },
    { name: `${title}: make keys, context included`, value: stages.keys, unit: "s" },
    { name: `${title}: encrypt`, value: stages.encrypt, unit: "s" },
    { name: `${title}: decrypt`, value: stages.decrypt, unit: "s" },
    { name: `${title}: keys`, ...kilobytes(bytes.keys) },
    { name: `${title}: picture`, ...kilobytes(bytes.picture) },
    { name: `${title}: features`, ...kilobytes(bytes.features) },
  ];
}

/** Independent jobs of the last cut, one worker against two. */
async function throughput(): Promise<Figure[]> {
  const { heads, planned } = openFirstLayers();
  const { cut, parameters } = planned.at(-1)!;
  const head = heads[cut - 1]!;
  const job = await prepareJob(head, parameters, pictureFor(head));
  const pools = [1, 2].map((workers) => ({ workers, evaluator: createEvaluator({ workers }) }));
  try {
    const atOnce = (evaluator: (typeof pools)[number]["evaluator"], count: number): Promise<number> =>
      seconds(() => Promise.all(Array.from({ length: count }, () => job.evaluate(evaluator))));
    // One each first, so that every worker has keys and weights.
    for (const { workers, evaluator } of pools) await atOnce(evaluator, workers);
    const cores: number[] = [];
    const times = await alternate(ROUNDS, {
      one: () => atOnce(pools[0]!.evaluator, JOBS),
      two: async () => {
        const before = process.cpuUsage();
        const elapsed = await atOnce(pools[1]!.evaluator, JOBS);
        const { user, system } = process.cpuUsage(before);
        cores.push((user + system) / 1e6 / elapsed);
        return elapsed;
      },
    });
    const title = `cut ${cut}, ${parameters.scheme.toUpperCase()}, ${JOBS} jobs at once`;
    return [
      { name: `${title}, one worker`, value: JOBS / median(times.one), unit: "pictures/s" },
      { name: `${title}, two workers`, value: JOBS / median(times.two), unit: "pictures/s" },
      { name: `${title}, two workers : one, speed`, value: medianRatio(times.one, times.two), unit: "" },
      // Below two, others had the machine, and the ratio says nothing about the workers.
      { name: `${title}, two workers, what they got of the machine`, value: median(cores), unit: "cores" },
    ];
  } finally {
    job.close();
    await Promise.all(pools.map(({ evaluator }) => evaluator.close()));
  }
}
