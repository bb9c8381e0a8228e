/**
 * The ends of an encrypted model: what the host may know of them, and what the client must do there.
 * @module
 */
import { isObject, type Json, type JsonObject } from "./config.ts";
import { UnseenError } from "../errors.ts";
import type { Recipe } from "./recipe.ts";
import type { OnnxType } from "../checkpoint/onnx.ts";

/**
 * What the numbers of an input mean: token ids, the attention mask, token types, positions, the place of the highest plain id of
 * each sequence (which only the client can tell), or a tensor of numbers.
 */
export type InputKind = "ids" | "mask" | "segments" | "positions" | "peaks" | "tensor";

/** An input as the host sees it. */
export interface PublicInput {
  readonly name: string;
  readonly kind: InputKind;
  readonly type: OnnxType;
  /** A name stands for a dimension that requests choose. */
  readonly shape: readonly (number | string)[];
  /** For `ids`: ids lie below. */
  readonly vocabularySize?: number;
}

/** An output as the host sees it. */
export interface PublicOutput {
  readonly name: string;
  readonly shape: readonly (number | string)[];
  /** Norms and cosines of vectors along the last axis are those of the plain model. */
  readonly isometric: boolean;
}

export type Task = "classification" | "embedding" | "other";
export type Pooling = "mean" | "cls";

/** What a host may know of a model's ends; stands in the encrypted file. */
export interface PublicInterface {
  readonly inputs: readonly PublicInput[];
  readonly outputs: readonly PublicOutput[];
  readonly task: Task;
  /** How one vector is made of a vector per token; null where the graph does it. */
  readonly pooling: Pooling | null;
  /** Tokens; null = unlimited. */
  readonly maximumLength: number | null;
}

/** An input as the client fills it. */
export type ClientInput =
  | {
      readonly name: string;
      readonly kind: "ids";
      /** Label of the permutation's key derivation; null where the graph computes with the ids, which then go in clear. */
      readonly label: string | null;
      readonly size: number;
      /** In which order the tokens are sent; absent = as they stand. */
      readonly order?: Recipe;
    }
  | { readonly name: string; readonly kind: "mask" | "segments" | "positions"; readonly order?: Recipe }
  /** `of`: the ids input; the first place where the plain id is highest. */
  | { readonly name: string; readonly kind: "peaks"; readonly of: string }
  /** One recipe per axis; null = as it is. */
  | { readonly name: string; readonly kind: "tensor"; readonly axes: readonly (Recipe | null)[] };

/** How a picture becomes the first layer's numbers: (value·rescale - mean) / deviation. */
export interface ImagePreprocessing {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly rescale: number;
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
  readonly layout: "NCHW" | "NHWC" | "NHW";
  /** The shorter side is brought to this many pixels first, then the centre is cut out; null: both sides are fitted. */
  readonly shortestEdge: number | null;
  readonly resample: "nearest" | "bilinear" | "bicubic" | "lanczos";
}

/** What the client must do at each end; stands in its bundle, never beside the weights. */
export interface ClientInterface {
  readonly inputs: readonly ClientInput[];
  /** One recipe per axis of each output: the client applies the inverse along it. */
  readonly outputs: readonly { readonly name: string; readonly axes: readonly (Recipe | null)[] }[];
  /** The client computes this ONNX file of its bundle itself: plain inputs in, the host's tensor inputs out. */
  readonly stem: { readonly file: string } | null;
  readonly task: Task;
  readonly pooling: Pooling | null;
  /** Sequences are filled up to this many tokens and sent in the secret `order` of each input; null = as they are. */
  readonly fixedLength: number | null;
  /** Bring embeddings to length 1. */
  readonly normalise: boolean;
  readonly maximumLength: number | null;
  /** Class names by index. */
  readonly labels: readonly string[] | null;
  readonly image: ImagePreprocessing | null;
}

/** Parts of one recipe, in all (CWE-674, CWE-770). */
const MAXIMUM_PARTS = 65_536;
const MAXIMUM_DEPTH = 16;
const MAXIMUM_SIZE = 1 << 28;
const MAXIMUM_NAME = 512;
const MAXIMUM_ENDS = 256;
const MAXIMUM_RANK = 16;

/** Checks a `PublicInterface` read from a file. @throws UnseenError `CHECKPOINT_MALFORMED` */
export function parsePublicInterface(value: Json): PublicInterface {
  return guarded("unseen.interface", "CHECKPOINT_MALFORMED", "Encrypt the model again with this version of Unseen.", () => {
    const top = object(value);
    return {
      inputs: list(top["inputs"], MAXIMUM_ENDS).map((each): PublicInput => {
        const input = object(each);
        const kind = oneOf(input["kind"], INPUT_KINDS);
        return {
          name: text(input["name"]),
          kind,
          type: oneOf(input["type"], ONNX_TYPES),
          shape: shape(input["shape"]),
          ...(kind === "ids" ? { vocabularySize: whole(input["vocabularySize"], 1, MAXIMUM_SIZE) } : {}),
        };
      }),
      outputs: list(top["outputs"], MAXIMUM_ENDS).map((each): PublicOutput => {
        const output = object(each);
        return { name: text(output["name"]), shape: shape(output["shape"]), isometric: output["isometric"] === true };
      }),
      ...usage(top),
    };
  });
}

/** Checks a `ClientInterface` read from a bundle. @throws UnseenError `BUNDLE_INVALID` */
export function parseClientInterface(value: Json): ClientInterface {
  return guarded("interface.json", "BUNDLE_INVALID", "Encrypt the model again, or restore the bundle from a copy.", () => {
    const top = object(value);
    const image = top["image"] ?? null;
    const stem = top["stem"] ?? null;
    const labels = top["labels"] ?? null;
    return {
      inputs: list(top["inputs"], MAXIMUM_ENDS).map((each): ClientInput => {
        const input = object(each);
        const name = text(input["name"]);
        const kind = oneOf(input["kind"], INPUT_KINDS);
        const order = input["order"] === undefined ? {} : { order: recipe(input["order"], { parts: MAXIMUM_PARTS }, 0) };
        if (kind === "ids")
          return {
            name,
            kind,
            label: (input["label"] ?? null) === null ? null : text(input["label"]),
            size: whole(input["size"], 1, MAXIMUM_SIZE),
            ...order,
          };
        if (kind === "tensor") return { name, kind, axes: axes(input["axes"]) };
        if (kind === "peaks") return { name, kind, of: text(input["of"]) };
        return { name, kind, ...order };
      }),
      outputs: list(top["outputs"], MAXIMUM_ENDS).map((each) => {
        const output = object(each);
        return { name: text(output["name"]), axes: axes(output["axes"]) };
      }),
      stem: stem === null ? null : { file: fileName(object(stem)["file"]) },
      ...usage(top),
      fixedLength: (top["fixedLength"] ?? null) === null ? null : whole(top["fixedLength"], 2, MAXIMUM_SIZE),
      normalise: top["normalise"] === true,
      labels: labels === null ? null : list(labels, 1 << 20).map(text),
      image: image === null ? null : imageOf(object(image)),
    };
  });
}

const INPUT_KINDS = ["ids", "mask", "segments", "positions", "peaks", "tensor"] as const;

const ONNX_TYPES = "float32 float16 bfloat16 float64 int8 uint8 int16 uint16 int32 uint32 int64 uint64 bool string other".split(
  " ",
) as readonly OnnxType[];

function usage(top: JsonObject): Pick<PublicInterface, "task" | "pooling" | "maximumLength"> {
  const { pooling = null, maximumLength = null } = top;
  return {
    task: oneOf(top["task"], ["classification", "embedding", "other"] as const),
    pooling: pooling === null ? null : oneOf(pooling, ["mean", "cls"] as const),
    maximumLength: maximumLength === null ? null : whole(maximumLength, 1, MAXIMUM_SIZE),
  };
}

function imageOf(value: JsonObject): ImagePreprocessing {
  const channels = whole(value["channels"], 1, 3);
  if (channels === 2) throw new Problem("channels");
  const shortestEdge = value["shortestEdge"] ?? null;
  return {
    width: whole(value["width"], 1, 1 << 14),
    height: whole(value["height"], 1, 1 << 14),
    channels: channels as 1 | 3,
    rescale: finite(value["rescale"]),
    mean: list(value["mean"], 3).map(finite),
    deviation: list(value["deviation"], 3).map(finite),
    layout: oneOf(value["layout"], ["NCHW", "NHWC", "NHW"] as const),
    shortestEdge: shortestEdge === null ? null : whole(shortestEdge, 1, 1 << 14),
    resample: oneOf(value["resample"], ["nearest", "bilinear", "bicubic", "lanczos"] as const),
  };
}

function axes(value: Json | undefined): (Recipe | null)[] {
  const budget = { parts: MAXIMUM_PARTS };
  return list(value, MAXIMUM_RANK).map((each) => (each === null ? null : recipe(each, budget, 0)));
}

function recipe(value: Json, budget: { parts: number }, depth: number): Recipe {
  if (depth > MAXIMUM_DEPTH || --budget.parts < 0) throw new Problem("axes");
  const node = object(value);
  const kind = oneOf(node["kind"], ["leaf", "product", "sum"] as const);
  if (kind !== "leaf") {
    const parts = list(node["parts"], MAXIMUM_PARTS).map((part) => recipe(part, budget, depth + 1));
    if (parts.length === 0) throw new Problem("parts");
    return { kind, parts };
  }
  return {
    kind,
    id: text(node["id"]),
    size: whole(node["size"], 1, MAXIMUM_SIZE),
    map: oneOf(node["map"], ["none", "permutation", "orthogonal", "ones", "general"] as const),
    dual: node["dual"] === true,
    scales: list(node["scales"], MAXIMUM_ENDS).map((each) => {
      const scale = object(each);
      return { id: text(scale["id"]), power: bounded(scale["power"], 64) };
    }),
    signs: list(node["signs"], MAXIMUM_ENDS).map(text),
    within: list(node["within"], MAXIMUM_RANK).map(text),
  };
}

/** What a check found, before it is wrapped with the name of the whole. */
class Problem extends Error {}

function guarded<T>(subject: string, code: "CHECKPOINT_MALFORMED" | "BUNDLE_INVALID", hint: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof Problem) throw new UnseenError(code, `${subject}: ${error.message} is not as this version writes it.`, { hint });
    throw error;
  }
}

function object(value: Json | undefined): JsonObject {
  if (!isObject(value)) throw new Problem("an entry");
  return value;
}

function list(value: Json | undefined, limit: number): readonly Json[] {
  if (!Array.isArray(value) || value.length > limit) throw new Problem("a list");
  return value as readonly Json[];
}

function text(value: Json | undefined): string {
  if (typeof value !== "string" || value.length > MAXIMUM_NAME) throw new Problem("a name");
  return value;
}

function fileName(value: Json | undefined): string {
  const name = text(value);
  if (!/^[a-z0-9][a-z0-9.-]*$/i.test(name) || name.includes("..")) throw new Problem("a file name");
  return name;
}

function bounded(value: Json | undefined, limit: number): number {
  const number = finite(value);
  if (Math.abs(number) > limit) throw new Problem("a number");
  return number;
}

function finite(value: Json | undefined): number {
  if (typeof value !== "number" || !Number.isFinite(value)) throw new Problem("a number");
  return value;
}

function whole(value: Json | undefined, least: number, most: number): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < least || value > most) throw new Problem("a count");
  return value;
}

function shape(value: Json | undefined): (number | string)[] {
  return list(value, MAXIMUM_RANK).map((size) => (typeof size === "string" ? text(size) : whole(size, 0, MAXIMUM_SIZE)));
}

function oneOf<T extends string>(value: Json | undefined, choices: readonly T[]): T {
  if (!choices.includes(value as T)) throw new Problem("a choice");
  return value as T;
}
