/**
 * Operators that are sums of products with stored weights: convolutions, matrices, means.
 * @module
 */
import { broadcastShapes, broadcastData, type Known } from "@unseen/core/blueprint/trace/known-tensor.ts";
import { quote } from "@unseen/core/checkpoint/checks.ts";
import { sizeOf } from "../layer.ts";
import { Beyond } from "./beyond.ts";
import { behind, firstInput, type Operation, type Operator, type Tracked } from "./tracked.ts";
import { readWindows } from "./windows.ts";

const convolution: Operator = (operation) => {
  const { node, the, budget } = operation;
  const input = picture(operation);
  const weight = weights(operation, 1);
  if (weight.shape.length !== 4) throw new Beyond("Conv over other than two axes is not done on ciphertext");
  const [out, perGroup, high, wide] = weight.shape as [number, number, number, number];
  const { shape } = input.stage;
  const groups = the.integer("group", 1);
  if (!(groups >= 1) || out === 0 || out % groups !== 0 || perGroup * groups !== shape.channels || high * wide === 0)
    throw the.malformed(`weights of shape [${weight.shape.join()}] in ${groups} groups do not fit ${shape.channels} channels.`);
  const { kernel, strides, dilations, pads, count } = readWindows(the, shape, [high, wide]);
  budget.take(weight.data.length);
  const bias = node.inputs[2] ? weights(operation, 2) : null;
  if (bias && (bias.shape.length !== 1 || bias.data.length !== out)) throw the.malformed(`expected a bias of shape [${out}].`);
  return behind(operation, input, false, (stage) => ({
    kind: "convolution",
    value: node.outputs[0] as string,
    title: `Conv ${kernel.join("x")} ${shape.channels}->${out}${groups > 1 ? `, ${groups} groups` : ""}`,
    input: stage.shape,
    output: { channels: out, height: count[0], width: count[1] },
    weight: weight.data,
    bias: bias?.data ?? new Float64Array(out),
    kernel,
    strides,
    dilations,
    pads,
    groups,
  }));
};

const matMul: Operator = (operation) => {
  const matrix = weights(operation, 1);
  if (matrix.shape.length !== 2) throw new Beyond("MatMul with other than one matrix is not done on ciphertext");
  return dense(operation, matrix, false, 1, null);
};

const gemm: Operator = (operation) => {
  const { the } = operation;
  if (the.integer("transA", 0) !== 0) throw new Beyond("Gemm of a transposed input is not done on ciphertext");
  const matrix = weights(operation, 1);
  if (matrix.shape.length !== 2) throw the.malformed(`expected a matrix, got shape [${matrix.shape.join()}].`);
  const summand = operation.node.inputs[2] ? weights(operation, 2) : null;
  const bias = summand && { ...summand, data: summand.data.map((each) => each * the.float("beta", 1)) };
  return dense(operation, matrix, the.integer("transB", 0) !== 0, the.float("alpha", 1), bias);
};

/** x times a matrix (in, out), or (out, in) where `transposed`. */
function dense(operation: Operation, matrix: Known, transposed: boolean, factor: number, summand: Known | null): Tracked {
  const { node, the, budget } = operation;
  const input = firstInput(operation);
  if (!input.flat) throw new Beyond(`${the.operator} along the rows of a picture is not done on ciphertext`);
  const [columns, rows] = (transposed ? matrix.shape.toReversed() : matrix.shape) as [number, number];
  if (columns !== sizeOf(input.stage.shape) || rows === 0)
    throw the.malformed(`a matrix for ${columns} numbers does not fit ${sizeOf(input.stage.shape)}.`);
  budget.take(matrix.data.length);
  const weight = new Float64Array(matrix.data.length);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      weight[row * columns + column] = factor * matrix.data[transposed ? row * columns + column : column * rows + row]!;
  if (summand && broadcastShapes(summand.shape, [1, rows]).join() !== `1,${rows}`)
    throw the.malformed(`a summand of shape [${summand.shape.join()}] does not fit [1,${rows}].`);
  const bias = summand ? broadcastData(summand, [1, rows]) : new Float64Array(rows);
  return behind(operation, input, true, (stage) => ({
    kind: "dense",
    value: node.outputs[0] as string,
    title: `Dense ${columns}->${rows}`,
    input: stage.shape,
    output: { channels: rows, height: 1, width: 1 },
    weight,
    bias,
  }));
}

const averagePool: Operator = (operation) => {
  const { the } = operation;
  const input = picture(operation);
  const { kernel, strides, dilations, pads, count } = readWindows(the, input.stage.shape, null);
  if (dilations.some((each) => each !== 1)) throw new Beyond("AveragePool with dilations is not done on ciphertext");
  // A window that sees the border alone would have no mean.
  if (pads.some((pad, side) => pad >= kernel[side % 2]!)) throw the.malformed("expected borders that are smaller than the kernel.");
  const countIncludePad = the.integer("count_include_pad", 0) !== 0;
  return mean(operation, input, { kernel, strides, pads, count, countIncludePad });
};

const globalAveragePool: Operator = (operation) => {
  const input = picture(operation);
  const { height, width } = input.stage.shape;
  const kernel = [height, width] as const;
  return mean(operation, input, { kernel, strides: [1, 1], pads: [0, 0, 0, 0], count: [1, 1], countIncludePad: false });
};

/** Over all rows and columns, which is how PyTorch exports a global mean. */
const reduceMean: Operator = (operation) => {
  const { the, constant } = operation;
  const axes = the.integers("axes") ?? [...(constant(1)?.data ?? [])];
  if (
    axes
      .map((axis) => (axis < 0 ? axis + 4 : axis))
      .toSorted((a, b) => a - b)
      .join() !== "2,3"
  )
    throw new Beyond("ReduceMean over other axes than rows and columns is not done on ciphertext");
  return { ...globalAveragePool(operation), flat: the.integer("keepdims", 1) === 0 };
};

interface Mean {
  readonly kernel: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly pads: readonly [number, number, number, number];
  readonly count: readonly [number, number];
  readonly countIncludePad: boolean;
}

function mean(operation: Operation, input: Tracked, { count, ...windows }: Mean): Tracked {
  return behind(operation, input, false, ({ shape }) => ({
    kind: "average-pool",
    value: operation.node.outputs[0] as string,
    title: `Average pool ${windows.kernel.join("x")}`,
    input: shape,
    output: { channels: shape.channels, height: count[0], width: count[1] },
    ...windows,
  }));
}

/** The input that depends on the picture, which must have rows and columns. */
function picture(operation: Operation): Tracked {
  const input = firstInput(operation);
  if (input.flat) throw operation.the.malformed("expected a picture of four axes, got two axes.");
  return input;
}

function weights({ node, the, constant }: Operation, index: number): Known {
  const known = constant(index);
  if (!known) throw new Beyond(`${the.operator} needs stored weights, and input ${index} of ${quote(node.outputs[0] ?? "")} is none`);
  if (known.data.length === 0) throw the.malformed(`expected weights, got shape [${known.shape.join()}].`);
  return known;
}

/** By operator. */
export const products: ReadonlyMap<string, Operator> = new Map([
  ["Conv", convolution],
  ["MatMul", matMul],
  ["Gemm", gemm],
  ["AveragePool", averagePool],
  ["GlobalAveragePool", globalAveragePool],
  ["ReduceMean", reduceMean],
]);
