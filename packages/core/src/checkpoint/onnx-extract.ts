/**
 * Cuts a part out of an ONNX model: what computes some values from others.
 * @module
 */
import { malformed, quote } from "./checks.ts";
import { encodeNode, encodeTensor, encodeValueInfo, joinModel, keepInside } from "./onnx-encode.ts";
import { checkGraph, label, neededNames } from "./onnx-graph.ts";
import { recall } from "./onnx-raw.ts";
import type { OnnxModel, OnnxNode, OnnxTensor, OnnxValueInfo } from "./onnx.ts";
import { Rope } from "./protobuf-write.ts";
import { fields } from "./protobuf.ts";

/** The ends of a part; their names are those of values of the whole. */
export interface OnnxEnds {
  readonly inputs: readonly OnnxValueInfo[];
  readonly outputs: readonly OnnxValueInfo[];
}

/**
 * A model file that computes `outputs` from `inputs` with the nodes and initializers that this needs; its tensors are inside.
 *
 * @throws UnseenError `CHECKPOINT_MALFORMED` where the outputs need an input of the model that is not given, and as `checkGraph`;
 *   `CHECKPOINT_TOO_LARGE` from 2 GiB on
 */
export function extractOnnx(model: OnnxModel, { inputs, outputs }: OnnxEnds): Uint8Array {
  const { nodes, initializers } = findNeeded(model, { inputs, outputs });
  const build = (): Uint8Array => {
    const graph = new Rope();
    for (const node of nodes) graph.bytes(1, encodeNode(node));
    graph.bytes(2, "graph");
    for (const tensor of initializers) graph.bytes(5, encodeTensor(tensor));
    for (const info of inputs) graph.bytes(11, encodeValueInfo(info));
    for (const info of outputs) graph.bytes(12, encodeValueInfo(info));
    // From IR 4 on, initializers need not be inputs.
    const whole = new Rope().varint(1, Math.max(4, model.irVersion)).bytes(7, graph);
    const original = recall(model);
    // Versions of the operator sets, and operators that the model defines itself.
    if (original)
      for (const field of fields(original)) {
        if (field.number === 8) whole.add(field.raw());
        if (field.number === 25) whole.bytes(25, keepInside(field.slice(), "function"));
      }
    return joinModel(whole);
  };
  return recall(model)?.source.holding(build) ?? build();
}

function findNeeded({ graph }: OnnxModel, { inputs, outputs }: OnnxEnds): { nodes: OnnxNode[]; initializers: OnnxTensor[] } {
  const order = checkGraph(graph);
  const given = new Set(inputs.map(({ name }) => name));
  const needed = new Map(outputs.map(({ name }) => [name, "the outputs"])); // name -> who needs it
  const nodes = new Set<OnnxNode>();
  for (const node of order.toReversed()) {
    if (!node.outputs.some((name) => needed.has(name) && !given.has(name))) continue;
    nodes.add(node);
    for (const name of neededNames(node)) if (!needed.has(name)) needed.set(name, `node ${label(node)}`);
  }
  const made = new Set([...nodes].flatMap((node) => node.outputs));
  for (const name of given)
    if (made.has(name))
      throw malformed(`the part to cut out makes ${quote(name)} itself, which is one of its inputs.`, "Choose other inputs.");
  for (const [name, user] of needed)
    if (!given.has(name) && !made.has(name) && !graph.initializers.has(name))
      throw malformed(
        `the part to cut out: ${user} need${user.startsWith("node") ? "s" : ""} ${quote(name)}, which is not given.`,
        "Give it as an input.",
      );
  const initializers = [...graph.initializers.values()].filter(({ name }) => needed.has(name) && !given.has(name));
  return { nodes: order.filter((node) => nodes.has(node)), initializers };
}
