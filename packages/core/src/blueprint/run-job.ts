/**
 * Runs one job of a plan: opens the files, rebuilds the elements, streams the matrix through.
 * The only place where a worker touches weights.
 * @module
 */
import type { AxisRewrite } from "../algebra/axis.ts";
import { Blocks } from "../algebra/blocks.ts";
import { DirectSum } from "../algebra/direct-sum.ts";
import type { Element } from "../algebra/element.ts";
import { Monomial } from "../algebra/monomial.ts";
import type { MatrixSource, RewriteTarget } from "../algebra/matrix.ts";
import { rewriteMatrix } from "../algebra/rewrite.ts";
import { formatBytes, rowBytes } from "../checkpoint/format.ts";
import { openFile, type OpenFile } from "../checkpoint/open-file.ts";
import { openForWriting, type PositionalWriter } from "../checkpoint/writer.ts";
import type { AxisPlan, Fold, Job } from "./plan.ts";
import type { Space } from "./space.ts";
import { Elements, Rekeying, type ModelKey, type RotaryLayout } from "./spaces.ts";

/** What a worker needs to rebuild the elements of both keys. */
export interface WorkerContext {
  readonly from: ModelKey | null;
  readonly to: ModelKey | null;
  readonly layout: RotaryLayout;
}

/** A job with its place in a file, and the rows of the result that this worker makes. */
export interface PlacedJob {
  readonly job: Job;
  readonly file: string;
  readonly offset: number;
  readonly range: { readonly from: number; readonly to: number } | null;
}

/** Rebuilds the elements of a context. */
export function rekeyingOf(context: WorkerContext): Rekeying {
  return new Rekeying(context.from && new Elements(context.from, context.layout), context.to && new Elements(context.to, context.layout));
}

/** Runs jobs one after the other, keeping files open between them. */
export class JobRunner {
  readonly #rekeying: Rekeying;
  readonly #readers = new Map<string, OpenFile>();
  readonly #writers = new Map<string, PositionalWriter>();

  constructor(context: WorkerContext) {
    this.#rekeying = rekeyingOf(context);
  }

  /** Throws `CHECKPOINT_TRUNCATED`, `CHECKPOINT_NON_FINITE`, `DISK_FULL`. */
  run(placed: PlacedJob): void {
    const { job } = placed;
    const rows = job.rowAxis ? rewriteOf(job.rowAxis, this.#rekeying) : { element: null };
    const columns = rewriteOf(job.columnAxis, this.#rekeying);
    rewriteMatrix(this.#source(job), rows, columns, this.#target(placed), placed.range ?? undefined);
  }

  /** Closes the files. */
  close(): void {
    for (const file of [...this.#readers.values(), ...this.#writers.values()]) file.close();
  }

  #source(job: Job): MatrixSource {
    const { source, rows, columns } = job;
    const file = opened(this.#readers, source.file, openFile);
    const stride = rowBytes(source.format, columns);
    let whole: Uint8Array | null = null;
    return {
      rows,
      columns,
      format: source.format,
      name: source.name,
      read(row, count, into) {
        if (!source.transposed) return file.read(source.offset + row * stride, into.subarray(0, count * stride));
        whole ??= readTransposed(source, rows, columns, file);
        into.set(whole.subarray(row * stride, (row + count) * stride));
      },
    };
  }

  #target(placed: PlacedJob): RewriteTarget {
    const { format } = placed.job.target;
    const file = opened(this.#writers, placed.file, openForWriting);
    const stride = rowBytes(format, placed.job.columns);
    return { format, write: (row, count, bytes) => file.write(placed.offset + row * stride, bytes.subarray(0, count * stride)) };
  }
}

/** The file if it is open, otherwise opened now. */
function opened<File>(files: Map<string, File>, path: string, open: (path: string) => File): File {
  let file = files.get(path);
  if (!file) files.set(path, (file = open(path)));
  return file;
}

/** The maps of an axis under a rekeying. */
export function rewriteOf(axis: AxisPlan, rekeying: Rekeying): AxisRewrite {
  const elements = axis.parts.map(({ space, use }) => {
    const written = rekeying.of(space);
    const element = use === "read" ? (written?.inverseTranspose() ?? null) : written;
    return { size: space.size, element: axis.interleave ? interleaved(space, element) : element };
  });
  const only = elements[0] as { element: Element | null };
  const element = elements.length === 1 ? only.element : elements.some((part) => part.element) ? new DirectSum(elements) : null;
  const free = freeGain(axis);
  return {
    element,
    ...(axis.centre ? { centre: true } : {}),
    ...(axis.fold ? foldRewrite(axis.fold) : {}),
    ...(free ? { gain: free } : {}),
  };
}

function foldRewrite(fold: Fold): Pick<AxisRewrite, "gain" | "centre" | "shift"> {
  return fold.shift ? { gain: fold.gain, centre: true, shift: fold.shift } : { gain: fold.gain };
}

/** Zeros over the coordinates that no output depends on, ones elsewhere. */
function freeGain(axis: AxisPlan): Float64Array | null {
  if (!axis.parts.some(({ use }) => use === "free")) return null;
  return Float64Array.from(axis.parts.flatMap(({ space, use }) => Array.from({ length: space.size }, () => (use === "free" ? 0 : 1))));
}

/** Appends the regrouping of rotary pairs to a map of queries or keys. */
function interleaved(space: Space, element: Element | null): Element | null {
  const { group } = space;
  if (group.kind !== "heads" || (group.role !== "queries" && group.role !== "keys")) return element;
  const half = group.rotaryDimensions / 2;
  const source = Uint32Array.from({ length: group.headSize }, (_, index) =>
    index < group.rotaryDimensions ? (index >> 1) + (index % 2) * half : index,
  );
  const count = space.size / group.headSize;
  const inHead = new Monomial(source);
  const regroup = new Blocks(
    Uint32Array.from({ length: count }, (_, head) => head),
    Array.from({ length: count }, () => inHead),
  );
  return element ? element.compose(regroup) : regroup;
}

function readTransposed(source: Job["source"], rows: number, columns: number, file: OpenFile): Uint8Array {
  // Conv1D weights are small (GPT-2 XL: 41 MB); held whole.
  const stored = new Uint8Array(formatBytes(source.format, columns, rows));
  file.read(source.offset, stored);
  const width = rowBytes(source.format, 1);
  const transposed = new Uint8Array(stored.length);
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const from = (column * rows + row) * width;
      const to = (row * columns + column) * width;
      for (let byte = 0; byte < width; byte += 1) transposed[to + byte] = stored[from + byte] as number;
    }
  }
  return transposed;
}
