/**
 * For tests: damages graphs as a hostile file or a careless exporter would.
 * @module
 */
import type { OnnxParts } from "../../checkpoint/onnx-encode.ts";
import { tensorOf } from "../../checkpoint/onnx-tensor.ts";
import type { OnnxAttribute, OnnxNode, OnnxTensor } from "../../checkpoint/onnx.ts";
import { Dice } from "./graph-builder.fixture.ts";

/** Numbers that no attribute should have. */
const ABSURD = [99, -1, -2, -99, 0, 1, 2, 3, 2 ** 34, -(2 ** 31), 2 ** 40, Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER];
/** Attributes of many operators. */
const NAMES = ["axis", "axes", "perm", "keepdims", "group", "pads", "strides", "dilations", "auto_pad", "ceil_mode", "transA", "transB"];
const MORE_NAMES = ["allowzero", "blocksize", "mode", "num_heads", "split", "num_outputs", "batch_dims", "to", "k", "shape", "exclusive"];

/** The parts with one to three things changed. Deterministic in the seed. */
export function damaged(parts: OnnxParts, seed: number): OnnxParts {
  const dice = new Dice(seed, "damage");
  let result = parts;
  for (let i = dice.between(1, 3); i > 0; i--) result = dice.pick(DAMAGES)(result, dice);
  return result;
}

type Damage = (parts: OnnxParts, dice: Dice) => OnnxParts;

const changeNode =
  (change: (node: OnnxNode, dice: Dice, parts: OnnxParts) => OnnxNode): Damage =>
  (parts, dice) => {
    if (parts.nodes.length === 0) return parts;
    const index = dice.below(parts.nodes.length);
    return { ...parts, nodes: parts.nodes.with(index, change(parts.nodes[index]!, dice, parts)) };
  };

function absurdAttribute(dice: Dice): OnnxAttribute {
  const list = Array.from({ length: dice.below(5) }, () => dice.pick(ABSURD));
  switch (dice.below(6)) {
    case 0:
      return { kind: "ints", value: list };
    case 1:
      return { kind: "float", value: dice.pick([0, -1, Infinity, NaN, 1e30]) };
    case 2:
      return { kind: "string", value: Buffer.from(dice.pick(["", "SAME_UPPER", "reflect", "edge", "ab,bc->ac", "DCR", "…", "nearest"])) };
    case 3:
      return { kind: "floats", value: list };
    default:
      return { kind: "int", value: dice.pick(ABSURD) };
  }
}

/** A tensor of the same type with other content or another shape. */
function changedTensor(tensor: OnnxTensor, dice: Dice): OnnxTensor {
  const { name, type, shape } = tensor;
  const bytes = Uint8Array.from(tensor.read());
  const view = new DataView(bytes.buffer);
  const axis = dice.below(Math.max(shape.length, 1));
  if (dice.chance(0.4)) {
    if (type === "int64" && bytes.length >= 8) view.setBigInt64(8 * dice.below(bytes.length / 8), BigInt(dice.pick(ABSURD)), true);
    if (type === "float32" && bytes.length >= 4)
      view.setFloat32(4 * dice.below(bytes.length / 4), dice.pick([0, NaN, Infinity, -1, 1e-30, 1e30]), true);
    return tensorOf(name, type, shape, bytes);
  }
  if (dice.chance(0.5)) return tensorOf(name, type, shape.toReversed(), bytes);
  if (shape.length === 0 || dice.chance(0.3)) return tensorOf(name, type, [...shape.slice(0, axis), 1, ...shape.slice(axis)], bytes);
  if (shape[axis] === 1) return tensorOf(name, type, shape.toSpliced(axis, 1), bytes);
  const size = dice.chance(0.2) ? 0 : dice.below(shape[axis]!) + 1;
  const changed = shape.with(axis, size);
  const width = bytes.length / shape.reduce((product, each) => product * each, 1);
  return tensorOf(name, type, changed, bytes.slice(0, width * changed.reduce((product, each) => product * each, 1)));
}

const OTHER_OPERATORS = [
  "Add",
  "Mul",
  "MatMul",
  "Relu",
  "Transpose",
  "Reshape",
  "Concat",
  "Split",
  "Slice",
  "Gather",
  "Conv",
  "Gemm",
  "Softmax",
  "Identity",
  "ReduceMean",
  "ArgMax",
  "TopK",
  "OneHot",
  "Pad",
  "Tile",
  "Expand",
  "Einsum",
  "LayerNormalization",
  "BatchNormalization",
  "Where",
  "DepthToSpace",
  "Resize",
  "MaxPool",
  "GatherND",
  "ScatterND",
  "CumSum",
  "DequantizeLinear",
  "Unknown",
  "Loop",
  "Shape",
];

const DAMAGES: readonly Damage[] = [
  changeNode((node, dice) => {
    const given = [...node.attributes.keys()];
    const name = given.length > 0 && dice.chance(0.7) ? dice.pick(given) : dice.pick([...NAMES, ...MORE_NAMES]);
    return { ...node, attributes: new Map([...node.attributes, [name, absurdAttribute(dice)]]) };
  }),
  changeNode((node, dice) => ({ ...node, attributes: new Map([...node.attributes].filter(() => dice.chance(0.5))) })),
  changeNode((node, dice) => ({ ...node, inputs: dice.shuffled(node.inputs) })),
  changeNode((node, dice) => ({ ...node, inputs: node.inputs.filter(() => dice.chance(0.6)) })),
  changeNode((node, dice) => ({ ...node, inputs: node.inputs.map((name) => (dice.chance(0.3) ? "" : name)) })),
  changeNode((node, dice) => ({ ...node, inputs: [...node.inputs, dice.pick([...node.inputs, ""])] })),
  changeNode((node, dice, parts) => {
    const names = [
      ...(parts.initializers?.keys() ?? []),
      ...parts.nodes.flatMap(({ outputs }) => outputs),
      ...parts.inputs.map(({ name }) => name),
    ];
    return { ...node, inputs: node.inputs.map((name) => (dice.chance(0.4) ? dice.pick(names) : name)) };
  }),
  changeNode((node, dice) => ({ ...node, operator: dice.pick(OTHER_OPERATORS) })),
  changeNode((node, dice) => ({ ...node, domain: dice.pick(["com.microsoft", "custom", "ai.onnx", "ai.onnx.ml"]) })),
  changeNode((node, dice) => ({
    ...node,
    outputs: dice.chance(0.5) ? [...node.outputs, `${node.outputs[0]}_more`] : node.outputs.slice(1),
  })),
  changeNode((node, dice, parts) => ({ ...node, outputs: [dice.pick(parts.nodes).outputs[0] ?? ""] })),
  (parts, dice) => ({ ...parts, nodes: dice.shuffled(parts.nodes) }),
  (parts, dice) => ({ ...parts, opsets: new Map([...parts.opsets!, ["", dice.pick([1, 7, 9, 11, 13, 18, 21, 99])]]) }),
  (parts, dice) => {
    const names = [...(parts.initializers?.keys() ?? [])];
    if (names.length === 0) return parts;
    const name = dice.pick(names);
    return { ...parts, initializers: new Map([...parts.initializers!, [name, changedTensor(parts.initializers!.get(name)!, dice)]]) };
  },
  (parts, dice) => ({ ...parts, initializers: new Map([...(parts.initializers ?? [])].filter(() => dice.chance(0.9))) }),
  (parts, dice) => ({
    ...parts,
    inputs: parts.inputs.map((info) => ({
      ...info,
      shape: dice.chance(0.3)
        ? null
        : (info.shape ?? []).map((size) => (dice.chance(0.3) ? dice.pick([0, 1, 2 ** 40, "batch", null]) : size)),
    })),
  }),
  (parts, dice) => ({
    ...parts,
    inputs: parts.inputs.map((info) =>
      dice.chance(0.5) ? { ...info, type: dice.pick(["float64", "float16", "int64", "string", null]) } : info,
    ),
  }),
  (parts, dice) => ({ ...parts, outputs: parts.outputs.map((info) => ({ ...info, shape: dice.pick([null, [], [7, 7], ["x", null]]) })) }),
  (parts, dice) => {
    const names = parts.nodes.flatMap(({ outputs }) => outputs);
    return {
      ...parts,
      outputs: [...parts.outputs, { name: dice.pick([...names, ...parts.inputs.map(({ name }) => name)]), type: null, shape: null }],
    };
  },
];
