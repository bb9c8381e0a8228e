/**
 * ONNX models (https://github.com/onnx/onnx/blob/main/docs/IR.md): opens a file, its graph and its tensors.
 *
 * The structure is read once through a small window; tensors stay in their files until they are asked for.
 * @module
 */
import { realpath } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { explainSystemError } from "../errors.ts";
import { ExternalFiles } from "./onnx-external.ts";
import { readModel } from "./onnx-reader.ts";
import { ByteSource } from "./protobuf.ts";

/** Element types; `other` = 8-bit floats, 4-bit numbers and complex numbers, readable as opaque bytes. */
export type OnnxType =
  | "float32"
  | "float16"
  | "bfloat16"
  | "float64"
  | "int8"
  | "uint8"
  | "int16"
  | "uint16"
  | "int32"
  | "uint32"
  | "int64"
  | "uint64"
  | "bool"
  | "string"
  | "other";

/** A constant of a graph or of a node's attribute. */
export interface OnnxTensor {
  readonly name: string;
  readonly type: OnnxType;
  /** Outermost dimension first, row-major. */
  readonly shape: readonly number[];
  /** Size of {@link OnnxTensor.read}'s result. */
  readonly bytes: number;
  /** Where the packed little-endian bytes lie, if they do so as they are; null for typed fields and tensors in memory. */
  readonly location: { readonly file: string; readonly offset: number } | null;
  /** The elements packed, little-endian; texts one after another. Throws `CHECKPOINT_TRUNCATED` if the file changed. */
  read(): Uint8Array;
}

/** An attribute of a node. Integers beyond 2^53 are the nearest exact ones (`Slice` ends at 2^63 - 1). */
export type OnnxAttribute =
  | { readonly kind: "float" | "int"; readonly value: number }
  | { readonly kind: "string"; readonly value: Uint8Array }
  | { readonly kind: "tensor"; readonly value: OnnxTensor }
  | { readonly kind: "graph"; readonly value: OnnxGraph }
  | { readonly kind: "floats" | "ints"; readonly value: readonly number[] }
  | { readonly kind: "strings"; readonly value: readonly Uint8Array[] }
  /** `reference`: inside a function, the name of the attribute of its call. */
  | { readonly kind: "other"; readonly reference?: string };

/** One operation. */
export interface OnnxNode {
  readonly name: string;
  /** `op_type`. */
  readonly operator: string;
  /** Empty for the operators of ONNX itself. */
  readonly domain: string;
  /** Empty = not given. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, OnnxAttribute>;
}

/** What is known of a value: null = unknown, or no tensor. A dimension is a size, a named one, or unknown. */
export interface OnnxValueInfo {
  readonly name: string;
  readonly type: OnnxType | null;
  readonly shape: readonly (number | string | null)[] | null;
}

/** A graph of operations. */
export interface OnnxGraph {
  readonly name: string;
  /** In the order of the file; `checkGraph` sorts. */
  readonly nodes: readonly OnnxNode[];
  readonly initializers: ReadonlyMap<string, OnnxTensor>;
  /** Without those that are initializers, as IR 3 lists them. */
  readonly inputs: readonly OnnxValueInfo[];
  readonly outputs: readonly OnnxValueInfo[];
  /** `value_info`: what the exporter says of inner values. */
  readonly values: ReadonlyMap<string, OnnxValueInfo>;
}

/** An operator that a model defines itself. */
export interface OnnxFunction {
  readonly domain: string;
  readonly name: string;
  /** Names inside it of what it is given. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly nodes: readonly OnnxNode[];
  /** Attributes that a call need not give. */
  readonly defaults: ReadonlyMap<string, OnnxAttribute>;
  /** Versions by domain, which may differ from the model's. */
  readonly opsets: ReadonlyMap<string, number>;
}

/** An opened model. */
export interface OnnxModel {
  /** Absolute; empty for a model in memory. */
  readonly path: string;
  readonly irVersion: number;
  /** Version by domain; "" = ONNX's own operators. */
  readonly opsets: ReadonlyMap<string, number>;
  readonly producer: string;
  readonly metadata: ReadonlyMap<string, string>;
  readonly graph: OnnxGraph;
  /** Operators that the model defines itself. */
  readonly functions: readonly OnnxFunction[];
  /** Absolute paths: the model, then its external data. */
  readonly files: readonly string[];
}

/**
 * Opens an ONNX file with its external data, which must lie beside it.
 *
 * @throws UnseenError `CHECKPOINT_NOT_FOUND`, `CHECKPOINT_TRUNCATED`, `CHECKPOINT_MALFORMED`, `CHECKPOINT_TOO_LARGE`,
 *   `CHECKPOINT_DUPLICATE`, `CHECKPOINT_MISSING_SHARD` for an external file that is not there,
 *   `CHECKPOINT_DTYPE_UNSUPPORTED` for sparse and unknown tensors, `PERMISSION_DENIED`
 */
export async function openOnnx(path: string): Promise<OnnxModel> {
  // The model may be named through a link, as in the hub's cache; external data are looked for beside the name that was given.
  const directory = await realpath(dirname(path)).catch((error: unknown) => {
    throw explainSystemError(error, path);
  });
  const absolute = join(directory, basename(path));
  const source = ByteSource.file(absolute);
  return source.holding(() => readModel(source, new ExternalFiles(directory, source.name)));
}

/** Opens a model held in memory; it may not have external data. Throws as {@link openOnnx}. */
export function decodeOnnx(bytes: Uint8Array): OnnxModel {
  return readModel(ByteSource.memory(bytes), null);
}
