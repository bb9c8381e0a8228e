/**
 * From a model and a family's table to a list of jobs: which bytes go where, through which maps.
 * A plan is plain data; workers rebuild the key's elements from the spaces that it names.
 * @module
 */
import { Monomial } from "../algebra/monomial.ts";
import { formatBytes } from "../checkpoint/format.ts";
import type { FloatFormat, Format, TensorLocation } from "../checkpoint/tensor.ts";
import { UnseenError } from "../errors.ts";
import type { Blueprint, Row } from "./family.ts";
import type { Model } from "./model.ts";
import { floatFormat, readVector } from "./read-tensor.ts";
import { axisParts, axisSize, gain, offset, read, type Axis, type Space, type SpaceAxis } from "./space.ts";
import type { Rekeying } from "./spaces.ts";
import type { OutputTensor, Storage } from "./storage.ts";

/** A norm's gain (and LayerNorm's bias and mean) on its way into the tensors that read the norm. */
export interface Fold {
  readonly gain: Float64Array;
  /** LayerNorm only: its bias; its readers lose the mean along the axis. */
  readonly shift: Float64Array | null;
}

/** One axis of a job. */
export interface AxisPlan {
  readonly parts: readonly { readonly space: Space; readonly use: "write" | "read" | "free" }[];
  readonly fold: Fold | null;
  /** LayerNorm ignores the stream's mean, so writers give it up (SliceGPT, Ashkboos et al., 2401.15024). */
  readonly centre: boolean;
  /** Regroup rotary pairs from (i, i + d/2) to (2i, 2i + 1) afterwards. */
  readonly interleave: boolean;
}

/** Where a matrix begins, inside a tensor. */
export interface Place {
  /** Stored name of the output tensor. */
  readonly tensor: string;
  /** Bytes from the tensor's first byte. */
  readonly offset: number;
  readonly format: FloatFormat;
}

/** One matrix (or vector, as a matrix of one row) to transform. */
export interface Job {
  readonly source: {
    readonly name: string;
    readonly file: string;
    readonly offset: number;
    readonly format: FloatFormat;
    readonly transposed: boolean;
  };
  /** Of the matrix as it will be stored. */
  readonly rows: number;
  readonly columns: number;
  readonly rowAxis: AxisPlan | null;
  readonly columnAxis: AxisPlan;
  readonly target: Place;
}

/** Values that are known without reading weights: folded gains. */
export interface Literal {
  readonly values: Float64Array;
  readonly target: Place;
}

/** A tensor that no key acts on: a buffer of whole numbers. */
export interface Copy {
  readonly name: string;
  readonly format: Format;
  readonly shape: readonly number[];
  readonly source: TensorLocation;
}

/** What folding took from a norm whose output leaves the model, in the source's coordinates, and the number that stands in its bias now. */
export interface FoldedNorm {
  readonly gain: Float64Array;
  readonly bias: Float64Array;
  readonly offset: number;
}

export interface Plan {
  readonly outputs: readonly OutputTensor[];
  readonly jobs: readonly Job[];
  readonly literals: readonly Literal[];
  readonly copies: readonly Copy[];
  /** By the norm's name. */
  readonly folded: ReadonlyMap<string, FoldedNorm>;
  /** Names of the table's tensors that the model has. */
  readonly present: ReadonlySet<string>;
  /** Whether embedding and head are still one tensor in the output. */
  readonly tied: boolean;
}

/** Buffers that old exporters saved beside the weights; recomputed by every loader. */
const INERT = [/\.rotary_emb\.inv_freq$/, /\.attn\.(masked_)?bias$/];

/** Buffers of an encoder that old exporters saved and old loaders want back: they number positions and token types. */
const COPIED = [/(^|\.)embeddings\.(position_ids|token_type_ids)$/];

/** Largest buffer that is copied, which happens in one piece (CWE-770). */
const MAXIMUM_COPY_BYTES = 16 << 20;

export interface PlanOptions {
  readonly model: Model;
  readonly blueprint: Blueprint;
  readonly storage: Storage;
  readonly rekeying: Rekeying;
  /** Move norm gains into their readers: needed as soon as the stream is rotated. */
  readonly fold: boolean;
}

/**
 * Plans a transformation and checks every tensor's presence and shape on the way.
 * Throws `CHECKPOINT_MISSING_TENSOR`, `CHECKPOINT_WRONG_SHAPE`, `FAMILY_UNKNOWN_TENSOR`, `CHECKPOINT_DTYPE_UNSUPPORTED`.
 */
export function planTransformation(options: PlanOptions): Plan {
  const { model, blueprint, storage, rekeying } = options;
  const { architecture } = blueprint;
  const named = nameTensors(model, blueprint);
  const folds = (axis: SpaceAxis): boolean => options.fold && isFoldable(axis);
  const decoder = blueprint.kind === "decoder" ? blueprint : null;
  const tied = decoder?.architecture.tied ?? false;
  const untie = tied && Object.values(blueprint.tensors).some((row) => row.axes.some((axis) => axisParts(axis).some(folds)));
  const jobs: Job[] = [];
  const literals: Literal[] = [];
  const outputs = new Map<string, OutputTensor>();
  const used = new Set<string>();

  const entries = Object.entries(blueprint.tensors).map(([tableName, row]) => {
    const places = row.expert ? rekeying.places(row.expert.space, row.expert.index) : null;
    const inputName = row.expert && places ? row.expert.name(places.before) : tableName;
    const outputName = row.expert && places ? row.expert.name(places.after) : tableName;
    const isTiedHead = decoder !== null && tied && tableName === decoder.head;
    const source = named.get(isTiedHead ? decoder.embedding : inputName);
    used.add(inputName);
    const kept = blueprint.kind === "encoder" && source ? blueprint.outputName(source.name) : outputName;
    return { tableName, row, outputName: kept, isTiedHead, source };
  });
  // In the order of the source file, so that a disk is read forwards.
  entries.sort((a, b) => rank(a) - rank(b));
  const gains = new GainReader(named, model.storedGainOffset);
  const present = new Set<string>();

  for (const { row, outputName, isTiedHead, source, tableName } of entries) {
    if (isTiedHead && !untie) continue;
    if (!source) {
      if (row.optional) continue;
      throw new UnseenError("CHECKPOINT_MISSING_TENSOR", `tensor ${tableName} of family ${architecture.family} is missing.`, {
        hint: "Download the checkpoint again; if it is complete, its configuration names the wrong family.",
      });
    }
    present.add(tableName);
    planTensor(row, outputName, source);
  }
  const copies = planCopies();
  const unknown = [...named.keys()].filter((name) => !used.has(name) && !INERT.some((pattern) => pattern.test(name)));
  if (unknown.length > 0) {
    throw new UnseenError(
      "FAMILY_UNKNOWN_TENSOR",
      `family ${architecture.family} does not list tensor ${unknown.slice(0, 3).join(", ")}${unknown.length > 3 ? ` and ${unknown.length - 3} more` : ""}.`,
      {
        hint: "A tensor of unknown use cannot be transformed exactly, so the model is refused as a whole.",
      },
    );
  }
  return { outputs: [...outputs.values()], jobs, literals, copies, folded: foldedNorms(), present, tied: tied && !untie };

  function planCopies(): Copy[] {
    const copied = [...named].filter(
      ([name, { bytes }]) =>
        blueprint.kind === "encoder" && COPIED.some((pattern) => pattern.test(name)) && !used.has(name) && bytes <= MAXIMUM_COPY_BYTES,
    );
    return copied.map(([name, source]) => {
      used.add(name);
      return { name: source.name, format: source.format, shape: source.shape, source };
    });
  }

  function foldedNorms(): Map<string, FoldedNorm> {
    const norms = new Map<string, FoldedNorm>();
    for (const { after, space } of blueprint.outputs) {
      if (after === undefined || !folds(read(space, after))) continue;
      const { gain: values, shift } = gains.fold(after, space);
      norms.set(after, { gain: values, bias: shift ?? new Float64Array(space.size), offset: offsetOf(space)[0] as number });
    }
    return norms;
  }

  /** The norm's bias after folding: all ones, from which the readers' folded rows recover the bias (Fold.shift). The group keeps
   * their direction; its one sign shows where a permuted model is rekeyed to a rotated one or back. */
  function offsetOf(space: Space): Float64Array {
    const ones = new Float64Array(space.size).fill(1);
    rekeying.of(space)?.apply(ones, 1);
    return ones.map(Math.sign);
  }

  function planTensor(row: Row, outputName: string, source: TensorLocation): void {
    const storedSwapped = row.conv1d === true && model.transposedConv1d;
    const writtenSwapped = row.conv1d === true && storage.transposedConv1d;
    const swap = (axes: Row["axes"], swapped: boolean): readonly Axis[] => (swapped ? axes.toReversed() : axes);
    checkShape(source, swap(row.axes, storedSwapped), row.shape);
    const axes = swap(row.axes, writtenSwapped);
    const shape = row.shape ?? axes.map(axisSize);
    const format = floatFormat(source);
    const place = storage.place(outputName, shape, format);
    const output = outputs.get(place.output.name);
    if (!output) outputs.set(place.output.name, place.output);
    const target = { tensor: place.output.name, offset: place.offset, format: place.output.format };
    const transposed = storedSwapped !== writtenSwapped;

    if (axes.length === 1) return planVector(axes[0] as Axis, source, format, target);
    const [rowAxis, columnAxis] = axes as readonly [Axis, Axis];
    const columns = axisSize(columnAxis);
    let row0 = 0;
    // Fused rows are separate matrices one below the other.
    for (const part of transposed ? [rowAxis] : axisParts(rowAxis)) {
      const rows = axisSize(part);
      jobs.push({
        source: { name: source.name, file: source.file, offset: source.offset + formatBytes(format, row0, columns), format, transposed },
        rows,
        columns,
        rowAxis: planAxis(part),
        columnAxis: planAxis(columnAxis),
        target: { ...target, offset: target.offset + formatBytes(target.format, row0, columns) },
      });
      row0 += rows;
    }
  }

  function planVector(axis: Axis, source: TensorLocation, format: FloatFormat, target: Place): void {
    const [first] = axisParts(axis) as [SpaceAxis];
    if (first.use === "gain") {
      const shift = model.storedGainOffset - storage.gainOffset;
      if (folds(first)) return void literals.push({ values: new Float64Array(first.space.size).fill(1 - storage.gainOffset), target });
      const values = gains.stored(source);
      const element = rekeying.of(first.space);
      // Signs do not touch a gain: it multiplies a vector that carries them already.
      const moved = element instanceof Monomial ? apply(element.unsigned(), values) : values;
      return void literals.push({ values: moved.map((value) => value + shift), target });
    }
    if (first.use === "offset" && folds(first)) return void literals.push({ values: offsetOf(first.space), target });
    jobs.push({
      source: { name: source.name, file: source.file, offset: source.offset, format, transposed: false },
      rows: 1,
      columns: axisSize(axis),
      rowAxis: null,
      columnAxis: planAxis(axis),
      target,
    });
  }

  function planAxis(axis: Axis): AxisPlan {
    const parts = axisParts(axis);
    const first = parts[0] as SpaceAxis;
    const fold = first.use === "read" && first.after !== undefined && folds(first) ? gains.fold(first.after, first.space) : null;
    return {
      parts: parts.map(({ space, use }) => ({ space, use: use === "read" ? "read" : use === "free" && options.fold ? "free" : "write" })),
      fold,
      centre: first.use === "write" && folds(first) && first.space.group.kind === "stream" && first.space.group.norm === "layer",
      interleave: storage.interleavesRotary && model.rotaryLayout === "half" && parts.some(({ space }) => isRotary(space)),
    };
  }

  function rank(entry: { source: TensorLocation | undefined; isTiedHead: boolean }): number {
    if (!entry.source) return Number.MAX_SAFE_INTEGER;
    const file = model.files.indexOf(entry.source.file);
    return entry.isTiedHead ? Number.MAX_SAFE_INTEGER - 1 : file * 2 ** 42 + entry.source.offset;
  }
}

function isFoldable(axis: SpaceAxis): boolean {
  return axis.space.group.kind === "stream" && axis.space.group.foldable;
}

function isRotary(space: Space): boolean {
  return (
    space.group.kind === "heads" && (space.group.role === "queries" || space.group.role === "keys") && space.group.rotaryDimensions > 0
  );
}

/** Throws `CHECKPOINT_WRONG_SHAPE` unless every tensor of the table that is there has the shape that the table says. */
export function checkShapes(model: Model, blueprint: Blueprint): void {
  for (const [name, tensor] of nameTensors(model, blueprint)) {
    const row = Object.hasOwn(blueprint.tensors, name) ? blueprint.tensors[name] : undefined;
    if (row) checkShape(tensor, row.conv1d && model.transposedConv1d ? row.axes.toReversed() : row.axes, row.shape);
  }
}

function checkShape(tensor: TensorLocation, axes: readonly Axis[], shape?: readonly number[]): void {
  const expected = shape ?? axes.map(axisSize);
  if (expected.length === tensor.shape.length && expected.every((size, index) => size === tensor.shape[index])) return;
  throw new UnseenError(
    "CHECKPOINT_WRONG_SHAPE",
    `tensor ${tensor.name} must have shape (${expected.join(", ")}), got (${tensor.shape.join(", ")}).`,
    {
      hint: "config.json and the weights belong to different models, or config.json is wrong.",
    },
  );
}

function apply(element: Monomial, values: Float64Array): Float64Array {
  const moved = Float64Array.from(values);
  element.apply(moved, 1);
  return moved;
}

/** The tensors by the names of the table. Throws `CHECKPOINT_DUPLICATE` where two have the same. */
function nameTensors(model: Model, blueprint: Blueprint): Map<string, TensorLocation> {
  const named = new Map<string, TensorLocation>();
  for (const [stored, tensor] of model.tensors) {
    const name = blueprint.aliases?.(stored) ?? stored;
    if (named.has(name)) {
      throw new UnseenError("CHECKPOINT_DUPLICATE", `the checkpoint holds tensor ${name} under two names.`, {
        hint: "Save the checkpoint again with one of them.",
      });
    }
    named.set(name, tensor);
  }
  return named;
}

/** Reads vectors of norms; they are small. */
class GainReader {
  readonly #tensors: ReadonlyMap<string, TensorLocation>;
  readonly #offset: number;
  /** Many tensors read one norm; a mixture's experts, by the hundred. */
  readonly #folds = new Map<string, Fold>();

  constructor(tensors: ReadonlyMap<string, TensorLocation>, offset: number) {
    this.#tensors = tensors;
    this.#offset = offset;
  }

  /** The vector as stored. Throws `CHECKPOINT_NON_FINITE`. */
  stored(tensor: TensorLocation): Float64Array {
    const values = readVector(tensor);
    if (values.every(Number.isFinite)) return values;
    throw new UnseenError("CHECKPOINT_NON_FINITE", `tensor ${tensor.name} holds NaN or infinity.`, {
      hint: "The checkpoint is damaged: download it again.",
    });
  }

  fold(name: string, space: Space): Fold {
    let fold = this.#folds.get(name);
    if (!fold) this.#folds.set(name, (fold = this.#readFold(name, space)));
    return fold;
  }

  #readFold(name: string, space: Space): Fold {
    const weight = this.#tensors.get(`${name}.weight`);
    if (!weight)
      throw new UnseenError("CHECKPOINT_MISSING_TENSOR", `tensor ${name}.weight is missing.`, { hint: "Download the checkpoint again." });
    const bias = this.#tensors.get(`${name}.bias`);
    const layer = space.group.kind === "stream" && space.group.norm === "layer";
    checkShape(weight, [gain(space)]);
    if (bias) checkShape(bias, [offset(space)]);
    return {
      gain: this.stored(weight).map((value) => value + this.#offset),
      shift: layer && bias ? this.stored(bias) : layer ? new Float64Array(space.size) : null,
    };
  }
}
