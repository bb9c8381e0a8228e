/**
 * Tries out on the loaded model what {@link planBatches} read off the shapes: the same row alone, beside another one, and padded.
 * Dynamic quantisation, for one, makes a row's result depend on its neighbours, and nothing in the shapes says so.
 * @module
 */
import type { PublicInterface } from "@unseen/core/blueprint/interface.ts";
import { bytesOf, type FeedType } from "./numbers.ts";
import { isPerRow, isPerToken, type BatchPlan } from "./plan.ts";
import type { Output } from "./protocol.ts";
import { assemble, takeApart, type Batch, type Row } from "./rows.ts";

const SHORT = 5; // tokens
const LONG = 9; // tokens

export interface ProbeOptions {
  readonly interface: PublicInterface;
  readonly maximumLength: number;
  /** Difference, relative to the largest value, that is nothing but rounding. */
  readonly tolerance: number;
  run(batch: Batch): Promise<Output>;
}

/** The plan without what did not hold. A model that cannot be tried out gets a plan that takes nothing for granted. */
export async function probe(plan: BatchPlan, options: ProbeOptions): Promise<BatchPlan> {
  const { inputs } = options.interface;
  const cautious: BatchPlan = { ...plan, mixesRows: false, pads: false };
  const rowAt = rowMaker(options.interface, plan);
  if (!plan.hasRows || rowAt === null) return cautious;
  const run = async (...rows: Row[]): Promise<{ batch: Batch; output: Output }> => {
    const batch = assemble(rows, options.interface, plan);
    return { batch, output: await options.run(batch) };
  };
  try {
    if (!inputs.some(isPerToken)) {
      const [first, second] = [rowAt(0, 1), rowAt(1, 1)];
      const alone = await run(first);
      if (alone.output.shape[0] !== alone.batch.rows) return { ...cautious, hasRows: false };
      const outputValues = alone.output.data.length / alone.batch.rows;
      if (plan.fixedRows === 1) return { ...plan, outputValues };
      const together = await run(first, second);
      return { ...plan, outputValues, mixesRows: isSame(rowOf(alone, 0, plan), rowOf(together, 0, plan), options.tolerance) };
    }
    const long = Math.min(plan.fixedLength ?? LONG, options.maximumLength);
    const short = plan.fixedLength === null || plan.pads ? Math.min(SHORT, Math.max(1, long - 1)) : long;
    const alone = await run(rowAt(0, short));
    const other = await run(rowAt(1, long));
    if (alone.output.shape[0] !== alone.batch.rows || other.output.shape[0] !== other.batch.rows) return { ...cautious, hasRows: false };
    const lengthAxis = plan.fixedLength === null ? changedAxis(alone.output.shape, other.output.shape) : plan.lengthAxis;
    const isPlain = lengthAxis === null || lengthAxis === 1;
    const outputValues = other.output.data.length / other.batch.rows / (lengthAxis === 1 ? other.batch.length : 1);
    const tried: BatchPlan = { ...plan, lengthAxis: isPlain ? lengthAxis : null, outputValues };
    const pads = plan.pads && isPlain && short < long && (await ignoresPadding(tried, options, rowAt(0, short), rowAt(1, long)));
    if (plan.fixedRows === 1) return { ...tried, pads };
    const neighbours = await run(rowAt(0, long), rowAt(1, long));
    const mixesRows =
      isSame(rowOf(other, 0, tried), rowOf(neighbours, 1, tried), options.tolerance) &&
      isSame(rowOf(await run(rowAt(0, long)), 0, tried), rowOf(neighbours, 0, tried), options.tolerance);
    return { ...tried, mixesRows, pads: pads && (mixesRows || plan.fixedLength !== null) };
  } catch {
    return cautious;
  }
}

/** A short row beside a long one against the same row alone; where the length is fixed, against other padding. */
async function ignoresPadding(plan: BatchPlan, options: ProbeOptions, short: Row, long: Row): Promise<boolean> {
  const run = async (rows: readonly Row[]): Promise<{ batch: Batch; output: Output }> => {
    const batch = assemble(rows, options.interface, plan);
    return { batch, output: await options.run(batch) };
  };
  if (plan.fixedLength === null && plan.fixedRows !== 1) {
    const [alone, beside] = [await run([short]), await run([short, long])];
    return isSame(rowOf(alone, 0, plan), rowOf(beside, 0, plan), options.tolerance);
  }
  const batch = assemble([short], options.interface, {
    ...plan,
    fixedLength: plan.fixedLength ?? (long.kind === "sequence" ? long.ids.length : 0),
  });
  const ids = new Set(options.interface.inputs.filter(({ kind }) => kind === "ids").map(({ name }) => name));
  // The same with another id in the place of the padding, which every row holds behind its own tokens.
  const feeds = batch.feeds.map((feed) => {
    if (!ids.has(feed.name)) return feed;
    const data = feed.data.slice() as typeof feed.data;
    for (let row = 0; row < batch.rows; row++) {
      for (let token = batch.lengths[row]!; token < batch.length; token++) data[row * batch.length + token] = data[row * batch.length + 1]!;
    }
    return { ...feed, data };
  });
  const [first, second] = [await options.run(batch), await options.run({ ...batch, feeds })];
  const width = { ...plan, fixedLength: batch.length };
  return isSame(takeApart(first, 1, batch, width)[0]!, takeApart(second, 1, batch, width)[0]!, options.tolerance);
}

function rowOf({ batch, output }: { batch: Batch; output: Output }, index: number, plan: BatchPlan): Output {
  return takeApart(output, index + 1, batch, plan)[index]!;
}

/** The one axis behind the rows' in which two shapes differ; null where none does, -1 where several do. */
function changedAxis(left: readonly number[], right: readonly number[]): number | null {
  const changed = left.flatMap((size, axis) => (axis > 0 && size !== right[axis] ? [axis] : []));
  return changed.length === 0 && left.length === right.length ? null : changed.length === 1 ? changed[0]! : -1;
}

function isSame(left: Output, right: Output, tolerance: number): boolean {
  if (left.data.length !== right.data.length) return false;
  const largest = left.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return left.data.every(
    (value, index) => Math.abs(value - right.data[index]!) <= tolerance * largest || Object.is(value, right.data[index]),
  );
}

/** Makes rows of any valid content; null where requests choose more dimensions than rows and tokens. */
function rowMaker({ inputs }: PublicInterface, plan: BatchPlan): ((seed: number, length: number) => Row) | null {
  const tokens = inputs.filter(isPerToken);
  const vocabulary = inputs.find(({ kind }) => kind === "ids")?.vocabularySize;
  if (tokens.length + inputs.filter(isPerRow).length === inputs.length && tokens.some(({ kind }) => kind === "ids")) {
    const size = vocabulary ?? 2;
    return (seed, length) => ({
      kind: "sequence",
      ids: Uint32Array.from({ length }, (_, token) => (1 + seed * 31 + token * 17) % size),
      mask: null,
      segments: null,
      positions: null,
      peak: length - 1,
      pool: null,
    });
  }
  if (tokens.length > 0 || !plan.hasRows) return null;
  if (inputs.some(({ shape }) => shape.slice(1).some((size) => typeof size === "string"))) return null;
  return (seed) => {
    const tensors = new Map(
      inputs.map(({ name, shape, type }) => {
        const inner = shape.slice(1) as number[];
        const count = inner.reduce((product, size) => product * size, 1);
        const bytes = new Uint8Array(count * bytesOf(type as FeedType));
        // Half precision and whole numbers stay at 0 and 1, which every model takes.
        if (type === "float32")
          new Float32Array(bytes.buffer).forEach((_, index, all) => (all[index] = Math.sin(1 + seed * 7.3 + index * 12.9898)));
        else if (type !== "float16" && type !== "float64")
          for (let at = 0; at < count; at++) bytes[at * bytesOf(type as FeedType)] = (at + seed) % 2;
        return [name, { shape: inner, bytes }] as const;
      }),
    );
    return { kind: "tensors", tensors, shapes: "", pool: null };
  };
}
