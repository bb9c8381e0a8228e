/**
 * `tensors` of a `/classify` body: for each input of the graph its type, its shape and its numbers as base64, little-endian.
 * @module
 */
import type { PublicInput } from "@unseen/core/blueprint/interface.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { bytesOf, numbersOf, type FeedType, type Numbers } from "../engine/onnx/numbers.ts";
import { isPerToken, type BatchPlan } from "../engine/onnx/plan.ts";
import type { TensorRow } from "../engine/onnx/rows.ts";
import type { ModelEnds } from "./ends.ts";

interface ParsedTensor {
  readonly shape: readonly number[];
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** @throws UnseenError `REQUEST_INVALID`, `REQUEST_TOO_LARGE`, `TOKEN_OUT_OF_RANGE` */
export function parseTensors(
  value: unknown,
  ends: ModelEnds,
  plan: BatchPlan,
  { maximumLength, maximumRows }: { maximumLength: number; maximumRows: number },
): TensorRow[] {
  const { inputs } = ends.interface;
  const names = inputs.map(({ name }) => name);
  const expected = `tensors: expected ${names.join(", ")}`;
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw invalid(`${expected}.`);
  const given = value as Record<string, unknown>;
  const keys = Object.keys(given);
  if (keys.length !== names.length || !names.every((name) => Object.hasOwn(given, name)))
    throw invalid(`${expected}, got ${keys.length} others.`);
  // A dimension's name stands for one number throughout.
  const dimensions = new Map<string, number>();
  const parsed = new Map<string, ParsedTensor>();
  for (const input of inputs) {
    const shape = shapeOf(given[input.name], input, dimensions);
    if (plan.hasRows && shape[0]! > maximumRows) throw tooLarge(`tensors: expected at most ${maximumRows} rows, got ${shape[0]}.`);
    if (isPerToken(input) && shape[1]! > maximumLength)
      throw tooLarge(`tensors: expected at most ${maximumLength} tokens in ${input.name}, got ${shape[1]}.`);
    const bytes = decode((given[input.name] as Record<string, unknown>)["data"], input, shape);
    requireValid(numbersOf(input.type as FeedType, bytes), input, ends);
    parsed.set(input.name, { shape, bytes });
  }
  requirePlaces(inputs, parsed);
  if (!plan.hasRows) return [{ kind: "tensors", tensors: parsed, shapes: "", pool: null }];
  const [rows] = parsed.get(names[0]!)!.shape as [number];
  if (!parsed.values().every(({ shape }) => shape[0] === rows)) throw invalid("tensors: expected the same number of rows in all of them.");
  const shapes = JSON.stringify(names.map((name) => parsed.get(name)!.shape.slice(1)));
  return Array.from({ length: rows }, (_, row): TensorRow => {
    const tensors = [...parsed].map(([name, { shape, bytes }]) => {
      const size = bytes.byteLength / rows;
      return [name, { shape: shape.slice(1), bytes: bytes.subarray(row * size, (row + 1) * size) }] as const;
    });
    return { kind: "tensors", tensors: new Map(tensors), shapes, pool: null };
  });
}

/** Places in rows that are sent along; one outside would lie in another row (CWE-125). */
function requirePlaces(inputs: readonly PublicInput[], parsed: ReadonlyMap<string, ParsedTensor>): void {
  const ids = inputs.find(({ kind }) => kind === "ids");
  const length = (ids && parsed.get(ids.name)!.shape[1]) ?? 0;
  for (const { name, kind, type } of inputs) {
    if (kind !== "peaks") continue;
    const places = numbersOf(type as FeedType, parsed.get(name)!.bytes) as ArrayLike<number | bigint>;
    for (let row = 0; row < places.length; row++)
      if (places[row]! < 0 || places[row]! >= length) throw invalid(`tensors: ${name}: expected places from 0 to below ${length}.`);
  }
}

function shapeOf(value: unknown, input: PublicInput, dimensions: Map<string, number>): readonly number[] {
  const subject = `tensors: ${input.name}`;
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw invalid(`${subject}: expected {type, shape, data}.`);
  const { type, shape, ...rest } = value as Record<string, unknown>;
  if (Object.keys(rest).some((field) => field !== "data")) throw invalid(`${subject}: expected type, shape and data, nothing else.`);
  if (type !== input.type) throw invalid(`${subject}: expected the type ${input.type}.`);
  const expected = `${subject}: expected the shape [${input.shape.join(", ")}]`;
  if (!Array.isArray(shape) || shape.length !== input.shape.length) throw invalid(`${expected}.`);
  return shape.map((size: unknown, axis) => {
    if (!Number.isSafeInteger(size) || (size as number) < 1) throw invalid(`${expected}, with sizes of at least 1.`);
    const wanted = input.shape[axis]!;
    // A fixed number of rows may be sent in part; the server fills it up.
    const fits = typeof wanted === "string" ? (dimensions.get(wanted) ?? size) === size : axis === 0 || wanted === size;
    if (!fits) throw invalid(`${expected}, got another size on axis ${axis}.`);
    if (typeof wanted === "string") dimensions.set(wanted, size as number);
    return size as number;
  });
}

/** Strict base64 of exactly the bytes that the shape asks for: the length is checked before anything is allocated (CWE-789). */
function decode(data: unknown, input: PublicInput, shape: readonly number[]): Uint8Array<ArrayBuffer> {
  const subject = `tensors: ${input.name}`;
  const size = shape.reduce((product, dimension) => product * dimension, bytesOf(input.type as FeedType));
  if (typeof data !== "string") throw invalid(`${subject}: expected data as base64.`);
  if (!Number.isSafeInteger(size) || data.length !== 4 * Math.ceil(size / 3))
    throw invalid(`${subject}: expected data of ${size} bytes, as its shape says.`);
  try {
    const bytes = Uint8Array.fromBase64(data, { lastChunkHandling: "strict" });
    if (bytes.byteLength === size) return bytes;
  } catch {}
  throw invalid(`${subject}: expected data as base64 with padding, and ${size} bytes of it.`);
}

function requireValid(numbers: Numbers, input: PublicInput, { interface: described, lookups }: ModelEnds): void {
  const subject = `tensors: ${input.name}`;
  if (input.type === "float32" || input.type === "float64") {
    if (!(numbers as Float32Array).every(Number.isFinite)) throw invalid(`${subject}: expected finite numbers.`);
  } else if (input.type === "float16") {
    // All ones in the exponent: infinite, or no number.
    if (!(numbers as Uint16Array).every((bits) => (bits & 0x7c00) !== 0x7c00)) throw invalid(`${subject}: expected finite numbers.`);
  } else if (input.type === "bool") {
    if (!(numbers as Uint8Array).every((value) => value <= 1)) throw invalid(`${subject}: expected bytes of 0 and 1.`);
  }
  if (input.kind !== "ids" && input.kind !== "segments" && input.kind !== "positions") return;
  const limit =
    (input.kind === "ids" ? described.inputs.find(({ name }) => name === input.name)?.vocabularySize : null) ??
    lookups.get(input.name)?.rows;
  if (limit === null || limit === undefined) return;
  for (const value of numbers) {
    if (value < 0 || value >= limit) {
      throw new UnseenError("TOKEN_OUT_OF_RANGE", `${subject}: expected ids below ${limit}.`, {
        hint: "Does the client hold the bundle of this model?",
      });
    }
  }
}

function invalid(message: string): UnseenError {
  return new UnseenError("REQUEST_INVALID", message, { hint: "GET /v1/models tells the inputs." });
}

function tooLarge(message: string): UnseenError {
  return new UnseenError("REQUEST_TOO_LARGE", message, { hint: "Send less at once." });
}
