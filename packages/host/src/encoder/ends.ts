/**
 * The ends of an ONNX model: what its file says of them, or what the graph of a plain file lets one guess.
 * @module
 */
import { parsePublicInterface, type InputKind, type PublicInput, type PublicInterface } from "@unseen/core/blueprint/interface.ts";
import type { Json } from "@unseen/core/blueprint/config.ts";
import type { OnnxGraph, OnnxModel, OnnxValueInfo } from "@unseen/core/checkpoint/onnx.ts";
import { UnseenError } from "@unseen/core/errors.ts";
import { isFeedType } from "../engine/onnx/numbers.ts";
import { isPerRow, isPerToken } from "../engine/onnx/plan.ts";
import { lookupsOf, type Lookup } from "./lookups.ts";

/** Characters of `unseen.interface` (CWE-770). */
const MAXIMUM_INTERFACE_LENGTH = 4 << 20;

/** What the server must know of a graph to check requests and to form batches. */
export interface ModelEnds {
  readonly interface: PublicInterface;
  /** Of the inputs that hold indices: ids, segments and positions. */
  readonly lookups: ReadonlyMap<string, Lookup>;
  /** Some weights are half precision: results of equal requests agree in fewer digits. */
  readonly isHalf: boolean;
}

/** The usual names of exports; a plain file says no more than that. */
const KINDS: Readonly<Record<string, InputKind>> = {
  input_ids: "ids",
  attention_mask: "mask",
  token_type_ids: "segments",
  position_ids: "positions",
};

/**
 * Reads the interface of an encrypted file, or infers that of a plain one.
 * @param described the metadata's `unseen.interface`, null for a plain file
 * @throws UnseenError `CHECKPOINT_MALFORMED`, `CHECKPOINT_DTYPE_UNSUPPORTED`
 */
export function readEnds(model: OnnxModel, described: string | null): ModelEnds {
  const { graph } = model;
  const found = described === null ? inferInterface(graph) : parsePublicInterface(parseDescription(described));
  requireAgreement(found, graph);
  const indices = found.inputs.filter(({ kind }) => kind === "ids" || kind === "segments" || kind === "positions");
  const lookups = new Map(indices.map(({ name }) => [name, lookupsOf(graph, name)]));
  const isHalf = [...graph.initializers.values()].some(({ type }) => type === "float16" || type === "bfloat16");
  return { interface: limitVocabulary(found, lookups), lookups, isHalf };
}

/** Whether sequences of ids are all that a model takes, one row each. */
export function takesSequences({ inputs }: PublicInterface): boolean {
  const kinds = inputs.map(({ kind }) => kind);
  return kinds.filter((kind) => kind === "ids").length === 1 && inputs.every((input) => isPerToken(input) || isPerRow(input));
}

function parseDescription(text: string): Json {
  try {
    if (text.length <= MAXIMUM_INTERFACE_LENGTH) return JSON.parse(text) as Json;
  } catch {}
  throw new UnseenError("CHECKPOINT_MALFORMED", "unseen.interface is no JSON of this version.", { hint: "Encrypt the model again." });
}

function inferInterface(graph: OnnxGraph): PublicInterface {
  const inputs = graph.inputs.map((info): PublicInput => {
    const type = info.type ?? "other";
    const isWhole = type === "int64" || type === "int32";
    const kind = (isWhole && Object.hasOwn(KINDS, info.name) && KINDS[info.name]) || "tensor";
    return { name: info.name, kind, type, shape: shapeOf(info) };
  });
  const [output] = graph.outputs;
  const outputs = output ? [{ name: output.name, shape: shapeOf(output), isometric: true }] : [];
  // The habit of sentence encoders; a graph with one vector a row has pooled already.
  const pooling = inputs.some(({ kind }) => kind === "ids") && output?.shape?.length === 3 ? "mean" : null;
  return { inputs, outputs, task: "other", pooling, maximumLength: null };
}

function shapeOf({ shape, name }: OnnxValueInfo): (number | string)[] {
  return (shape ?? []).map((size, axis) =>
    typeof size === "number" && size >= 0 ? size : typeof size === "string" && size !== "" ? size : `${name}.${axis}`,
  );
}

function requireAgreement(described: PublicInterface, graph: OnnxGraph): void {
  const own = new Map(graph.inputs.map((info) => [info.name, info]));
  const agrees =
    described.inputs.length === own.size &&
    described.inputs.every(
      ({ name, type, shape }) => own.get(name)?.type === type && (own.get(name)?.shape ?? shape).length === shape.length,
    ) &&
    described.outputs.length > 0 &&
    graph.outputs.some(({ name }) => name === described.outputs[0]!.name);
  if (!agrees) {
    throw new UnseenError("CHECKPOINT_MALFORMED", "the interface names other inputs or outputs than the graph has.", {
      hint: "Encrypt the model again.",
    });
  }
  for (const { type } of described.inputs) {
    if (!isFeedType(type))
      throw new UnseenError("CHECKPOINT_DTYPE_UNSUPPORTED", `an input is of type ${type}, which requests cannot carry.`, {
        hint: "Export the model with float32 or integer inputs.",
      });
  }
}

/** An id beyond the table would reach native code as an index (CWE-129); where nothing is known, the engine's own check remains. */
function limitVocabulary(described: PublicInterface, lookups: ReadonlyMap<string, Lookup>): PublicInterface {
  const inputs = described.inputs.map((input): PublicInput => {
    const rows = lookups.get(input.name)?.rows;
    if (input.kind !== "ids" || rows === null || rows === undefined) return input;
    return { ...input, vocabularySize: Math.min(rows, input.vocabularySize ?? rows) };
  });
  return { ...described, inputs };
}
