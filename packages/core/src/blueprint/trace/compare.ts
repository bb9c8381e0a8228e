/**
 * Runs a plain and an encrypted ONNX model on the same inputs and compares every number that comes out.
 * @module
 */
import type { Element } from "../../algebra/element.ts";
import { openOnnx, type OnnxType, type OnnxValueInfo } from "../../checkpoint/onnx.ts";
import { UnseenError } from "../../errors.ts";
import { requireKey } from "../fingerprint.ts";
import type { ClientInput, ClientInterface, PublicInterface } from "../interface.ts";
import { elementOf, type Recipe } from "../recipe.ts";
import { deriveRandom, type RandomStream } from "../../algebra/random.ts";
import { interfacesOf } from "./ends.ts";
import { openPlain, traceModel, type OnnxOptions, type Traced } from "./trace-model.ts";
import { openSeal } from "./metadata.ts";
import { cipherId } from "./plan.ts";
import { probeSizes } from "./sizes.ts";
import { kindOfInput } from "./trace.ts";

/** Numbers of a model's input or output; whole numbers are exact to 2^53. */
export interface Numbers {
  readonly type: OnnxType;
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** An engine, such as ONNX Runtime: runs a model, given as a file or as its bytes. */
export type RunModel = (model: string | Uint8Array, inputs: ReadonlyMap<string, Numbers>) => Promise<ReadonlyMap<string, Numbers>>;

export interface CompareOptions extends OnnxOptions {
  readonly plain: string;
  readonly encrypted: string;
  readonly secret: Uint8Array;
  readonly run: RunModel;
  /** Inputs of the plain model; default: random ones. */
  readonly inputs?: ReadonlyMap<string, Numbers> | undefined;
  /** How many random inputs, default 4. */
  readonly rounds?: number | undefined;
}

/** How far the deciphered outputs are from the plain ones. */
export interface Comparison {
  /** Over all outputs and rounds: largest difference, by the largest magnitude of the plain output. */
  readonly maxRelativeDifference: number;
  readonly outputs: readonly { readonly name: string; readonly maxRelativeDifference: number }[];
  readonly rounds: number;
}

/** Compares a plain model with its encryption. Throws `KEY_WRONG`, `NOT_ENCRYPTED`, `CHECKPOINT_*`, and what the engine throws. */
export async function compareOnnx(options: CompareOptions): Promise<Comparison> {
  const { secret, run } = options;
  const plain = await openPlain(options.plain);
  const { manifest, input, secretOrder, publicInterface } = openSeal(await openOnnx(options.encrypted));
  requireKey(manifest, secret);
  const usage = {
    ...options,
    input,
    ...(secretOrder === null ? {} : { secretOrder }),
    task: publicInterface.task,
    pooling: publicInterface.pooling,
  };
  const traced = traceModel(plain, usage, manifest.strength === "permute");
  const { clientInterface, publicInterface: expectedInterface } = interfacesOf(traced, usage);
  if (endsOf(publicInterface) !== endsOf(expectedInterface))
    throw new UnseenError("VERIFICATION_FAILED", "the encrypted model has other inputs or outputs than an encryption of the plain one.", {
      hint: "The plain model is probably not the original of the encrypted one.",
    });
  const worst = new Map<string, number>(clientInterface.outputs.map(({ name }) => [name, 0]));
  const rounds = options.inputs ? 1 : (options.rounds ?? 4);
  for (let round = 0; round < rounds; round++) {
    const given =
      options.inputs ??
      randomInputs(traced.stem ? plain.graph.inputs : traced.trace.model.graph.inputs, traced.plan.ids, round, { ...options, ...traced });
    const expected = await run(options.plain, given);
    const sent = sealInputs(clientInterface.inputs, traced.stem ? new Map([...given, ...(await run(traced.stem, given))]) : given, secret);
    const got = await run(options.encrypted, sent);
    for (const [name, deciphered] of openOutputs(clientInterface.outputs, got, secret)) {
      worst.set(name, Math.max(worst.get(name) ?? 0, relativeDifference(required(expected, name), deciphered)));
    }
  }
  const outputs = [...worst].map(([name, maxRelativeDifference]) => ({ name, maxRelativeDifference }));
  return { maxRelativeDifference: Math.max(0, ...worst.values()), outputs, rounds };
}

/** Names and kinds of all that goes in, and names of what comes out. */
function endsOf({ inputs, outputs }: PublicInterface): string {
  return JSON.stringify([
    inputs.map(({ name, kind, vocabularySize }) => [name, kind, vocabularySize ?? null]),
    outputs.map(({ name }) => name),
  ]);
}

/** The host's inputs for plain ones: ids enciphered, tensors under their elements. A stem's outputs must be among the given. */
export function sealInputs(ends: readonly ClientInput[], given: ReadonlyMap<string, Numbers>, secret: Uint8Array): Map<string, Numbers> {
  return new Map(
    ends.map((end): [string, Numbers] => {
      if (end.kind === "peaks") return [end.name, peaksOf(required(given, end.of))];
      const numbers = required(given, end.name);
      if (end.kind === "tensor") return [end.name, transform(numbers, end.axes, secret, (element) => element)];
      const ordered = end.order ? transform(numbers, [null, end.order], secret, (element) => element) : numbers;
      if (end.kind !== "ids" || end.label === null) return [end.name, ordered];
      const { label, size } = end;
      const cipher = new Map([...new Set(ordered.data)].map((id) => [id, cipherId(secret, { label, size }, id)]));
      return [end.name, { ...ordered, data: ordered.data.map((id) => cipher.get(id) as number) }];
    }),
  );
}

/** What the host's outputs mean. */
export function openOutputs(ends: ClientInterface["outputs"], got: ReadonlyMap<string, Numbers>, secret: Uint8Array): Map<string, Numbers> {
  return new Map(ends.map(({ name, axes }) => [name, transform(required(got, name), axes, secret, (element) => element.inverse())]));
}

function required(numbers: ReadonlyMap<string, Numbers>, name: string): Numbers {
  const found = numbers.get(name);
  if (!found)
    throw new UnseenError("REQUEST_INVALID", `no numbers are given for ${name}.`, {
      hint: "A case holds every input of the model as in.NAME.",
    });
  return found;
}

/** Applies the element of every axis, or what `choose` makes of it. */
function transform(numbers: Numbers, axes: readonly (Recipe | null)[], secret: Uint8Array, choose: (element: Element) => Element): Numbers {
  const { shape } = numbers;
  const data = Float64Array.from(numbers.data);
  axes.forEach((recipe, axis) => {
    const element = recipe && elementOf(recipe, secret);
    if (!element) return;
    const chosen = choose(element);
    const size = shape[axis] ?? 0;
    const inner = shape.slice(axis + 1).reduce((product, each) => product * each, 1);
    for (let at = 0; at < data.length; at += size * inner) chosen.apply(data.subarray(at, at + size * inner), inner);
  });
  return { ...numbers, data };
}

/** The first place of the highest id in each row. */
function peaksOf({ shape, data }: Numbers): Numbers {
  const [rows = 0, length = 0] = shape;
  const places = Float64Array.from({ length: rows }, (_, row) => {
    const ids = data.subarray(row * length, (row + 1) * length);
    return ids.indexOf(Math.max(...ids));
  });
  return { type: "int64", shape: [rows], data: places };
}

/** Largest difference, by the largest magnitude expected; infinite where one is a number and the other is none. */
export function relativeDifference(expected: Numbers, got: Numbers): number {
  if (expected.data.length !== got.data.length) return Infinity;
  let largest = 0;
  let difference = 0;
  expected.data.forEach((value, i) => {
    if (Object.is(value, got.data[i]) || value === got.data[i])
      return void (largest = Math.max(largest, Number.isFinite(value) ? Math.abs(value) : 0));
    largest = Math.max(largest, Math.abs(value));
    const distance = Math.abs(value - (got.data[i] as number));
    difference = Math.max(difference, Number.isNaN(distance) ? Infinity : distance);
  });
  return difference === 0 ? 0 : difference / Math.max(largest, Number.MIN_VALUE);
}

/** Random inputs of sizes that tracing did not use: ids of the whole vocabulary, masks with padded rows, Gaussian pictures. */
function randomInputs(
  infos: readonly OnnxValueInfo[],
  ids: ReadonlyMap<string, { readonly size: number }>,
  round: number,
  options: OnnxOptions & Pick<Traced, "family">,
): Map<string, Numbers> {
  const sizes = probeSizes(((round + 1) % 2) as 0 | 1, options.dimensions, options.family);
  const random = deriveRandom(new Uint8Array(32), `compare.${round}`);
  return new Map(
    infos.map((info) => {
      const shape = (info.shape ?? []).map((_, axis) => sizes(info, axis));
      return [info.name, { type: info.type ?? "float32", shape, data: randomNumbers(info, shape, ids.get(info.name)?.size, random) }];
    }),
  );
}

function randomNumbers(info: OnnxValueInfo, shape: readonly number[], vocabulary: number | undefined, random: RandomStream): Float64Array {
  const length = shape.reduce((product, size) => product * size, 1);
  const last = shape.at(-1) ?? 1;
  const kind = kindOfInput(info);
  return Float64Array.from({ length }, (_, i) => {
    if (kind === "tensor") return info.type === "bool" ? random.below(2) : random.gaussian();
    // The last row ends in padding.
    if (kind === "mask") return i >= length - Math.floor(last / 3) && length > last ? 0 : 1;
    if (kind === "positions") return i % last;
    return kind === "ids" && vocabulary ? random.below(vocabulary) : 0;
  });
}
