/**
 * For tests: graphs that compute with small whole numbers, as quantisers write them. The numbers are quantised where they enter, so
 * that rounding comes out the same in both models.
 * @module
 */
import { elements, MICROSOFT, type Dimension, type Drawn, type GraphBuilder } from "./graph-builder.fixture.ts";

/** Whole numbers with what they are in numbers: (x - zero)·scale. */
interface Quantised {
  readonly value: Drawn;
  readonly scale: Drawn;
  readonly zero: Drawn;
}

function zeroOf(b: GraphBuilder, type: "int8" | "uint8", shape: readonly number[] = []): Drawn {
  return type === "uint8" ? b.bytes(type, shape, 110, 140) : b.bytes(type, shape, -4, 4);
}

function marked(b: GraphBuilder, value: Drawn, scale: number): Quantised {
  return { value, scale: b.scalar(scale, []), zero: zeroOf(b, "uint8") };
}

const parts = ({ value, scale, zero }: Quantised): Drawn[] => [value, scale, zero];

/**
 * Seven bits: processors without VNNI add pairs of products in 16 bits, and where these overflow it matters which two meet. That is
 * why quantisers have `reduce_range`.
 */
const GREATEST = 63;

/** A stored factor (from, to), with scales for each column or one for all. */
function factor(b: GraphBuilder, shape: readonly number[], axis: number): Quantised {
  const perColumn = b.dice.chance(0.5) ? [shape[axis] as number] : [];
  const scale = b.stored(
    perColumn,
    Array.from({ length: elements(perColumn) }, () => b.dice.uniform(0.005, 0.02)),
  );
  return { value: b.bytes("int8", shape, -GREATEST, GREATEST), scale, zero: b.bytes("int8", perColumn, 0, 0) };
}

/** A network of whole numbers; its last result as numbers. */
export function quantised(b: GraphBuilder): Drawn {
  const { dice } = b;
  const batch: Dimension = dice.chance(0.5) ? "batch" : 2;
  if (dice.chance(0.4)) return dynamic(b, b.input("x", [batch, dice.pick([4, 6, 8])]));
  const isImage = dice.chance(0.5);
  const shape = isImage ? [batch, 3, 4, 4] : [batch, dice.pick([4, 6, 8])];
  const input = b.input("x", shape);
  const start = marked(b, input, 0.02);
  let current: Quantised = { ...start, value: b.node("QuantizeLinear", parts(start), shape) };
  for (let i = dice.between(1, 4); i > 0; i--) current = isImage ? imageStep(b, current) : vectorStep(b, current);
  return b.node("DequantizeLinear", parts(current), current.value.shape);
}

function vectorStep(b: GraphBuilder, from: Quantised): Quantised {
  const { dice } = b;
  const { shape } = from.value;
  const width = shape[1] as number;
  const to = dice.pick([4, 6, 8]);
  switch (dice.below(6)) {
    case 0: {
      const other = marked(b, from.value, 0.03);
      const result = marked(b, from.value, 0.05);
      const name = dice.pick(["QLinearAdd", "QLinearMul"]);
      const stored = { value: b.bytes("uint8", [width], 0, 255), scale: other.scale, zero: other.zero };
      const pair = dice.chance(0.5) ? [...parts(from), ...parts(from)] : [...parts(from), ...parts(stored)];
      return { ...result, value: b.node(name, [...pair, result.scale, result.zero], shape, {}, MICROSOFT) };
    }
    case 1: {
      const result = marked(b, from.value, 0.03);
      const name = dice.pick(["QLinearSigmoid", "QLinearLeakyRelu"]);
      const attributes = name === "QLinearLeakyRelu" ? { alpha: { float: 0.2 } } : {};
      return { ...result, value: b.node(name, [...parts(from), result.scale, result.zero], shape, attributes, MICROSOFT) };
    }
    case 2: {
      const result = marked(b, from.value, 0.03);
      const joined = b.node(
        "QLinearConcat",
        [result.scale, result.zero, ...parts(from), ...parts(from)],
        [shape[0]!, 2 * width],
        { axis: 1 },
        MICROSOFT,
      );
      return width > 16 ? from : { ...result, value: joined };
    }
    case 3: {
      const weight = factor(b, [to, width], 0);
      const result = marked(b, from.value, 0.05);
      const node = [...parts(from), ...parts(weight), null, result.scale, result.zero];
      return { ...result, value: b.node("QGemm", node, [shape[0]!, to], { transB: 1 }, MICROSOFT) };
    }
    default: {
      const weight = factor(b, [width, to], 1);
      const result = marked(b, from.value, 0.05);
      return { ...result, value: b.node("QLinearMatMul", [...parts(from), ...parts(weight), result.scale, result.zero], [shape[0]!, to]) };
    }
  }
}

function imageStep(b: GraphBuilder, from: Quantised): Quantised {
  const { dice } = b;
  const { shape } = from.value;
  const [batch, channels, ...pixels] = shape as [Dimension, number, ...number[]];
  const result = marked(b, from.value, 0.05);
  const ends = [...parts(from), result.scale, result.zero];
  switch (dice.below(4)) {
    case 0: {
      if (pixels.some((size) => size < 2)) return from;
      const attributes = { kernel_shape: [2, 2], strides: [1, 1], channels_last: 0 };
      const smaller = [batch, channels, ...pixels.map((size) => size - 1)];
      return { ...result, value: b.node("QLinearAveragePool", ends, smaller, attributes, MICROSOFT) };
    }
    case 1:
      return {
        ...result,
        value: b.node("QLinearGlobalAveragePool", ends, [batch, channels, 1, 1], { channels_last: 0 }, MICROSOFT),
      };
    default: {
      const to = dice.pick([4, 6]);
      const weight = factor(b, [to, channels, 1, 1], 0);
      const bias = dice.chance(0.5)
        ? b.ints(
            Array.from({ length: to }, () => dice.between(-500, 500)),
            [to],
            "int32",
          )
        : null;
      const node = [...parts(from), ...parts(weight), result.scale, result.zero, bias];
      return { ...result, value: b.node("QLinearConv", node, [batch, to, ...pixels]) };
    }
  }
}

/** Numbers whose scale is found on the way, and products of integers without one. */
function dynamic(b: GraphBuilder, input: Drawn): Drawn {
  const { dice } = b;
  const [batch, width] = input.shape as [Dimension, number];
  const to = dice.pick([4, 6, 8]);
  const weight = factor(b, [width, to], 1);
  if (dice.chance(0.25)) {
    // Half a byte for each number, a scale for each row.
    const [blocks, size] = [1, 16];
    const packed = b.bytes("uint8", [to, blocks, size / 2], 0, 255);
    const scales = b.stored(
      [to * blocks],
      Array.from({ length: to * blocks }, () => dice.uniform(0.01, 0.05)),
    );
    return b.node("MatMulNBits", [input, packed, scales], [batch, to], { K: width, N: to, bits: 4, block_size: size }, MICROSOFT);
  }
  if (dice.chance(0.25)) {
    const bias = dice.chance(0.5) ? b.gaussian([to], 0.3) : null;
    return b.node("DynamicQuantizeMatMul", [input, weight.value, weight.scale, weight.zero, bias], [batch, to], {}, MICROSOFT);
  }
  const [value, scale, zero] = b.nodes("DynamicQuantizeLinear", [input], [input.shape, [], []]) as [Drawn, Drawn, Drawn];
  if (dice.chance(0.4)) {
    const bias = dice.chance(0.5) ? b.gaussian([to], 0.3) : null;
    return b.node("MatMulIntegerToFloat", [value, weight.value, scale, weight.scale, zero, weight.zero, bias], [batch, to], {}, MICROSOFT);
  }
  if (dice.chance(0.3)) {
    const picture = b.reshape(value, [batch, width, 1, 1]);
    const filters = b.bytes("int8", [to, width, 1, 1], -GREATEST, GREATEST);
    const sums = b.node("ConvInteger", [picture, filters, zero], [batch, to, 1, 1]);
    const numbers = b.node("Cast", [sums], sums.shape, { to: 1 });
    return b.node("Mul", [numbers, b.scalar(0.001)], numbers.shape);
  }
  const sums = b.node("MatMulInteger", [value, weight.value, zero, weight.zero], [batch, to]);
  const numbers = b.node("Cast", [sums], sums.shape, { to: 1 });
  const factors = b.node("Mul", [scale, weight.scale], weight.scale.shape);
  return b.node("Mul", [numbers, factors], numbers.shape);
}
