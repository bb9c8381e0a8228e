/**
 * Encrypts the two ends of a real ONNX model by hand, with nothing but matrix products, so that client and host can be tested on it
 * without the code that encrypts models.
 * @module
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { bundleDirectory, writeBundle, type Bundle } from "@unseen/client/bundle.ts";
import { resolveHome } from "@unseen/client/home.ts";
import { createKey, type Key } from "@unseen/client/keyring.ts";
import type { ClientInterface, PublicInterface } from "@unseen/core/blueprint/interface.ts";
import { elementOf, recipeSize, type LeafMap, type Recipe } from "@unseen/core/blueprint/recipe.ts";
import { vocabularyPermutation } from "@unseen/core/blueprint/spaces.ts";
import { onnxNode } from "@unseen/core/checkpoint/onnx-encode.ts";
import { extractOnnx } from "@unseen/core/checkpoint/onnx-extract.ts";
import { layoutOnnx, writeOnnx } from "@unseen/core/checkpoint/onnx-layout.ts";
import { openOnnx, type OnnxModel, type OnnxNode, type OnnxTensor, type OnnxValueInfo } from "@unseen/core/checkpoint/onnx.ts";

/** A recipe of one leaf. */
export function leaf(id: string, size: number, map: LeafMap): Recipe {
  return { kind: "leaf", id, size, map, dual: false, scales: [], signs: [], within: [] };
}

export interface HandEncryption {
  /** The plain file. */
  readonly source: string;
  /** `UNSEEN_HOME` of the key holder, made anew. */
  readonly home: string;
  readonly name: string;
  /** Initializer whose rows ids choose. */
  readonly table?: string;
  /** Along the last axis of the output. */
  readonly output: Recipe;
  /** Along the last axis of the input that the host gets. */
  readonly input?: { readonly value: OnnxValueInfo; readonly recipe: Recipe };
  /** The client computes this value itself and sends it in place of the input. */
  readonly hasStem?: boolean;
  readonly ends: Pick<PublicInterface, "task" | "pooling" | "maximumLength"> & Pick<ClientInterface, "normalise" | "labels" | "image">;
  readonly isometric: boolean;
  /** Tokenizer files for the bundle. */
  readonly files: Readonly<Record<string, Uint8Array>>;
}

export interface HandEncrypted {
  /** The file for the host. */
  readonly file: string;
  readonly bundle: Bundle;
  readonly key: Key;
  readonly directory: string;
}

/** Writes the encrypted file, the key and the bundle. */
export async function encryptByHand(options: HandEncryption): Promise<HandEncrypted> {
  const home = resolveHome({ UNSEEN_HOME: options.home });
  const key = await createKey(home, "default");
  const model = await openOnnx(options.source);
  const [output] = model.graph.outputs as [OnnxValueInfo];
  const tensors = new Map<string, { readonly type: "float32"; readonly shape: readonly number[] }>();
  const data = new Map<string, Uint8Array>();
  const put = (name: string, shape: readonly number[], bytes: Uint8Array): void => {
    tensors.set(name, { type: "float32", shape });
    data.set(name, bytes);
  };
  const nodes = new Map<number, readonly OnnxNode[]>();
  const rename = (node: OnnxNode, from: string, to: string): OnnxNode => ({
    ...node,
    inputs: node.inputs.map((name) => (name === from ? to : name)),
    outputs: node.outputs.map((name) => (name === from ? to : name)),
  });

  const table = options.table === undefined ? null : (model.graph.initializers.get(options.table) as OnnxTensor);
  if (table) put(table.name, table.shape, permuteRows(table, key.secret));

  // output = plain output · T
  const size = recipeSize(options.output);
  put("key.output", [size, size], matrixOf(options.output, key.secret, false));
  const last = model.graph.nodes.findIndex((node) => node.outputs.includes(output.name));
  nodes.set(last, [
    rename(model.graph.nodes[last]!, output.name, "plain.output"),
    onnxNode("MatMul", ["plain.output", "key.output"], [output.name]),
  ]);

  let inputs = model.graph.inputs;
  let stem: Uint8Array | null = null;
  if (options.input) {
    const { value, recipe } = options.input;
    if (options.hasStem) {
      stem = extractOnnx(model, { inputs: model.graph.inputs, outputs: [value] });
      const made = model.graph.nodes.findIndex((node) => node.outputs.includes(value.name));
      for (let index = 0; index <= made; index++) nodes.set(index, []);
      inputs = [value];
    }
    const width = recipeSize(recipe);
    put("key.input", [width, width], matrixOf(recipe, key.secret, true));
    const reader = model.graph.nodes.findIndex((node) => node.inputs.includes(value.name));
    nodes.set(reader, [
      onnxNode("MatMul", [value.name, "key.input"], ["plain.input"]),
      rename(model.graph.nodes[reader]!, value.name, "plain.input"),
    ]);
  }

  const fingerprint = key.id.repeat(2);
  const vocabularySize = table?.shape[0] ?? 0;
  const described = publicInterface(options, inputs, output, vocabularySize);
  const facts = {
    scheme: "unseen-ee",
    version: "1",
    fingerprint,
    strength: "rotate",
    family: "onnx",
    vocabulary_size: String(vocabularySize),
    interface: JSON.stringify(described),
  };
  const metadata = new Map(Object.entries(facts).map(([field, value]) => [`unseen.${field}`, value]));
  const removed = stem ? unreadInitializers(model, nodes) : new Set<string>();
  const layout = layoutOnnx(model, { tensors, nodes, inputs, removed, metadata, strip: true }, { fileName: `${options.name}.onnx` });
  const directory = join(options.home, "host");
  mkdirSync(directory);
  writeOnnx(layout, directory, (name) => data.get(name)!);

  const bundle: Bundle = {
    version: 1,
    fingerprint,
    name: options.name,
    keyId: key.id,
    strength: "rotate",
    family: "onnx",
    vocabularySize,
    contextLength: options.ends.maximumLength ?? 0,
    created: new Date().toISOString(),
    eosIds: [],
    bosId: null,
    generation: {},
  };
  const ends = clientInterface(options, described, stem !== null);
  await writeBundle(home, bundle, {
    ...options.files,
    "interface.json": JSON.stringify(ends),
    ...(stem ? { "stem.onnx": stem } : {}),
  });
  return { file: join(directory, `${options.name}.onnx`), bundle, key, directory: bundleDirectory(home, fingerprint) };
}

const kinds: Readonly<Record<string, "ids" | "mask" | "segments">> = {
  input_ids: "ids",
  attention_mask: "mask",
  token_type_ids: "segments",
};

function publicInterface(
  { ends, isometric }: HandEncryption,
  inputs: readonly OnnxValueInfo[],
  output: OnnxValueInfo,
  vocabularySize: number,
): PublicInterface {
  const { task, pooling, maximumLength } = ends;
  const shapeOf = ({ shape }: OnnxValueInfo): (number | string)[] => (shape ?? []).map((side, axis) => side ?? `axis${axis}`);
  return {
    inputs: inputs.map((input) => {
      const kind = kinds[input.name] ?? "tensor";
      return {
        name: input.name,
        kind,
        type: input.type!,
        shape: shapeOf(input),
        ...(kind === "ids" ? { vocabularySize } : {}),
      };
    }),
    outputs: [
      {
        name: output.name,
        shape: shapeOf(output),
        isometric,
      },
    ],
    task,
    pooling,
    maximumLength,
  };
}

function clientInterface({ ends, input, output }: HandEncryption, described: PublicInterface, hasStem: boolean): ClientInterface {
  const lastAxis = (rank: number, recipe: Recipe | null): (Recipe | null)[] => [...Array.from({ length: rank - 1 }, () => null), recipe];
  const [first] = described.outputs;
  return {
    inputs: described.inputs.map(({ name, kind, shape, vocabularySize = 0 }) => {
      if (kind === "ids") return { name, kind, label: "vocabulary", size: vocabularySize };
      if (kind === "tensor") return { name, kind, axes: lastAxis(shape.length, input?.recipe ?? null) };
      return { name, kind: kind as "mask" | "segments" };
    }),
    outputs: [{ name: first!.name, axes: lastAxis(first!.shape.length, output) }],
    stem: hasStem ? { file: "stem.onnx" } : null,
    fixedLength: null,
    ...ends,
  };
}

/** T, or its inverse, as the matrix that a row vector is multiplied by. */
function matrixOf(recipe: Recipe, secret: Uint8Array, isInverse: boolean): Uint8Array {
  const element = elementOf(recipe, secret)!;
  const { size } = element;
  // Column c of the panel is the unit vector c, so its image is row c of T.
  const panel = new Float64Array(size * size);
  for (let i = 0; i < size; i++) panel[i * size + i] = 1;
  (isInverse ? element.inverse() : element).apply(panel, size);
  const matrix = new Float32Array(size * size);
  for (let i = 0; i < size; i++) for (let j = 0; j < size; j++) matrix[i * size + j] = panel[j * size + i]!;
  return new Uint8Array(matrix.buffer);
}

/** Row `cipher id` of the result is row `plain id` of the table. */
function permuteRows(table: OnnxTensor, secret: Uint8Array): Uint8Array {
  const [rows] = table.shape as [number];
  const plain = table.read();
  const width = plain.length / rows;
  const permuted = new Uint8Array(plain.length);
  vocabularyPermutation(secret, rows).forEach((cipher, id) => permuted.set(plain.subarray(id * width, (id + 1) * width), cipher * width));
  return permuted;
}

function unreadInitializers(model: OnnxModel, nodes: ReadonlyMap<number, readonly OnnxNode[]>): Set<string> {
  const read = new Set(model.graph.nodes.flatMap((node, index) => (nodes.get(index) ?? [node]).flatMap(({ inputs }) => inputs)));
  return new Set([...model.graph.initializers.keys()].filter((name) => !read.has(name)));
}
